"""What spurious-aware fine-tuning is worth on drawn images, from the demo encoder, beside its baselines.

For each set and seed the projections are trained by every method on the same cached towers; each keeps the
learning rate and the epoch that are best for the worst group on validation. Prints test accuracies with
Student's 95% intervals over the seeds, the gain over plain fine-tuning (L_CLIP) seed by seed, and the time
that a full fine-tuning of 5,000 images takes; the last line is the mean gain in worst-group accuracy, on the
set where it is smaller.
Run: `python benchmarks/finetuning.py`; with `--write` the tables go into docs/finetuning.md.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from reproduction.page import markdown_table, write_block

import clarify_widget as cw
from clarify_widget.evaluation import mean_interval
from clarify_widget.finetuning import (
    DRAWN,
    DRAWN_SPURIOUS_LANGUAGE,
    FINE_TUNED_CLIP,
    SPURIOUS_IMAGE,
    SPURIOUS_LANGUAGE,
    CachedTowers,
    Losses,
    cache_towers,
    finetune,
    pretrained,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clarify_widget.datasets.dataset import Dataset
    from clarify_widget.evaluation import Evaluation
    from clarify_widget.finetuning import FineTuned
    from clarify_widget.finetuning.settings import Objective

PAGE = Path(__file__).parents[1] / "docs" / "finetuning.md"
TIMED_IMAGES = 5000
FIRST_SEED = 10  # those below were looked at while the weights for the demo encoder were chosen
PLAIN = "fine-tuned CLIP"
OURS = "L_lc + L_vc + L_ls"
AT_TEMPERATURE_1 = Losses(vc=1, lc=30, ls=200, temperature=1)

METHODS: dict[str, Objective | None] = {
    "pre-trained CLIP": None,
    PLAIN: FINE_TUNED_CLIP,
    "ERM": "erm",
    "group DRO (true groups)": "group_dro",
    OURS: DRAWN_SPURIOUS_LANGUAGE,
    "L_lc + L_vc + L_ls, Eq. 2-5, temperature 1": AT_TEMPERATURE_1,
    "L_lc + L_vc + L_ls, Eq. 2-5, all weights 1": SPURIOUS_LANGUAGE,
    "L_lc + L_vc + L_vs, Eq. 2-5, all weights 1 (true groups)": SPURIOUS_IMAGE,
}
EQUATIONS = (SPURIOUS_LANGUAGE, SPURIOUS_IMAGE)
LEARNING_RATES = (1e-3, 1e-2)


@dataclass(frozen=True)
class Story:
    """A drawn set, and what its prompts name.

    Attributes
    ----------
    nouns
        What the templates are filled with; None for the names of the classes.
    attributes
        The spurious ones.
    """

    draw: Callable[[int], Dataset]
    attributes: tuple[str, ...]
    nouns: tuple[str, ...] | None = None


STORIES = {
    "shorebirds": Story(cw.datasets.shorebirds, ("water", "forest")),
    "shorebirds, called by their place": Story(
        cw.datasets.shorebirds, ("water", "forest"), ("water bird", "forest bird")
    ),
    "companions": Story(cw.datasets.companions, ("duck", "owl")),
}
GAINS_IN = ("shorebirds, called by their place", "companions")


def towers_of(story: Story, seed: int) -> CachedTowers:
    """Draw a set, and run the demo encoder's towers over it."""
    encoder = cw.encoders.load("demo")
    return cache_towers(encoder, story.draw(seed), story.attributes, class_nouns=story.nouns)


def tune(towers: CachedTowers, objective: Objective | None, seed: int) -> FineTuned:
    """Fine-tune at every learning rate, and return the one with the best worst group on validation."""
    if objective is None:
        return pretrained(towers)
    tried = [
        finetune(towers, objective, replace(DRAWN, learning_rate=rate, seed=seed)) for rate in LEARNING_RATES
    ]

    def on_validation(tuned: FineTuned) -> tuple[float, float]:
        kept = tuned.history[tuned.best_epoch]
        return kept.worst, kept.average

    return max(tried, key=on_validation)


def evaluations(
    story: Story, seeds: Sequence[int], methods: Mapping[str, Objective | None]
) -> dict[str, list[Evaluation]]:
    """Evaluate every method on the test images of every seed."""
    found: dict[str, list[Evaluation]] = {name: [] for name in methods}
    for seed in seeds:
        towers = towers_of(story, seed)
        for name, objective in methods.items():
            found[name].append(tune(towers, objective, seed).evaluation("test"))
            print(f"seed {seed} {name}: {found[name][-1].worst_group:.3f}", flush=True)
    return found


