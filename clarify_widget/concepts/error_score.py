"""How well one phrase tells the wrong images of a class from the right ones.

The Error Score rescales the best balanced accuracy over all similarity thresholds to 0..1. That maximum is
the two-sample Kolmogorov-Smirnov statistic: as the threshold rises, the share of wrong images above it falls
only at a wrong image. So it is enough to look just below and at each of those, with one sort of either side.
Counts are kept in whole numbers: ties between thresholds are ties, not rounding.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.errors import DataError, ScoreError

if TYPE_CHECKING:
    import numpy.typing as npt

    from clarify_widget.arrays import FloatArray, IntArray

BLOCK = 16  # wrong images that are ruled out, or looked at, together
FEW_BLOCKS = 32  # up to here looking at every image is quicker
MOST_FOR_EXACT_P = 10_000  # of the larger side


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
    p_value = _p_value(found.score, np.asarray(wrong), np.asarray(correct))
    return ErrorScore(found.score, found.threshold, found.direction, p_value)


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
    wrong = _sort_similarities(wrong, "wrong")
    correct = _sort_similarities(correct, "correct")
    n_wrong, n_correct = len(wrong), len(correct)
    rank = _ranks_to_try(wrong, correct)
    below = np.searchsorted(correct, wrong[rank])  # right images less similar than each wrong one
    upto = _with_ties(below, wrong[rank], correct)  # and those just as similar
    # n_wrong * n_correct * (P(wrong > t) - P(correct > t)) for t just below, and then at, each wrong image
    gap_below = below * n_wrong - rank * n_correct
    gap_at = upto * n_wrong - (rank + 1) * n_correct
    highest, lowest = int(gap_below.max()), int(gap_at.min())
    if highest >= -lowest:
        direction, cuts = 1, np.flatnonzero(gap_below == highest)
        wrong_under, correct_under = rank[cuts], below[cuts]
    else:
        direction, cuts = -1, np.flatnonzero(gap_at == lowest)
        wrong_under, correct_under = rank[cuts] + 1, upto[cuts]
    evenest = np.argmin(np.abs(2 * (wrong_under + correct_under) - (n_wrong + n_correct)))
    return Separation(
        score=max(highest, -lowest) / (n_wrong * n_correct),
        threshold=_midpoint(wrong, correct, int(wrong_under[evenest]), int(correct_under[evenest])),
        direction=direction,
    )


def _ranks_to_try(wrong: FloatArray, correct: FloatArray) -> IntArray:
    """Return the ranks of wrong images among which both extremes lie.

    The gaps inside a block of neighbouring wrong images are bounded by the counts at its two ends, so
    blocks that cannot reach the best gap seen at any end are left out.
    """
    n_wrong, n_correct = len(wrong), len(correct)
    if n_wrong <= FEW_BLOCKS * BLOCK:
        return np.arange(n_wrong)
    first = np.arange(0, n_wrong, BLOCK)
    below = np.searchsorted(correct, wrong[::BLOCK]) * n_wrong
    below_next = np.append(below[1:], n_wrong * n_correct)
    gaps = below - first * n_correct
    may_be_highest = below_next - first * n_correct >= gaps.max()
    may_be_lowest = below - (first + BLOCK) * n_correct <= gaps.min()
    return np.flatnonzero(np.repeat(may_be_highest | may_be_lowest, BLOCK)[:n_wrong])


def _with_ties(below: IntArray, wrong: FloatArray, correct: FloatArray) -> IntArray:
    """Return how many right images are at most as similar as each wrong one, given how many are less."""
    tied = np.flatnonzero(correct.take(below, mode="clip") == wrong)
    upto = below.copy()
    upto[tied] = np.searchsorted(correct, wrong[tied], side="right")
    return upto


def _midpoint(wrong: FloatArray, correct: FloatArray, wrong_under: int, correct_under: int) -> float:
    """Return a threshold with this many of the sorted images at or under it, halfway to the next image."""
    cut = ((wrong, wrong_under), (correct, correct_under))
    high = min(float(side[under]) for side, under in cut if under < len(side))
    low = max((float(side[under - 1]) for side, under in cut if under), default=high)
    middle = float(np.result_type(wrong, correct).type(0.5 * low + 0.5 * high))
    # Between two adjacent floats the midpoint may round onto the upper one, which `>` would then leave out.
    return middle if low <= middle < high else low


def _sort_similarities(similarities: npt.ArrayLike, side: str) -> FloatArray:
    array = np.asarray(similarities)
    if array.ndim != 1:
        raise DataError(f"Similarities of {side} images must be a 1-D array; got shape {array.shape}.")
    if not len(array):
        raise ScoreError(
            f"The class has no {side} images, so there is nothing to describe; "
            "choose a class with both right and wrong ones.",
        )
    if array.dtype.kind not in "fiub":
        raise DataError(f"Similarities of {side} images must be numbers; got {array.dtype}.")
    ordered: FloatArray = np.sort(array if array.dtype.kind == "f" else array.astype(np.float64))
    if not (math.isfinite(ordered[0]) and math.isfinite(ordered[-1])):  # NaN sorts last
        bad = np.flatnonzero(~np.isfinite(array))
        raise DataError(
            f"Similarities of {side} images hold NaN or infinity in {len(bad)} of {len(array)} places, "
            f"the first at {bad[0]}; leave those images out or embed them again.",
        )
    return ordered


def _p_value(score: float, wrong: FloatArray, correct: FloatArray) -> float:
    """Return the p-value of the Kolmogorov-Smirnov test, whose statistic is the score."""
    from scipy.stats import ks_2samp, kstwo  # half a second that `import clarify_widget` need not pay

    n_wrong, n_correct = len(wrong), len(correct)
    if max(n_wrong, n_correct) > MOST_FOR_EXACT_P:  # as SciPy does, without sorting once more
        return float(kstwo.sf(score, round(n_wrong * n_correct / (n_wrong + n_correct))))
    with warnings.catch_warnings():
        # Near p = 1 the exact sum can round to just above 1; SciPy says that it then takes the asymptotic p.
        warnings.filterwarnings("ignore", "ks_2samp: Exact calculation unsuccessful", RuntimeWarning)
        return float(ks_2samp(wrong, correct).pvalue)
