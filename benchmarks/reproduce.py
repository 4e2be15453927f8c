"""Clarify's Tables 1 to 6, the paper's numbers beside ours, one command a table.

Runs what the given data and weights allow, prints it as Markdown, and with --write puts it between the
markers of docs/reproduction.md. Without --backbone Waterbirds is run on the arrays stored beside its images.
Run: `python benchmarks/reproduce.py --table 1 --waterbirds path/to/waterbirds`, and with CLIP's weights
`python benchmarks/reproduce.py --table 1 --waterbirds DIR --celeba DIR --backbone RN50/openai --write`.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from paper_tables import (
    MINORITY_AFTER,
    MINORITY_BEFORE,
    OVERALL_CHANGE,
    TABLE_1,
    TABLE_2,
    TABLE_4,
    TABLE_6,
)
from reproduction.accuracies import (
    accuracy_table,
    names_of,
    order_sentence,
    run_methods,
    worst_group_noise,
)
from reproduction.imagenet import (
    Splits,
    annotate,
    annotation_table,
    first_model,
    read_captions,
    read_imagenet,
)
from reproduction.keywords import paper_beside, table_of_class, two_class_tables
from reproduction.page import NOT_RUN, write_block
from reproduction.phrases import hardest_class, phrase_table, score_sentence, summary_table, try_phrases
from reproduction.sources import CELEBA, WATERBIRDS, Source, embedded, stored_waterbirds, without_folder

import clarify_widget as cw
from clarify_widget.concepts.published import IMAGENET_FEATURES as TABLE_5
from clarify_widget.concepts.published import USER_PHRASES as TABLE_3

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeAlias

    from paper_tables import PaperRow

    from clarify_widget.encoders.base import Encoder

    Block: TypeAlias = tuple[str, str]  # the key of its markers, and Markdown

PAGE = Path(__file__).parents[1] / "docs" / "reproduction.md"
TWO_CLASS = ("Waterbirds", "CelebA")
ACCURACY_TABLES = (1, 4, 6)

_BOTH = "--waterbirds DIR --celeba DIR"
FULL = {
    1: f"{_BOTH} --backbone RN50/openai",
    2: "--waterbirds DIR --backbone RN50/openai --imagenet DIR --captions FILE",
    3: f"{_BOTH} --backbone RN50/openai",
    4: f"{_BOTH} --backbone RN50/openai ViT-L-14/openai",
    5: "--imagenet DIR",
    6: f"{_BOTH} --backbone ViT-L-14/openai",
}
"""What fills a whole table in, the encoder being CLIP ViT-L/14."""


def main() -> None:
    """Run one table; print each part as soon as it is there, and write it."""
    arguments = parse_arguments()
    tables = {1: table_1, 2: table_2, 3: table_3, 4: table_4, 5: table_5, 6: table_6}
    for key, body in tables[arguments.table](arguments):
        print(f"\n{key}\n\n{body}\n", flush=True)
        if arguments.write is not None:
            written = write_block(arguments.write, key, body)
            print(f"{'wrote' if written else 'left as it was'}: {key} in {arguments.write}")


def parse_arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", type=int, choices=tuple(FULL), required=True)
    parser.add_argument("--waterbirds", type=Path, help="folder with metadata.csv")
    parser.add_argument("--celeba", type=Path, help="folder with list_attr_celeba.txt")
    parser.add_argument("--imagenet", type=Path, help="folder with val/, and train/ to retrain")
    parser.add_argument(
        "--classes", nargs="+", help="WordNet IDs, where not all of ImageNet's 1,000 classes are there"
    )
    parser.add_argument("--captions", type=Path, help="JSON lines with path and caption, for Table 2")
    parser.add_argument(
        "--backbone", nargs="+", default=[], help="what heads train on; for Table 4 one for each half"
    )
    parser.add_argument("--encoder", default="ViT-L-14/openai", help="what phrases are compared in")
    parser.add_argument(
        "--cache", type=Path, default=Path("outputs/embeddings"), help="folder for the embeddings"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--write", type=Path, nargs="?", const=PAGE, help="put it into docs/reproduction.md, or this page"
    )
    return parser.parse_args()


def table_1(arguments: argparse.Namespace) -> Iterator[Block]:
    """Methods for group robustness on CLIP ResNet-50."""
    yield from _accuracy_blocks(arguments, "table 1", TABLE_1)


def table_2(arguments: argparse.Namespace) -> Iterator[Block]:
    """Keywords of Bias-to-Text."""
    source = _source(arguments, "Waterbirds")
    if source is None:
        yield "table 2: Waterbirds", _needs(arguments, "the Waterbirds images")
    else:
        users = TABLE_3["Waterbirds"]
        candidates = source.keywords or (*users.best_worst_group, *users.best_error_score, *users.others)
        yield (
            "table 2: Waterbirds",
            _joined(two_class_tables(source, candidates), f"{_made(source)} {_command(arguments)}"),
        )
    yield "table 2: ImageNet", _keywords_of_imagenet(arguments)


def table_3(arguments: argparse.Namespace) -> Iterator[Block]:
    """Phrases of the paper's users."""
    for dataset in TWO_CLASS:
        paper, source = TABLE_3[dataset], _source(arguments, dataset)
        baselines = dict.fromkeys(("class prompt", "group prompt", "ERM (best)"), math.nan)
        if source is None:
            yield (
                f"table 3: {dataset}",
                _joined(summary_table(paper, None, baselines), _needs(arguments, dataset)),
            )
            continue
        baselines |= _baselines(source)
        phrases = (*paper.best_worst_group, *paper.best_error_score, *paper.others, paper.expert[0])
        results = try_phrases(source, phrases)
        expert = results.get(paper.expert[0])
        told_of_expert = "unknown" if expert is None else f"{expert.found.score:.2f}"
        class_name = source.feedback.dataset.class_names[hardest_class(source.feedback)]
        told = ", ".join(
            f"{name} {100 * number:.1f}" for name, number in baselines.items() if math.isfinite(number)
        )
        sentences = (
            f'The Error Score of the authors\' phrase "{paper.expert[0]}" is {paper.expert[1]:.2f} in the '
            f"paper and {told_of_expert} here. Phrases cut the class with the highest error rate, "
            f"{class_name}, as in the study. Worst groups here: {told}. {score_sentence(results)} "
            f"{_made(source)} {_command(arguments)}"
        )
        summary = f"<summary>All {len(results)} phrases</summary>"
        details = f"<details>{summary}\n\n{phrase_table(paper, results)}\n\n</details>"
        yield f"table 3: {dataset}", _joined(summary_table(paper, results, baselines), sentences, details)


