"""Measure whether detection finds the planted attribute, and nothing where there is nothing.

Ranks all attributes on planted data over several seeds, counts false alarms where no attribute matters,
compares calibrated thresholds with the truth, and times ImageNet's size. Prints Markdown, and as its last
line how often a planted attribute is first; `--page docs/attributes.md` writes the tables there.
Run: `python benchmarks/detection.py`; it takes minutes.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from reproduction.page import markdown_table, write_block

import clarify_widget as cw
from clarify_widget.concepts import calibrated_thresholds
from clarify_widget.datasets.planted import NOISE_PHRASES
from clarify_widget.datasets.scenes import render
from clarify_widget.datasets.scenes.phrases import CONCEPT_NAMES, facts
from clarify_widget.discovery import Attributes, accuracy_discrepancies
from clarify_widget.encoders.demo import load_demo
from clarify_widget.encoders.demo.evaluate import fresh_scenes
from clarify_widget.encoders.embed import embed_phrases
from clarify_widget.encoders.preparation import prepare
from clarify_widget.evaluation import wilson_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from clarify_widget.arrays import BoolArray, FloatArray, IntArray
    from clarify_widget.encoders import Encoder

SEEDS = range(5)
SHUFFLES = 2000
UNBIASED = range(40)
SCENES = 2000
PLACES = {"water bird": {"water", "ocean", "lake"}, "land bird": {"forest", "land"}}
LARGE = {"images": 50_000, "classes": 1000, "attributes": 552}  # the images and classes of ImageNet


def planted_session(num_classes: int, seed: int, strength: float = 0.95) -> cw.Session:
    world = cw.datasets.planted(num_classes, strength, seed=seed)
    encoder = cw.encoders.PrecomputedEncoder(world.phrases, world.phrase_embeddings, name="planted words")
    session = cw.Session(world.dataset, encoder)
    session.fit()
    return session


def shorebirds_session(encoder: Encoder, seed: int, *, calibrated: bool) -> cw.Session:
    """Return a session with the demo encoder, or with its words alone, which say nothing of thresholds."""
    dataset = prepare(cw.datasets.shorebirds(seed), encoder, None, None)
    words = cw.encoders.PrecomputedEncoder(
        CONCEPT_NAMES, np.stack(embed_phrases(encoder, CONCEPT_NAMES)), name="words of the demo encoder"
    )
    session = cw.Session(dataset, words if calibrated else encoder)
    session.fit()
    return session


def ranks(session: cw.Session, planted: dict[str, set[str]], candidates: Iterable[str]) -> list[int]:
    """Return the rank of the first planted attribute of each class, and over all classes."""
    found = session.attributes(candidates=candidates)
    rows = [*(found.ranked(name) for name in session.class_names), found.ranked()]
    return [
        1 + next(i for i, row in enumerate(of) if row.attribute in planted[row.class_name]) for of in rows
    ]


def planted_ranks(num_classes: int, seed: int) -> list[int]:
    planted = {f"class {label}": {f"attribute {label}"} for label in range(num_classes)}
    return ranks(planted_session(num_classes, seed), planted, planted_words(num_classes))


def planted_words(num_classes: int) -> list[str]:
    return [*(f"attribute {i}" for i in range(num_classes)), *(f"noise {i}" for i in range(NOISE_PHRASES))]


def measured_ranks() -> dict[str, list[list[int]]]:
    """Return, for each kind of data and each seed, the ranks by class and, last, over all classes."""
    demo = cw.encoders.load("demo")

    def drawn(seed: int, *, calibrated: bool) -> list[int]:
        return ranks(shorebirds_session(demo, seed, calibrated=calibrated), PLACES, CONCEPT_NAMES)

    kinds: dict[str, Callable[[int], list[int]]] = {
        "planted, 2 classes": partial(planted_ranks, 2),
        "planted, 3 classes": partial(planted_ranks, 3),
        "shorebirds, the encoder's own threshold": partial(drawn, calibrated=False),
        "shorebirds, calibrated thresholds": partial(drawn, calibrated=True),
    }
    return {name: [of_seed(seed) for seed in SEEDS] for name, of_seed in kinds.items()}


def ranking_row(name: str, of_seeds: list[list[int]]) -> list[str]:
    per_class = [rank for *by_class, _ in of_seeds for rank in by_class]
    return [name, first([overall for *_, overall in of_seeds]), first(per_class), str(max(per_class))]


def first(ranked: Iterable[int]) -> str:
    listed = list(ranked)
    return f"{listed.count(1)} of {len(listed)}"


def false_alarm_rows() -> list[list[str]]:
    """Return how often anything at all is significant where no attribute matters."""
    session = shorebirds_session(cw.encoders.load("demo"), 0, calibrated=True)
    attributes = session.attributes(candidates=CONCEPT_NAMES).attributes
    val, predictions = session.dataset.val, session.predictions("val")
    rng = np.random.default_rng(0)
    shuffled = sum(
        accuracy_discrepancies(
            attributes, val.labels, shuffle_within(predictions, val.labels, rng), session.class_names
        ).significant
        > 0
        for _ in range(SHUFFLES)
    )
    unbiased = sum(
        planted_session(2, seed, strength=0.5).attributes(candidates=planted_words(2)).significant > 0
        for seed in UNBIASED
    )
    return [
        ["shorebirds, predictions shuffled within each class", *rate(shuffled, SHUFFLES)],
        ["planted, no bias in training", *rate(unbiased, len(UNBIASED))],
    ]


def shuffle_within(predictions: IntArray, labels: IntArray, rng: np.random.Generator) -> IntArray:
    """Return the predictions dealt anew over the images of each class."""
    dealt = predictions.copy()
    for label in np.unique(labels):
        dealt[labels == label] = rng.permutation(predictions[labels == label])
    return dealt


def rate(alarms: int, runs: int) -> tuple[str, str, str]:
    low, high = wilson_interval(alarms, runs)
    return f"{runs:,}", f"{alarms / runs:.1%}", f"{low:.1%} to {high:.1%}"


def calibration_rows() -> list[list[str]]:
    """Return how well each kind of threshold agrees with what scenes really show."""
    from sklearn.cluster import KMeans

    encoder = load_demo()
    scenes = fresh_scenes(SCENES)
    rows = encoder.encode_images([render(scene) for scene in scenes])
    truth = np.stack([facts(scene) for scene in scenes], axis=1)
    directions: Any = np.stack(embed_phrases(encoder, CONCEPT_NAMES))
    similar: FloatArray = directions @ rows.T
    two_means = [
        KMeans(2, n_init=1, random_state=0).fit(row[:, None]).cluster_centers_.mean() for row in similar
    ]
    kinds = {
        "calibrated (two normal curves, else two means)": calibrated_thresholds(similar),
        "two means (Otsu)": np.array(two_means),
        "the demo encoder's own": np.full(len(similar), encoder.threshold),
        "best for the truth, which nobody knows": best_for_truth(similar, truth),
    }
    return [[name, *agreement(similar > found[:, None], truth)] for name, found in kinds.items()]


def best_for_truth(similar: FloatArray, truth: BoolArray) -> FloatArray:
    candidates = np.quantile(similar, np.linspace(0.3, 0.999, 300), axis=1)
    scores = [correlations(similar > found[:, None], truth) for found in candidates]
    best: FloatArray = candidates[np.argmax(scores, axis=0), np.arange(len(similar))]
    return best


def agreement(has: BoolArray, truth: BoolArray) -> tuple[str, str]:
    found = correlations(has, truth)
    return f"{found.mean():.2f}", f"{np.quantile(found, 0.1):.2f}"


def correlations(has: BoolArray, truth: BoolArray) -> FloatArray:
    """Return (m,) correlation of what was found with what is true, 0 where one is constant."""
    spread = has.std(axis=1) * truth.std(axis=1)
    covariance = (has & truth).mean(axis=1) - has.mean(axis=1) * truth.mean(axis=1)
    return np.where(spread > 0, covariance / np.where(spread > 0, spread, 1), 0)


def seconds_for_imagenet() -> str:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, LARGE["classes"], LARGE["images"])
    predictions = np.where(
        rng.random(len(labels)) < 0.7, labels, rng.integers(0, LARGE["classes"], len(labels))
    )
    has = rng.random((len(labels), LARGE["attributes"])) < 0.3
    names = tuple(f"attribute {i}" for i in range(LARGE["attributes"]))
    start = time.perf_counter()
    found = accuracy_discrepancies(
        Attributes(names, has), labels, predictions, [f"class {i}" for i in range(LARGE["classes"])]
    )
    seconds = time.perf_counter() - start
    return (
        f"{LARGE['attributes']} attributes on {LARGE['images']:,} images of {LARGE['classes']:,} classes: "
        f"{len(found):,} pairs counted, tested and corrected in {seconds:.1f} s."
    )


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--page", type=Path, help="page to put the tables into, such as docs/attributes.md")
    arguments = parser.parse_args()
    measured = measured_ranks()
    blocks = {
        "detection: ranks": markdown_table(
            ["data", "first over all classes", "first in its class", "worst rank in a class"],
            [ranking_row(name, of_seeds) for name, of_seeds in measured.items()],
            left=1,
        ),
        "detection: false alarms": markdown_table(
            ["data without a bias", "runs", "runs with anything significant", "95% interval"],
            false_alarm_rows(),
            left=1,
        ),
        "detection: thresholds": markdown_table(
            ["threshold", "mean correlation with the truth", "of the worst tenth of phrases"],
            calibration_rows(),
            left=1,
        ),
        "detection: time": seconds_for_imagenet(),
    }
    for key, body in blocks.items():
        print(f"\n{key}\n{body}")
        if arguments.page is not None:
            write_block(arguments.page, key, body)
    everywhere = [rank for of_seeds in measured.values() for of_seed in of_seeds for rank in of_seed]
    print(f"planted_first {everywhere.count(1) / len(everywhere):.3f}")


if __name__ == "__main__":
    main()
