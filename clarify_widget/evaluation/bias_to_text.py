"""Keywords beside phrases: the paper's comparison with Bias-to-Text, for one class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from clarify_widget.arrays import check_rows
from clarify_widget.concepts.bias_to_text import clip_score, has_keyword
from clarify_widget.concepts.error_score import error_score
from clarify_widget.concepts.significance import best_of_random
from clarify_widget.errors import DataError
from clarify_widget.evaluation.metrics import CellAccuracy
from clarify_widget.tables import html_table, text_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from clarify_widget.arrays import BoolArray, FloatArray
    from clarify_widget.concepts.error_score import ErrorScore
    from clarify_widget.concepts.significance import BestOfRandom

Membership = Literal["captions", "similarity"]


@dataclass(frozen=True)
class KeywordRow:
    """One keyword.

    Attributes
    ----------
    keyword
        What was compared.
    clip_score
        Mean similarity of wrong minus that of right images; the table prints it times 100, as published.
    subgroup
        The images that have the keyword: how many, how many right, accuracy and its Wilson interval.
    error_score
        Clarify's score of the same keyword, with threshold, direction and p-value.
    corrected_p_value
        That p-value, corrected for the number of keywords in the table.
    """

    keyword: str
    clip_score: float
    subgroup: CellAccuracy
    error_score: ErrorScore
    corrected_p_value: float


@dataclass(frozen=True)
class KeywordTable:
    """Keywords of one class, the highest CLIP score first.

    Attributes
    ----------
    rows
        One a keyword.
    overall
        All images of the class.
    membership
        Whether an image has a keyword by its "captions", or by "similarity" above the Error Score's
        threshold.
    chance
        What the best of as many meaningless keywords would score.
    """

    rows: tuple[KeywordRow, ...]
    overall: CellAccuracy
    membership: Membership
    chance: BestOfRandom

    def __str__(self) -> str:
        """Return the table as text, one keyword a line."""
        table = text_table(_TITLES, [*map(_cells, self.rows)], left=1)
        return f"{table}\n{self.sentence}"

    def _repr_html_(self) -> str:
        """Return the table as a notebook shows it."""
        from html import escape

        table = html_table(_TITLES, [*map(_cells, self.rows)], left=1)
        return f"{table}<p>{escape(self.sentence)}</p>"

    @property
    def sentence(self) -> str:
        """What the subgroups are and what to compare them with."""
        how = (
            "its caption says so"
            if self.membership == "captions"
            else "its similarity is above the threshold"
        )
        turned = any(row.error_score.direction < 0 for row in self.rows)
        return (
            f"The model is right on {_accuracy(self.overall)} of the {self.overall.size:,} images of this "
            f"class. An image has a keyword where {how}. {self.chance.sentence}"
            + (
                ' "(right)": the images that the model gets right are the more similar ones.'
                if turned
                else ""
            )
        )


def keyword_table(
    keywords: Sequence[str],
    similarities: npt.ArrayLike,
    correct: npt.ArrayLike,
    captions: Sequence[str] | None = None,
    *,
    permutations: int = 1000,
    seed: int = 0,
) -> KeywordTable:
    """Judge keywords, or phrases, on one class by the scores of Bias-to-Text and of Clarify.

    Parameters
    ----------
    keywords
        m different keywords.
    similarities
        (m, n) similarity of each keyword with each image of the class.
    correct
        (n,) which of these images the model gets right.
    captions
        n captions. Without them an image has a keyword when its similarity is above the threshold of the
        keyword's Error Score.
    permutations, seed
        Of the corrected p-values, as `best_of_random` takes them.

    Returns
    -------
    KeywordTable
        Print it, or show it in a notebook; a keyword that no caption has keeps its scores and has a subgroup
        of 0 images, with accuracy nan.

    Raises
    ------
    ScoreError
        When all images are right, or all wrong.
    DataError
        When lengths do not fit, keywords are repeated, or a number is NaN.
    PhraseError
        When a keyword is blank.

    Notes
    -----
    Lee et al., "Clarify" (UIST 2024), Table 2 and Appendix B; Kim et al., "Discovering and Mitigating Visual
    Biases through Keyword Explanation" (CVPR 2024).
    """
    rows, right = _check(keywords, similarities, correct, captions)
    chance = best_of_random(rows, right, permutations=permutations, seed=seed)
    made = [
        _row(
            keyword,
            row,
            right,
            None if captions is None else has_keyword(captions, keyword),
            float(corrected),
        )
        for keyword, row, corrected in zip(keywords, rows, chance.p_values, strict=True)
    ]
    return KeywordTable(
        tuple(sorted(made, key=lambda row: -row.clip_score)),
        CellAccuracy("all images", len(right), int(right.sum())),
        "similarity" if captions is None else "captions",
        chance,
    )


def _check(
    keywords: Sequence[str],
    similarities: npt.ArrayLike,
    correct: npt.ArrayLike,
    captions: Sequence[str] | None,
) -> tuple[FloatArray, BoolArray]:
    if isinstance(keywords, str):
        raise DataError(f"keywords must be a list of texts; got {keywords!r}. Put it in a list.")
    if len(set(keywords)) < len(keywords):
        repeated = sorted({keyword for keyword in keywords if list(keywords).count(keyword) > 1})
        raise DataError(f"Each keyword makes one row; {repeated} are given more than once.")
    rows = check_rows(similarities, name="similarities")
    right = np.asarray(correct)
    if rows.shape != (len(keywords), right.size) or right.ndim != 1 or right.dtype != np.bool_:
        raise DataError(
            f"For {len(keywords)} keywords, similarities must be one row a keyword and correct one boolean "
            f"an image; got {rows.shape}, and {right.dtype} of shape {right.shape}.",
        )
    if captions is not None and len(captions) != len(right):
        raise DataError(f"There are {len(captions)} captions for {len(right)} images; give one an image.")
    return rows, right


def _row(
    keyword: str, similarities: FloatArray, correct: BoolArray, has: BoolArray | None, corrected: float
) -> KeywordRow:
    wrong, right = similarities[~correct], similarities[correct]
    score = error_score(wrong, right)
    members = similarities > score.threshold if has is None else has
    subgroup = CellAccuracy(keyword, int(members.sum()), int((members & correct).sum()))
    return KeywordRow(keyword, clip_score(wrong, right), subgroup, score, corrected)


_TITLES = (
    "Keyword",
    "CLIP score",
    "Subgroup accuracy",
    "95% interval",
    "N",
    "Error Score",
    "p",
    "corrected p",
)


def _cells(row: KeywordRow) -> tuple[str, ...]:
    subgroup, score = row.subgroup, row.error_score
    low, high = subgroup.interval
    return (
        row.keyword,
        f"{100 * row.clip_score:.2f}",
        _accuracy(subgroup),
        f"{100 * low:.1f}-{100 * high:.1f}" if subgroup.size else "-",
        f"{subgroup.size:,}",
        f"{score.score:.2f}" + (" (right)" if score.direction < 0 else ""),
        _p_value(score.p_value),
        _p_value(row.corrected_p_value),
    )


def _p_value(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"{p_value:.2g}"


def _accuracy(cell: CellAccuracy) -> str:
    return f"{cell.accuracy:.1%}" if cell.size else "-"
