"""Tables 2 to 5 of Yang et al. (ICML 2023), the paper's numbers beside ours, on Waterbirds with CLIP.

Runs the pre-trained model and every method of Table 4 from the same cached towers with the published
settings, prints Tables 2 to 5 as Markdown, and with --write puts them between the markers of
docs/reproduction.md. What is not given is listed as not run.
Run: `python benchmarks/reproduce_finetuning.py --waterbirds DIR --encoder RN50/openai ViT-L-14-336/openai
--write`.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reproduction.finetuning import (
    ATTRIBUTES,
    BACKBONES,
    TABLE_4,
    discrepancy_table,
    group_table,
    mitigation_table,
    pacifier_table,
    run_row,
)
from reproduction.page import NOT_RUN, write_block
from reproduction.sources import without_folder

import clarify_widget as cw
from clarify_widget.finetuning import PUBLISHED, cache_towers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clarify_widget.evaluation import Evaluation

PAGE = Path(__file__).parents[1] / "docs" / "reproduction.md"
FULL = "--waterbirds DIR --encoder RN50/openai ViT-L-14-336/openai"


def main() -> None:
    """Run what can be run; print each table, and write it."""
    arguments = parse_arguments()
    for key, body in blocks(arguments):
        print(f"\n{key}\n\n{body}\n", flush=True)
        if arguments.write is not None:
            written = write_block(arguments.write, key, body)
            print(f"{'wrote' if written else 'left as it was'}: {key} in {arguments.write}")


def parse_arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--waterbirds", type=Path, help="folder with metadata.csv")
    parser.add_argument(
        "--encoder", nargs="+", default=[], help="for the RN50 half, and then for the ViT-L/14@336px half"
    )
    parser.add_argument("--variant", choices=("paper", "released"), default="paper")
    parser.add_argument("--epochs", type=int, help="fewer than the published 300")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--save", type=Path, help="folder for the fine-tuned models, one a method, as open_clip keeps them"
    )
    parser.add_argument(
        "--cache", type=Path, default=Path("outputs/embeddings"), help="folder for the towers' outputs"
    )
    parser.add_argument(
        "--write", type=Path, nargs="?", const=PAGE, help="put it into docs/reproduction.md, or this page"
    )
    return parser.parse_args()


def blocks(arguments: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Yield the key of its markers and the Markdown of every table."""
    for number, backbone in enumerate(BACKBONES):
        found = evaluations(arguments, number)
        told = made_by(arguments, number) if found else needs()
        pre_trained = found.get("Pre-trained CLIP")
        yield f"fine-tuning table 2: {backbone}", f"{group_table(backbone, pre_trained)}\n\n{told}"
        yield f"fine-tuning table 4: {backbone}", f"{mitigation_table(backbone, found)}\n\n{told}"
    yield "fine-tuning table 3", f"{discrepancy_table()}\n\n{NOT_RUN} It needs ImageNet and CLIP's weights."
    yield "fine-tuning table 5", f"{pacifier_table()}\n\n{NOT_RUN} It needs ImageNet and CLIP's weights."


def evaluations(arguments: argparse.Namespace, number: int) -> dict[str, Evaluation]:
    """Return the test evaluation of every method of Table 4; nothing where data or weights are missing."""
    if arguments.waterbirds is None or number >= len(arguments.encoder):
        return {}
    backbone = BACKBONES[number]
    towers = cache_towers(
        cw.encoders.load(arguments.encoder[number]),
        cw.datasets.waterbirds(arguments.waterbirds),
        ATTRIBUTES,
        cache_dir=arguments.cache,
        progress=lambda what, done: print(f"\r{done:4.0%} {what}", end="" if done < 1 else "\n", flush=True),
    )
    published = PUBLISHED[backbone]
    settings = replace(published, seed=arguments.seed, epochs=arguments.epochs or published.epochs)
    found = {}
    for row in TABLE_4:
        tuned = run_row(row, towers, settings, arguments.variant)
        found[row.method] = tuned.evaluation("test")
        print(f"{backbone} {row.method}: {tuned.stopped_because}", flush=True)
        if arguments.save is not None:
            tuned.encoder.save(arguments.save / backbone / row.method.replace(" ", "-"))
    return found


def made_by(arguments: argparse.Namespace, number: int) -> str:
    """Say what our columns were made of, and by which command."""
    names = " ".join(map(without_folder, arguments.encoder))
    epochs = f" --epochs {arguments.epochs}" if arguments.epochs else ""
    return (
        f"Here: {without_folder(arguments.encoder[number])}; the average is adjusted to the sizes of the "
        f"groups in training. Made by `python benchmarks/reproduce_finetuning.py --waterbirds DIR --encoder "
        f"{names} --variant {arguments.variant} --seed {arguments.seed}{epochs} --write`."
    )


def needs() -> str:
    """Say what fills a table in."""
    return (
        f"{NOT_RUN} It needs Waterbirds and CLIP's weights: "
        f"`python benchmarks/reproduce_finetuning.py {FULL} --write`."
    )


if __name__ == "__main__":
    main()