def table_4(arguments: argparse.Namespace) -> Iterator[Block]:
    """Methods for group robustness on two backbones, adapters among them."""
    for number, (backbone, rows) in enumerate(TABLE_4.items()):
        yield from _accuracy_blocks(arguments, "table 4", rows, f", {backbone}", number)


def table_5(arguments: argparse.Namespace) -> Iterator[Block]:
    """Minority and majority splits of the 31 annotations of ImageNet."""
    published = (MINORITY_BEFORE, MINORITY_AFTER)
    if arguments.imagenet is None:
        not_run = [Splits(annotation) for annotation in TABLE_5]
        yield (
            "table 5: ImageNet",
            _joined(annotation_table(not_run, published), _needs(arguments, "ImageNet")),
        )
        return
    encoder = _load(arguments.encoder)
    imagenet = read_imagenet(arguments.imagenet, encoder, arguments.cache, arguments.classes)
    model, what = first_model(imagenet, encoder)
    found, told = annotate(imagenet, encoder, model, TABLE_5)
    sentences = (
        f"{told} In the paper it changes by {OVERALL_CHANGE} points. Model: {what}. The minority split is "
        f"the side of the best threshold with the lower accuracy on these images. {_command(arguments)}"
    )
    yield "table 5: ImageNet", _joined(annotation_table(found, published), sentences)


def table_6(arguments: argparse.Namespace) -> Iterator[Block]:
    """Zero-shot prompting on three models; the last of them is run here."""
    rows = [
        replace(row, method=f"{model}: {row.method}", exact=row.exact if "L/14" in model else "")
        for model, group in TABLE_6.items()
        for row in group
    ]
    yield from _accuracy_blocks(arguments, "table 6", rows)


def _accuracy_blocks(
    arguments: argparse.Namespace, table: str, rows: Sequence[PaperRow], half: str = "", number: int = 0
) -> Iterator[Block]:
    for dataset in TWO_CLASS:
        source = _source(arguments, dataset, number)
        key = f"{table}: {dataset}{half}"
        if source is None:
            yield key, _joined(accuracy_table(rows, dataset), _needs(arguments, dataset))
            continue
        found = run_methods(source, names_of(rows), arguments.seeds)
        sentences = (
            _made(source),
            f"Seeds: {arguments.seeds}.",
            order_sentence(rows, dataset, found),
            worst_group_noise(found),
            _command(arguments),
        )
        yield key, _joined(accuracy_table(rows, dataset, found), " ".join(filter(None, sentences)))