def accuracy_table(found: dict[str, list[Evaluation]]) -> str:
    """Return worst groups and averages in percent, with intervals over seeds."""
    rows = [
        (
            name,
            with_interval([100 * (one.worst_group or 0) for one in of_seeds]),
            with_interval([100 * one.average for one in of_seeds]),
            with_interval([100 * (one.adjusted_average or 0) for one in of_seeds]),
        )
        for name, of_seeds in found.items()
    ]
    return markdown_table(("method", "worst group", "average", "adjusted average"), rows, left=1)


def with_interval(values: Sequence[float]) -> str:
    """Return a mean and half its 95% interval."""
    low, high = mean_interval(values)
    return f"{np.mean(values):.1f} ± {(high - low) / 2:.1f}"


def gains(found: dict[str, list[Evaluation]]) -> dict[str, list[float]]:
    """Return ours minus plain fine-tuning in points, seed by seed."""

    def differences(of: Callable[[Evaluation], float | None]) -> list[float]:
        return [
            100 * ((of(ours) or 0) - (of(plain) or 0))
            for ours, plain in zip(found[OURS], found[PLAIN], strict=True)
        ]

    return {
        "worst group": differences(lambda one: one.worst_group),
        "average": differences(lambda one: one.average),
        "adjusted average": differences(lambda one: one.adjusted_average),
    }


def seconds_for(images: int, threads: int) -> tuple[float, float]:
    """Return the time and the processor time of a full fine-tuning of so many images from cached towers."""
    towers = towers_of(STORIES["companions"], 0)
    rows = np.arange(images) % len(towers.dataset.train)
    many = replace(
        towers,
        dataset=replace(towers.dataset, train=towers.dataset.train.take(rows)),
        images={**towers.images, "train": towers.images["train"][torch.from_numpy(rows)]},
    )
    torch.set_num_threads(threads)
    started, worked = time.perf_counter(), time.process_time()
    finetune(many, DRAWN_SPURIOUS_LANGUAGE, DRAWN)
    return time.perf_counter() - started, time.process_time() - worked


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument(
        "--stories", nargs="*", default=tuple(STORIES), help=f"of {', '.join(STORIES)}; none: time only"
    )
    parser.add_argument(
        "--without-equations", action="store_true", help="leave out the slow rows of Eq. 2-5, all weights 1"
    )
    parser.add_argument("--threads", type=int, default=2, help="of the timed fine-tuning; 0 does not time")
    parser.add_argument(
        "--write", type=Path, nargs="?", const=PAGE, help="put it into docs/finetuning.md, or this page"
    )
    arguments = parser.parse_args()
    lowest = np.inf
    methods = {
        name: objective
        for name, objective in METHODS.items()
        if objective not in EQUATIONS or not arguments.without_equations
    }
    option = " --without-equations" if arguments.without_equations else ""
    if arguments.first_seed != FIRST_SEED:
        option += f" --first-seed {arguments.first_seed}"
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    for name in arguments.stories:
        found = evaluations(STORIES[name], seeds, methods)
        gained = gains(found)
        sentence = "Over plain fine-tuning, seed by seed: " + ", ".join(
            f"{what} {with_interval(values)}" for what, values in gained.items()
        )
        body = (
            f"{accuracy_table(found)}\n\n{sentence} points. {arguments.seeds} seeds from "
            f"{arguments.first_seed} on; made by `python benchmarks/finetuning.py{option} --write`."
        )
        print(f"\n{name}\n\n{body}\n", flush=True)
        if arguments.write is not None:
            write_block(arguments.write, f"finetuning: {name}", body)
        if name in GAINS_IN:
            lowest = min(lowest, float(np.mean(gained["worst group"])))
    if arguments.threads:
        seconds, of_processor = seconds_for(TIMED_IMAGES, arguments.threads)
        told = (
            f"{TIMED_IMAGES:,} images, {DRAWN.epochs} epochs of {DRAWN_SPURIOUS_LANGUAGE} from cached "
            f"towers: {seconds:.0f} s, {of_processor:.0f} s of processor time; threads: {arguments.threads}"
        )
        print(told)
        if arguments.write is not None:
            write_block(arguments.write, "finetuning: time", f"{told}.")
    if np.isfinite(lowest):
        print(f"worst_group_gain_points {lowest:.1f}")


if __name__ == "__main__":
    main()
