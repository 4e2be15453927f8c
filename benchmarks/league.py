"""Every method of the papers' tables, and what this package adds, on one data set over several seeds.

Prints the table, writes it as Markdown and JSON, and prints as its last line the share of the true-group
oracle's gain in worst-group accuracy that the best method with text feedback makes.
Run: `python benchmarks/league.py --data path/to/waterbirds`, or `--data shorebirds`, `sprites`, `planted`.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from reproduction.page import write_block
from reproduction.sources import stored_waterbirds

import clarify_widget as cw
from clarify_widget.encoders.preparation import prepare
from clarify_widget.methods import League, Problem, Words, resampled, run_league, words
from clarify_widget.methods.table import FEEDBACK, LABELS
from clarify_widget.methods.zero_shot import imagenet_templates

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("shorebirds", "sprites", "planted")
WATERBIRDS_L2 = 0.3  # as in notebooks/waterbirds.ipynb
DRAWN_L2 = 0.01


def waterbirds(root: Path) -> Callable[[int], Problem]:
    """Return the photographs, of which each seed leaves a fifth of train and validation out."""
    whole = replace(stored_waterbirds(root).feedback, l2=WATERBIRDS_L2)
    return partial(resampled, whole)


def drawn(draw: Callable[[int], cw.Dataset], said: Words) -> Callable[[int], Problem]:
    """Return drawn images, which each seed draws anew."""
    encoder = cw.encoders.load("demo")
    templated = replace(said, templates=imagenet_templates())
    return lambda seed: Problem(
        prepare(draw(seed), encoder, None, None), encoder, templated, l2=DRAWN_L2, seed=seed
    )


def planted_bias(seed: int) -> Problem:
    """Return numbers with a planted bias in them."""
    world = cw.datasets.planted(seed=seed)
    encoder = cw.encoders.PrecomputedEncoder(world.phrases, world.phrase_embeddings, name="planted words")
    said = Words(
        class_prompts=("noise 0", "noise 1"),
        phrases={"class 0": ("attribute 0", "noise 2"), "class 1": ("attribute 1", "noise 3")},
    )
    return Problem(world.dataset, encoder, said, l2=DRAWN_L2, seed=seed)


def problems(data: str) -> Callable[[int], Problem]:
    """Return what makes the problem of a seed, by the name or the folder of the data."""
    if data == "shorebirds":
        return drawn(cw.datasets.shorebirds, words.SHOREBIRDS)
    if data == "sprites":
        return drawn(cw.datasets.sprites, words.SPRITES)
    return planted_bias if data == "planted" else waterbirds(Path(data))


def main() -> None:
    """Play the league; print, write, and print the recovered share last."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="shorebirds, sprites, planted, or a Waterbirds folder")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--out", type=Path, default=Path("outputs"), help="folder for league-NAME.md and .json"
    )
    parser.add_argument("--page", type=Path, help="page to put the table into, such as docs/league.md")
    arguments = parser.parse_args()

    started = time.perf_counter()
    league = run_league(
        cache(problems(arguments.data)),
        seeds=range(arguments.seeds),
        progress=lambda what, done: print(f"{done:4.0%} {what}", flush=True),
    )
    name = arguments.data if arguments.data in NAMES else "waterbirds"
    print(league)
    print(f"{time.perf_counter() - started:.0f} s")
    write(league, arguments.out / f"league-{name}")
    if arguments.page is not None:
        write_block(arguments.page, f"league: {name}", f"{summary(league)}\n\n{league.to_markdown()}")
    print(summary(league))
    print(f"recovered_share {league.recovered(league.best(FEEDBACK)):.3f}")


def summary(league: League) -> str:
    """Return the result in words."""
    feedback, labels = league.best(FEEDBACK), league.best(LABELS)
    return (
        f"{league.dataset}; {len(league.seeds)} seeds; test accuracy in percent with 95% intervals.\n"
        f"Best with text feedback: {feedback.method.name}, worst group {feedback.worst_group}, which is "
        f"{league.recovered(feedback):.0%} of the oracle's gain over ERM.\n"
        f"Best with labels only: {labels.method.name}, worst group {labels.worst_group}."
    )


def write(league: League, stem: Path) -> None:
    """Write the table for people and for machines."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".md").write_text(league.to_markdown(), encoding="utf-8")
    content = json.dumps(league.to_dict(), indent=1, ensure_ascii=False)
    stem.with_suffix(".json").write_text(content + "\n", encoding="utf-8")
    print(f"wrote {stem}.md and .json")


if __name__ == "__main__":
    main()
