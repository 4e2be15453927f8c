"""Two accuracies side by side, of many pairs at once: interval of the difference, exact test, correction."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.errors import DataError
from clarify_widget.evaluation.intervals import wilson_bounds

if TYPE_CHECKING:
    import numpy.typing as npt

    from clarify_widget.arrays import Float64Array


def newcombe_interval(
    first_correct: npt.ArrayLike,
    first_size: npt.ArrayLike,
    second_correct: npt.ArrayLike,
    second_size: npt.ArrayLike,
    confidence: float = 0.95,
) -> tuple[Float64Array, Float64Array]:
    """Return Newcombe's hybrid score interval of the first accuracy minus the second.

    Parameters
    ----------
    first_correct, first_size, second_correct, second_size
        (m,) numbers of images that are right, and of all, on either side of each pair; sizes are at least 1.
    confidence
        Coverage, in 0..1.

    Returns
    -------
    (m,) lower and (m,) upper bounds in -1..1.

    Raises
    ------
    DataError
        When the counts are impossible.

    Notes
    -----
    Newcombe, "Interval estimation for the difference between independent proportions" (1998), method 10.
    """
    first, second = _check(first_correct, first_size), _check(second_correct, second_size)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    (first_low, first_high), (second_low, second_high) = wilson_bounds(*first, z), wilson_bounds(*second, z)
    share, other = first[0] / first[1], second[0] / second[1]
    low = share - other - np.hypot(share - first_low, second_high - other)
    high = share - other + np.hypot(first_high - share, other - second_low)
    return np.clip(low, -1, 1), np.clip(high, -1, 1)


def fisher_p_values(
    first_correct: npt.ArrayLike,
    first_size: npt.ArrayLike,
    second_correct: npt.ArrayLike,
    second_size: npt.ArrayLike,
) -> Float64Array:
    """Return the two-sided p-values of Fisher's exact test: twice the smaller one-sided ones, at most 1.

    Exact for any size, so that false alarms are never more often than stated. This "central" form, unlike
    the sum of all tables that are no more likely, belongs to one direction at a time, and all pairs are done
    in one call.

    Parameters
    ----------
    first_correct, first_size, second_correct, second_size
        (m,) as `newcombe_interval` takes them.

    Raises
    ------
    DataError
        When the counts are impossible.

    Notes
    -----
    Fisher, "The logic of inductive inference" (1935); Fay, "Confidence intervals that match Fisher's exact or
    Blaker's exact tests" (2010) on the central form.
    """
    from scipy.stats import hypergeom  # half a second that `import clarify_widget` need not pay

    (correct, size), (other_correct, other_size) = (
        _check(first_correct, first_size),
        _check(second_correct, second_size),
    )
    whole = (size + other_size, size, correct + other_correct)
    fewer, more = hypergeom.cdf(correct, *whole), hypergeom.sf(correct - 1, *whole)
    p_values: Float64Array = np.minimum(1.0, 2 * np.minimum(fewer, more))
    return p_values


def holm(p_values: npt.ArrayLike) -> Float64Array:
    """Return p-values that are corrected for how many they are, by Holm's step-down method.

    The chance that any true null hypothesis falls below a level is at most that level, whatever the
    hypotheses have to do with each other.

    Parameters
    ----------
    p_values
        (m,) in 0..1.

    Raises
    ------
    DataError
        When they are not 1-D numbers in 0..1.

    Notes
    -----
    Holm, "A simple sequentially rejective multiple test procedure" (1979).
    """
    given = np.asarray(p_values, dtype=np.float64)
    if given.ndim != 1 or not ((given >= 0) & (given <= 1)).all():
        raise DataError(f"p-values must be a 1-D array of numbers in 0..1; got {p_values!r}.")
    order = np.argsort(given, kind="stable")
    stepped = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1))
    corrected = np.empty_like(given)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


def _check(correct: npt.ArrayLike, size: npt.ArrayLike) -> tuple[Float64Array, Float64Array]:
    right, all_ = np.asarray(correct, dtype=np.float64), np.asarray(size, dtype=np.float64)
    if right.shape != all_.shape or not ((right >= 0) & (right <= all_) & (all_ >= 1)).all():
        raise DataError(
            "Of each pair give how many images are right, 0 to all, and how many there are, at least 1."
        )
    return right, all_
