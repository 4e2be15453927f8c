"""Two phrases on one class: what each is worth, and where they say the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.evaluation import CellAccuracy
from clarify_widget.session.scoring import score_phrase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clarify_widget.arrays import BoolArray
    from clarify_widget.session.results import PhraseScore
    from clarify_widget.session.session import Session


@dataclass(frozen=True)
class PhraseComparison:
    """Two phrases on the validation images of one class.

    Attributes
    ----------
    first, second
        Their Error Scores.
    both, only_first, only_second, neither
        The images that have both phrases at their thresholds, one, the other, or none.
    correlation
        Pearson's, of the two similarities; nan when one of them is constant.
    """

    first: PhraseScore
    second: PhraseScore
    both: CellAccuracy
    only_first: CellAccuracy
    only_second: CellAccuracy
    neither: CellAccuracy
    correlation: float

    @property
    def cells(self) -> tuple[CellAccuracy, ...]:
        """The table, row by row: with the first phrase, then without it; with the second, then without it."""
        return self.both, self.only_first, self.only_second, self.neither

    @property
    def agreement(self) -> float:
        """The share of images on which the two agree."""
        return (self.both.size + self.neither.size) / sum(cell.size for cell in self.cells)

    @property
    def sentence(self) -> str:
        """The result in one sentence for people."""
        worst = min((cell for cell in self.cells if cell.size), key=lambda cell: cell.accuracy)
        return (
            f"“{self.first.phrase}” ({self.first.score:.2f}) and “{self.second.phrase}” "
            f"({self.second.score:.2f}) agree on {self.agreement:.0%} of the {self.first.class_name} images; "
            f"the AI does worst on those {worst.name}: {worst.accuracy:.0%} of {worst.size:,} right."
        )


def compare_phrases(
    session: Session, class_name: str, first: str, second: str, thresholds: Mapping[str, float] | None
) -> PhraseComparison:
    """Compare two phrases; see `Session.compare_phrases` for the errors."""
    scores = [score_phrase(session, class_name, phrase) for phrase in (first, second)]
    splits = [
        session.split(class_name, scored.phrase, session.threshold_of(scored, thresholds))
        for scored in scores
    ]
    correct, (a, b) = splits[0].correct, (split.has for split in splits)

    def cell(name: str, members: BoolArray) -> CellAccuracy:
        return CellAccuracy(name, int(members.sum()), int(correct[members].sum()))

    one, other = (f"“{scored.phrase}”" for scored in scores)
    return PhraseComparison(
        scores[0],
        scores[1],
        both=cell(f"with {one} and {other}", a & b),
        only_first=cell(f"with {one} but without {other}", a & ~b),
        only_second=cell(f"with {other} but without {one}", b & ~a),
        neither=cell(f"without {one} and {other}", ~a & ~b),
        correlation=_correlation(*(split.similarities.astype(np.float64) for split in splits)),
    )


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    a, b = first - first.mean(), second - second.mean()
    lengths = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / lengths if lengths > 0 else float("nan")