def _baselines(source: Source) -> dict[str, float]:
    """Return worst groups to hold phrases against; the best of ERM, as the paper's Figure 5."""
    of_erm = ("ERM", "class-balanced", "worst-class")
    rows = run_methods(source, ("class prompt", "group prompt", *of_erm), seeds=1)
    worst = {name: row.worst_group.mean for name, row in rows.items() if row.evaluations}
    erm = {"ERM (best)": max(worst.pop(name) for name in of_erm if name in worst)}
    return {**worst, **erm}


def _keywords_of_imagenet(arguments: argparse.Namespace) -> str:
    if arguments.imagenet is None:
        tables = [paper_beside(name, paper, None) for name, paper in TABLE_2.items()]
        return _joined(*tables, _needs(arguments, "ImageNet's validation images and captions of them"))
    encoder = _load(arguments.encoder)
    imagenet = read_imagenet(arguments.imagenet, encoder, arguments.cache, arguments.classes)
    model, what = first_model(imagenet, encoder)
    correct = model.predict(imagenet.val.rows) == imagenet.val.labels
    captions = None if arguments.captions is None else read_captions(arguments.captions, imagenet.val.names)
    feature_of = {row.class_name: row for row in TABLE_5}
    tables = []
    for name, paper in TABLE_2.items():
        members = imagenet.val.labels == imagenet.label_of(feature_of[name])
        judged = None
        if 0 < correct[members].sum() < members.sum():
            own = [caption for caption, member in zip(captions or (), members, strict=False) if member]
            keywords = [*(keyword.keyword for keyword in paper.keywords), paper.phrase]
            judged = table_of_class(
                encoder, imagenet.val.rows[members], correct[members], keywords, own if captions else None
            )
        tables.append(paper_beside(name, paper, judged))
    how = (
        "captions"
        if captions
        else "similarity above the threshold of the Error Score, as no captions are given"
    )
    return _joined(*tables, f"Model: {what}. An image has a keyword by {how}. {_command(arguments)}")


def _source(arguments: argparse.Namespace, dataset: str, number: int = 0) -> Source | None:
    """Return a data set on the backbone of that number; None where data or weights are not given."""
    root: Path | None = arguments.waterbirds if dataset == "Waterbirds" else arguments.celeba
    if root is None:
        return None
    if not arguments.backbone:
        return stored_waterbirds(root) if dataset == "Waterbirds" and number == 0 else None
    if number >= len(arguments.backbone):
        return None
    backbone, encoder = _load(arguments.backbone[number]), _load(arguments.encoder)
    read, said = (
        (cw.datasets.waterbirds(root), WATERBIRDS)
        if dataset == "Waterbirds"
        else (cw.datasets.celeba(root), CELEBA)
    )
    return embedded(read, said, backbone, encoder, arguments.cache)


@cache
def _load(name: str) -> Encoder:
    return cw.encoders.load(name)


def _made(source: Source) -> str:
    """Say what our columns were made of, and what may be compared."""
    warning = (
        ""
        if source.is_clip
        else "**These are not CLIP features: only the order of the methods can be compared with the paper.** "
    )
    return f"{warning}Here: {source.made_of}."


def _command(arguments: argparse.Namespace) -> str:
    """Say which command made a table, with placeholders for folders."""
    given = [f"--table {arguments.table}"]
    given += [f"--{name} DIR" for name in ("waterbirds", "celeba", "imagenet") if getattr(arguments, name)]
    given += ["--captions FILE"] if arguments.captions else []
    if arguments.backbone:
        given.append(f"--backbone {' '.join(map(without_folder, arguments.backbone))}")
    if arguments.backbone or arguments.imagenet:
        given.append(f"--encoder {without_folder(arguments.encoder)}")
    if arguments.table in ACCURACY_TABLES:
        given.append(f"--seeds {arguments.seeds}")
    return f"Made by `python benchmarks/reproduce.py {' '.join(given)} --write`."


def _needs(arguments: argparse.Namespace, data: str) -> str:
    command = f"python benchmarks/reproduce.py --table {arguments.table} {FULL[arguments.table]} --write"
    return f"{NOT_RUN} It needs {data} and CLIP's weights: `{command}`."


def _joined(*parts: str) -> str:
    return "\n\n".join(part.strip() for part in parts)


if __name__ == "__main__":
    main()
