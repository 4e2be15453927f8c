"""Measure where fine-tuned encoders look: AIoU and pointing beside the accuracy that fine-tuning gains.

Every method is tuned as in `benchmarks/finetuning.py`, whose sets these are, and looked at on test images.
Prints one Markdown table a set; `--page docs/attributes.md` writes them there.
Run: `python benchmarks/finetuned_maps.py --stories companions`; a seed of a set takes minutes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from finetuning import EQUATIONS, FIRST_SEED, GAINS_IN, METHODS, STORIES, Story, towers_of, tune
from reproduction.page import markdown_table, write_block

from clarify_widget.evaluation import mean_interval
from clarify_widget.evaluation.explain import alignment, explanation_maps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clarify_widget.arrays import BoolArray
    from clarify_widget.datasets.dataset import Split
    from clarify_widget.evaluation.explain import Alignment
    from clarify_widget.finetuning import FineTuned

SHOWN = tuple(name for name, objective in METHODS.items() if objective not in EQUATIONS)
HEAD = ("method", "worst group (%)", "AIoU", "AIoU, group of the worst accuracy", "pointing (%)")


def alignment_of(tuned: FineTuned, split: Split, group_names: tuple[str, ...]) -> Alignment:
    """Compare the maps of the classes' prompts with the masks of a split."""
    images, masks = split.images, split.masks
    assert images is not None
    assert masks is not None
    weights, _ = tuned.head().for_unit_rows()
    maps = explanation_maps(tuned.encoder, [images[row] for row in range(len(split))], weights.T)

    def inside() -> Iterator[BoolArray]:
        return (np.asarray(masks[row].convert("L")) > 127 for row in range(len(split)))

    return alignment(maps, inside(), split.labels, split.groups, group_names)


def looked_at(story: Story, seed: int) -> dict[str, tuple[float, float, float, float]]:
    """Return, for each method, what a row of the table shows."""
    towers = towers_of(story, seed)
    dataset = towers.dataset
    assert dataset.test is not None
    found = {}
    for name in SHOWN:
        tuned = tune(towers, METHODS[name], seed)
        evaluation = tuned.evaluation("test")
        looks = alignment_of(tuned, dataset.test, dataset.group_names or ())
        worst = int(np.argmin([group.accuracy for group in evaluation.per_group]))
        found[name] = (
            100 * (evaluation.worst_group or 0),
            looks.average.aiou,
            looks.per_group[worst].aiou,
            100 * looks.average.pointing_accuracy,
        )
        print(seed, name, *(f"{value:.3f}" for value in found[name]), sep="; ", flush=True)
    return found


def with_interval(values: list[float], digits: int) -> str:
    low, high = mean_interval(values)
    return f"{np.mean(values):.{digits}f} ± {(high - low) / 2:.{digits}f}"


def table(of_seeds: list[dict[str, tuple[float, float, float, float]]]) -> str:
    rows = []
    for name in SHOWN:
        columns = zip(*(found[name] for found in of_seeds), strict=True)
        cells = (
            with_interval(list(column), digits) for column, digits in zip(columns, (1, 3, 3, 1), strict=True)
        )
        rows.append([name, *cells])
    return markdown_table(HEAD, rows, left=1)


def main() -> None:
    """Tune, look, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stories", nargs="+", choices=STORIES, default=GAINS_IN)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--page", type=Path, help="page to put the tables into, such as docs/attributes.md")
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    for name in arguments.stories:
        body = table([looked_at(STORIES[name], seed) for seed in seeds])
        print(f"\n{name}\n{body}")
        if arguments.page is not None:
            write_block(arguments.page, f"explanation: {name}", body)


if __name__ == "__main__":
    main()
