"""Measure how well the demo encoder knows its words: `python -m clarify_widget.encoders.demo.evaluate`.

The figures are those of fresh scenes, from a seed that training never used. With `--card` they are written
into the model card, between its two marks.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata, spearmanr

from clarify_widget.datasets.scenes import Scene, render, sample_scene
from clarify_widget.datasets.scenes.phrases import CONCEPT_NAMES, facts, truth
from clarify_widget.encoders.base import template_of
from clarify_widget.encoders.demo import load_demo

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from clarify_widget.arrays import BoolArray
    from clarify_widget.encoders.base import Encoder

UNSEEN_SEED = 20_261_123  # training draws from [seed, chunk], a list; a single number never meets it


def _listed(text: str) -> tuple[str, ...]:
    return tuple(" ".join(item.split()) for item in text.split(","))


STORY_PHRASES = _listed("""
    red, crimson, blue, a red square, a blue square, a red oval, a blue oval, water, a water
    background, ocean, lake, forest, a forest background, trees
""")
COMPOSED_PHRASES = _listed("""
    red bird, white bird, yellow bird, red star, green heart, purple circle, orange triangle, large
    bird, small bird, large square, two birds, three shapes, four birds, blurry bird, bird on water,
    bird in the forest, water bird on land, land bird on water, owl at night, duck on water, shape
    on a black background, bird on snow, striped circle, dotted star, checked square, outlined
    shape, red shape on grass, tilted square, grainy picture of a bird
""")
PARAPHRASES = tuple(
    tuple(pair.split(" = "))
    for pair in _listed("""
    red = crimson, red = scarlet, yellow = golden, grey = gray, purple = violet, turquoise = teal,
    green = emerald, circle = disc, oval = ellipse, square = squares, gull = seagull, water bird =
    waterbird, striped = stripes, dotted = spotted, checked = checkerboard, outlined = border, small
    = tiny, large = big, two = a pair, several = many, centre = middle, tilted = rotated, dark =
    dim, blurry = out of focus, grainy = noisy, ocean = sea, lake = pond, forest = trees, forest =
    woods, grass = meadow, sand = beach, snow = winter, city = buildings, night = night sky, a red
    square = a crimson square, water = a water background, bird on water = a bird in the water
""")
)


@dataclass(frozen=True)
class PhraseFigure:
    """AUC of one phrase against the truth that it names, and how many scenes it is true of."""

    phrase: str
    positives: int
    auc: float


@dataclass(frozen=True)
class Figures:
    """Everything the model card states.

    Attributes
    ----------
    phrases, story
        One figure a phrase.
    paraphrases
        Spearman correlation of the similarities of two ways to say one thing.
    """

    scenes: int
    phrases: tuple[PhraseFigure, ...]
    story: tuple[PhraseFigure, ...]
    paraphrases: tuple[tuple[str, str, float], ...]


def auc(scores: npt.ArrayLike, true: BoolArray) -> float:
    """Return the area under the ROC curve: how often a true picture is the more similar, ties half."""
    positives = int(true.sum())
    ranks = rankdata(scores)[true].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * (len(true) - positives)))


def fresh_scenes(number: int, seed: int = UNSEEN_SEED) -> list[Scene]:
    """Scenes that training has not seen."""
    rng = np.random.default_rng(seed)
    return [sample_scene(rng) for _ in range(number)]


def measure(encoder: Encoder, scenes: Sequence[Scene]) -> Figures:
    """Embed the scenes and compare every phrase with its truth."""
    rows = encoder.encode_images([render(scene) for scene in scenes])
    facts_of = np.stack([facts(scene) for scene in scenes])
    template = template_of(encoder)

    def similarities(phrases: Sequence[str]) -> npt.NDArray[np.float32]:
        return np.asarray(
            rows @ encoder.encode_text([template.format(phrase=phrase) for phrase in phrases]).T
        )

    def figures(phrases: Sequence[str]) -> tuple[PhraseFigure, ...]:
        columns = zip(phrases, similarities(phrases).T, truth(phrases, facts_of).T, strict=True)
        return tuple(
            PhraseFigure(phrase, int(true.sum()), auc(scores, true)) for phrase, scores, true in columns
        )

    return Figures(
        scenes=len(scenes),
        phrases=figures((*CONCEPT_NAMES, *COMPOSED_PHRASES)),
        story=figures(STORY_PHRASES),
        paraphrases=tuple(
            (a, b, float(spearmanr(*similarities((a, b)).T).statistic)) for a, b in PARAPHRASES
        ),
    )


def embedding_seconds(encoder: Encoder, scenes: Sequence[Scene]) -> float:
    """Wall seconds to embed these scenes, preprocessing included and rendering not."""
    pictures = [render(scene) for scene in scenes]
    encoder.encode_images(pictures[:64])
    start = time.perf_counter()
    encoder.encode_images(pictures)
    return time.perf_counter() - start


def table(figures: Figures, seconds_for_2000: float) -> str:
    """Return the figures as the model card shows them."""
    aucs = np.array([figure.auc for figure in figures.phrases])
    story = np.array([figure.auc for figure in figures.story])
    agreement = np.array([correlation for *_, correlation in figures.paraphrases])
    lines = [
        f"Measured on {figures.scenes:,} fresh scenes from a seed that training never used.",
        "",
        f"- {len(aucs)} phrases: AUC at least 0.95 for {(aucs >= 0.95).mean():.0%}, lowest {aucs.min():.3f}.",
        f"- {len(story)} phrases of the stories: lowest {story.min():.3f}.",
        f"- {len(agreement)} pairs of paraphrases: lowest rank correlation {agreement.min():.3f}.",
        f"- 2,000 images embedded in {seconds_for_2000:.1f} s on two cores, preprocessing included.",
        "",
        *_phrase_table("Phrase", figures.phrases),
        "",
        *_phrase_table("Phrase of the stories", figures.story),
        "",
        "| Phrase | Paraphrase | Rank correlation |",
        "|---|---|---|",
        *(f"| {a} | {b} | {correlation:.3f} |" for a, b, correlation in figures.paraphrases),
    ]
    return "\n".join(lines)


def _phrase_table(title: str, figures: Sequence[PhraseFigure]) -> list[str]:
    rows = [f"| {figure.phrase} | {figure.positives} | {figure.auc:.3f} |" for figure in figures]
    return [f"| {title} | True scenes | AUC |", "|---|---|---|", *rows]


def write_card(path: Path, text: str) -> None:
    """Put the figures between the card's two marks."""
    start, end = "<!-- figures -->", "<!-- end of figures -->"
    card = path.read_text(encoding="utf-8")
    before, after = card.split(start)[0], card.split(end)[1]
    path.write_text(f"{before}{start}\n{text}\n{end}{after}", encoding="utf-8")


def main() -> None:
    """Measure the bundled encoder; print the figures and, when asked, write them into the model card."""
    parser = argparse.ArgumentParser(description="Measure the demo encoder.")
    parser.add_argument("--scenes", type=int, default=8000)
    parser.add_argument("--card", type=Path, help="the model card to write the figures into")
    arguments = parser.parse_args()
    encoder = load_demo()
    scenes = fresh_scenes(arguments.scenes)
    text = table(measure(encoder, scenes), embedding_seconds(encoder, scenes[:2000]))
    sys.stdout.write(text + "\n")
    if arguments.card:
        write_card(arguments.card, text)


if __name__ == "__main__":
    main()
