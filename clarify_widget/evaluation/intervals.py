"""How far an accuracy, or a change of it, may be chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt


def wilson_interval(correct: int, size: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of an accuracy.

    Parameters
    ----------
    correct
        Number of images that are right, 0..size.
    size
        Number of images; the interval of none is (nan, nan).
    confidence
        Coverage, in 0..1.

    Raises
    ------
    DataError
        When the counts are impossible.

    Notes
    -----
    Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
    """
    if not 0 <= correct <= size:
        raise DataError(f"{correct} right of {size} images is impossible.")
    if size == 0:
        return math.nan, math.nan
    # scipy's binomtest has it too, but works out a p-value first: a millisecond, many times a phrase.
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    low, high = wilson_bounds(correct, size, z)
    return max(0.0, low), min(1.0, high)


def wilson_bounds(correct: Any, size: Any, z: float) -> tuple[Any, Any]:
    """Return the bounds of `wilson_interval`, but for rounding, of numbers or of arrays of them.

    Parameters
    ----------
    correct, size
        Numbers of images; sizes are at least 1.
    z
        The normal quantile of the coverage.
    """
    share, spread = correct / size, z**2 / size
    middle = (share + spread / 2) / (1 + spread)
    half = (share * (1 - share) * spread + spread**2 / 4) ** 0.5 / (1 + spread)
    return middle - half, middle + half


def mean_interval(values: npt.ArrayLike, confidence: float = 0.95) -> tuple[float, float]:
    """Return Student's interval of a mean over independent runs.

    Parameters
    ----------
    values
        (s,) one number a run, such as the worst-group accuracy of each seed.
    confidence
        Coverage, in 0..1.

    Returns
    -------
    Low and high; (nan, nan) for fewer than two runs. All runs alike make an interval without width.

    Raises
    ------
    DataError
        When the values are not a 1-D array of finite numbers.
    """
    from scipy.stats import sem, t  # half a second that `import clarify_widget` need not pay

    runs = np.asarray(values, dtype=np.float64)
    if runs.ndim != 1 or not np.isfinite(runs).all():
        raise DataError(f"The values of runs must be a 1-D array of finite numbers; got {values!r}.")
    if len(runs) < 2:
        return math.nan, math.nan
    half = float(sem(runs) * t.ppf(0.5 + confidence / 2, len(runs) - 1))
    mean = float(runs.mean())
    return mean - half, mean + half


@dataclass(frozen=True)
class PairedTest:
    """Two models on the same images.

    Attributes
    ----------
    fixed
        Number of images that only the second model gets right.
    broken
        Number of images that only the first one gets right.
    p_value
        Two-sided exact McNemar test; 1.0 when no image changed.
    """

    fixed: int
    broken: int
    p_value: float


def paired_test(before_correct: npt.ArrayLike, after_correct: npt.ArrayLike) -> PairedTest:
    """Test whether more images were fixed than broken, or fewer, than chance would have it.

    Parameters
    ----------
    before_correct, after_correct
        (n,) booleans, row i of both is the same image.

    Raises
    ------
    DataError
        When the two do not belong to the same images.

    Notes
    -----
    McNemar, "Note on the sampling error of the difference between correlated proportions" (1947), exact form.
    """
    from scipy.stats import binomtest  # half a second that `import clarify_widget` need not pay

    before, after = np.asarray(before_correct, dtype=bool), np.asarray(after_correct, dtype=bool)
    if before.ndim != 1 or before.shape != after.shape:
        raise DataError(
            f"Before and after must be 1-D over the same images; got {before.shape} and {after.shape}."
        )
    fixed, broken = int((~before & after).sum()), int((before & ~after).sum())
    p_value = float(binomtest(fixed, fixed + broken).pvalue) if fixed + broken else 1.0
    return PairedTest(fixed, broken, p_value)
