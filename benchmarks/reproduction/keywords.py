"""Table 2: keywords by Bias-to-Text's CLIP score and by Clarify's Error Score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.encoders.embed import embed_phrase
from clarify_widget.evaluation.bias_to_text import keyword_table
from clarify_widget.methods.problem import embeddings_of
from reproduction.page import markdown_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paper_tables import KeywordClass

    from clarify_widget.arrays import BoolArray, FloatArray
    from clarify_widget.encoders.base import Encoder
    from clarify_widget.evaluation.bias_to_text import KeywordRow, KeywordTable
    from reproduction.sources import Source

MOST = 10


def table_of_class(
    encoder: Encoder,
    embeddings: FloatArray,
    correct: BoolArray,
    keywords: Sequence[str],
    captions: Sequence[str] | None = None,
) -> KeywordTable:
    """Judge keywords on the images (n, e) of one class."""
    rows: FloatArray = np.array([embed_phrase(encoder, keyword) for keyword in keywords], np.float32)
    return keyword_table(keywords, rows @ embeddings.T, correct, captions)


def two_class_tables(source: Source, candidates: Sequence[str]) -> str:
    """Return, for each class, the keywords of highest CLIP score and the phrase given as text feedback."""
    problem = source.feedback
    sections = []
    for label, class_name in enumerate(problem.dataset.class_names):
        members = problem.val.labels == label
        said = problem.words.phrases[class_name][0]
        keywords = list(dict.fromkeys([*candidates, said]))
        table = table_of_class(
            problem.encoder, embeddings_of(problem.val)[members], problem.erm_correct[members], keywords
        )
        by_score = sorted(table.rows, key=lambda row: -row.error_score.score)
        top = list(table.rows[:MOST])
        shown = top if any(row.keyword == said for row in top) else [*top, _row_of(table, said)]
        overall = table.overall
        place = 1 + [row.keyword for row in table.rows].index(said)
        sections.append(
            f"Class {class_name}: {overall.size} validation images, {100 * overall.accuracy:.1f} % right. Of "
            f'{len(keywords):,} candidates "{said}" is number {place:,} by CLIP score and number '
            f"{1 + [row.keyword for row in by_score].index(said):,} by Error Score; the highest Error Score "
            f'has "{by_score[0].keyword}" ({by_score[0].error_score.score:.2f}).'
        )
        sections.append(markdown_table(_HEAD, [_cells(row, said) for row in shown], left=1))
    return "\n\n".join(sections)


def paper_beside(name: str, paper: KeywordClass, table: KeywordTable | None) -> str:
    """Return the paper's keywords of one class of ImageNet, beside ours."""
    ours = {row.keyword: row for row in table.rows} if table is not None else {}
    lines = [
        [
            keyword.keyword,
            f"{keyword.clip_score:.2f}",
            f"{keyword.subgroup_accuracy:.1f} (N={keyword.size})",
            *_ours(ours.get(keyword.keyword)),
        ]
        for keyword in paper.keywords
    ]
    lines.append([f"**{paper.phrase}** (Clarify)", "", "", *_ours(ours.get(paper.phrase))])
    head = (f"{name}: keyword", "CLIP score: paper", "subgroup accuracy: paper", *_HEAD[1:])
    return markdown_table(head, lines, left=1)


_HEAD = ("keyword", "CLIP score", "subgroup accuracy", "Error Score", "p-value")


def _row_of(table: KeywordTable, keyword: str) -> KeywordRow:
    return next(row for row in table.rows if row.keyword == keyword)


def _cells(row: KeywordRow, said: str) -> list[str]:
    name = f"**{row.keyword}** (Clarify)" if row.keyword == said else row.keyword
    return [name, *_ours(row)]


def _ours(row: KeywordRow | None) -> list[str]:
    if row is None:
        return ["not run"] * 4
    subgroup, score = row.subgroup, row.error_score
    accuracy = f"{100 * subgroup.accuracy:.1f}" if subgroup.size else "-"
    return [
        f"{100 * row.clip_score:.2f}",
        f"{accuracy} (N={subgroup.size})",
        f"{score.score:.2f}" + (" (right)" if score.direction < 0 else ""),
        "< 0.001" if score.p_value < 0.001 else f"{score.p_value:.2g}",
    ]
