"""How well one phrase tells the wrong images of a class from the right ones.

The Error Score rescales the best balanced accuracy over all similarity thresholds to 0..1. That maximum is
the two-sample Kolmogorov-Smirnov statistic, and it only changes at an observed similarity, so one sort and
one running count find it exactly. The count is kept in whole numbers: ties between thresholds are ties, not
rounding.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.errors import DataError, ScoreError

if TYPE_CHECKING:
    import numpy.typing as npt

    from clarify_widget.arrays import FloatArray, IntArray


@dataclass(frozen=True)
class Separation:
    """The threshold that best separates two samples of similarities.

    Attributes
    ----------
    score
        max over thresholds t of |P(wrong > t) - P(correct > t)|, in 0..1.
    threshold
        A similarity t that reaches it: images with `similarity > threshold` are on the "with" side.
    direction
        +1 when the wrong images are the more similar ones, else -1.
    """

    score: float
    threshold: float
    direction: int


@dataclass(frozen=True)
class ErrorScore(Separation):
    """The Error Score of one phrase on one class, with the chance of seeing as much in pure noise.

    Attributes
    ----------
    p_value
        Two-sided p-value of the two-sample Kolmogorov-Smirnov test.
    """

    p_value: float


def error_score(wrong: npt.ArrayLike, correct: npt.ArrayLike) -> ErrorScore:
    """Score how well similarity to a phrase predicts the model's errors on one class.

    Parameters
    ----------
    wrong
        (n_wrong,) similarities of the images of the class that the model gets wrong.
    correct
        (n_correct,) similarities of those that it gets right.

    Returns
    -------
    ErrorScore
        `score` is 2 * (best balanced accuracy - 0.5) over all thresholds, exactly; see `separate` for the
        choice of threshold. The p-value is exact up to 10,000 images a side and asymptotic beyond.

    Raises
    ------
    ScoreError
        When there are no wrong, or no correct, images.
    DataError
        When an array is not 1-D numbers, or holds NaN or infinity.

    Notes
    -----
    Lee et al., "Clarify" (UIST 2024), section 4.1, paragraph "Error score".
    """
    found = separate(wrong, correct)
    return ErrorScore(found.score, found.threshold, found.direction, _p_value(wrong, correct))


def separate(wrong: npt.ArrayLike, correct: npt.ArrayLike) -> Separation:
    """Find the threshold with the best balanced accuracy; `error_score` without the p-value.

    The threshold is the midpoint of two neighbouring distinct similarities, in the precision of the input,
    so that `similarities > threshold` cuts exactly there. Among equally good thresholds one with the wrong
    images on the "with" side comes first, then the one that splits the images most evenly, then the lowest.

    Parameters
    ----------
    wrong
        (n_wrong,) similarities.
    correct
        (n_correct,) similarities.

    Raises
    ------
    ScoreError, DataError
        As `error_score`.
    """
    wrong = _check_similarities(wrong, "wrong")
    correct = _check_similarities(correct, "correct")
    values = np.concatenate([wrong, correct])
    order = np.argsort(values)
    values = values[order]
    cuts = np.flatnonzero(values[1:] != values[:-1])  # between positions i and i + 1
    if not len(cuts):
        return Separation(score=0.0, threshold=float(values[0]), direction=1)
    excess = _excess_above(order, len(wrong), len(correct))[cuts]
    best = _best_cut(excess, cuts, len(values))
    return Separation(
        score=abs(int(excess[best])) / (len(wrong) * len(correct)),
        threshold=_midpoint(values[cuts[best]], values[cuts[best] + 1]),
        direction=-1 if excess[best] < 0 else 1,
    )


def _excess_above(order: IntArray, n_wrong: int, n_correct: int) -> IntArray:
    """Return n_wrong * n_correct * (P(wrong > t) - P(correct > t)) for t just above each sorted value."""
    steps = np.where(order < n_wrong, -n_correct, n_wrong)  # passing a wrong image leaves one fewer above
    excess: IntArray = np.cumsum(steps, dtype=np.int64)
    return excess


def _best_cut(excess: IntArray, cuts: IntArray, size: int) -> int:
    highest, lowest = int(excess.max()), int(excess.min())
    target = highest if highest >= -lowest else lowest
    tied = np.flatnonzero(excess == target)
    return int(tied[np.argmin(np.abs(2 * (cuts[tied] + 1) - size))])


def _midpoint(low: np.floating, high: np.floating) -> float:
    middle = type(low)(0.5 * float(low) + 0.5 * float(high))
    # Between two adjacent floats the midpoint may round onto the upper one, which `>` would then leave out.
    return float(middle if low <= middle < high else low)


def _check_similarities(similarities: npt.ArrayLike, side: str) -> FloatArray:
    array = np.asarray(similarities)
    if array.ndim != 1:
        raise DataError(f"Similarities of {side} images must be a 1-D array; got shape {array.shape}.")
    if not len(array):
        other = "right" if side == "wrong" else "wrong"
        raise ScoreError(
            f"The class has no {side} images, only {other} ones, so there is nothing to describe; "
            "choose a class with both.",
        )
    if array.dtype.kind not in "fiub":
        raise DataError(f"Similarities of {side} images must be numbers; got {array.dtype}.")
    floats: FloatArray = array if array.dtype.kind == "f" else array.astype(np.float64)
    if not np.isfinite(floats).all():
        bad = np.flatnonzero(~np.isfinite(floats))
        raise DataError(
            f"Similarities of {side} images hold NaN or infinity in {len(bad)} of {len(floats)} places, "
            f"the first at {bad[0]}; leave those images out or embed them again.",
        )
    return floats


def _p_value(wrong: npt.ArrayLike, correct: npt.ArrayLike) -> float:
    from scipy.stats import ks_2samp  # half a second that `import clarify_widget` need not pay

    with warnings.catch_warnings():
        # Near p = 1 the exact sum can round to just above 1; SciPy then says that it takes the asymptotic value.
        warnings.filterwarnings("ignore", "ks_2samp: Exact calculation unsuccessful", RuntimeWarning)
        return float(ks_2samp(wrong, correct).pvalue)
