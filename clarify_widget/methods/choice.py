"""Settings chosen on validation by the worst class or, for methods that may see them, the worst group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from clarify_widget.arrays import check_labels
from clarify_widget.errors import DataError
from clarify_widget.evaluation import evaluate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

    from clarify_widget.arrays import Float64Array, IntArray


class _Scores(Protocol):
    """Anything that predicts classes, and says by what scores."""

    def decision_function(self, rows: npt.ArrayLike, /) -> Float64Array: ...

    def predict(self, rows: npt.ArrayLike, /) -> IntArray: ...


Candidate = TypeVar("Candidate", bound=_Scores)


@dataclass(frozen=True)
class Trial:
    """One setting and what it reached on validation.

    Attributes
    ----------
    settings
        Names and values.
    worst_cell
        The lowest accuracy of a class, or of whatever cells were given.
    average
        Share of all validation images that is right.
    """

    settings: Mapping[str, float]
    worst_cell: float
    average: float


@dataclass(frozen=True, eq=False)
class Choice(Generic[Candidate]):
    """The head whose worst validation cell is best, and all trials.

    Attributes
    ----------
    head
        The chosen head.
    chosen
        Its trial.
    trials
        Every setting, in the order in which they were tried.
    """

    head: Candidate
    chosen: Trial
    trials: tuple[Trial, ...]

    def decision_function(self, features: npt.ArrayLike) -> Float64Array:
        """Return (n, C) logits of raw features (n, d)."""
        return self.head.decision_function(features)

    def predict(self, features: npt.ArrayLike) -> IntArray:
        """Return (n,) class indices of raw features (n, d)."""
        return self.head.predict(features)


def choose_by_worst_cell(
    candidates: Iterable[tuple[Mapping[str, float], Candidate]],
    features: npt.ArrayLike,
    labels: npt.ArrayLike,
    cells: npt.ArrayLike | None = None,
) -> Choice[Candidate]:
    """Choose the candidate whose worst validation cell has the highest accuracy.

    Among equals the higher average decides, then the order of the candidates: the same candidates always
    give the same choice.

    Parameters
    ----------
    candidates
        Settings and the head trained with them; a generator trains them one after the other.
    features
        (n, d) raw features of validation.
    labels
        (n,) class indices.
    cells
        (n,) what no cell of may be served badly: slices, or groups for methods that may see them. Without
        them the classes, so that no group label of validation is used either.

    Raises
    ------
    DataError
        When there are no candidates, or arrays do not fit.
    """
    truth = check_labels(labels)
    served = truth if cells is None else check_labels(cells, name="cells")
    head: Candidate | None = None
    chosen: Trial | None = None
    trials = []
    for settings, candidate in candidates:
        found = evaluate(candidate.predict(features), truth, served)
        assert found.worst_group is not None
        trial = Trial(dict(settings), found.worst_group, found.average)
        trials.append(trial)
        if chosen is None or (trial.worst_cell, trial.average) > (chosen.worst_cell, chosen.average):
            head, chosen = candidate, trial
    if head is None or chosen is None:
        raise DataError("There is no setting to choose from; give at least one value of each.")
    return Choice(head, chosen, tuple(trials))
