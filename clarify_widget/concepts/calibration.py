"""From which similarity on an image has a phrase, when nobody says so: one threshold a phrase.

Cosines of different phrases are on different scales, so no one number will do. Where the similarities of all
images with a phrase have two humps, those that have it and those that have not, the threshold is the cut
whose two normal curves fit them best (minimum error thresholding). That also finds the cut where few images
have the phrase, which the more usual two-means cut (Otsu) does not. Where no two curves describe the
similarities better than one, there is no such cut, and the two-means cut divides the more from the less.

Neither looks at what a model predicts, nor at the classes: a test that compares the model's accuracy on both
sides stays exact, and a phrase means the same in every class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.arrays import check_rows
from clarify_widget.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    from clarify_widget.arrays import BoolArray, Float64Array, FloatArray, IntArray

LEAST = 10
"""Images on the smaller side of a cut; the spread of fewer says little."""

_LARGEST_SHARE = 0.25  # that LEAST may be of all images: of few, it would leave no cut to choose
_SMALLEST_SPREAD = 1e-6  # of a side, beside that of all: ties must not look like a sharp hump
_BLOCK = 1 << 20  # similarities


def calibrated_thresholds(similarities: npt.ArrayLike) -> FloatArray:
    """Return the threshold of each phrase that divides the images that have it from those that have not.

    Parameters
    ----------
    similarities
        (m, n) similarity of each phrase with each image; of all classes, whatever the model makes of them.

    Returns
    -------
    (m,) in the precision of the similarities: halfway between two neighbouring ones, so that
    `similarities > threshold` cuts exactly there. A phrase that is equally similar to all images gets that
    similarity, so that none has it.

    Raises
    ------
    DataError
        When there are no images, or a number is NaN or infinite.

    Notes
    -----
    Kittler and Illingworth, "Minimum error thresholding" (Pattern Recognition, 1986), Eq. 15; Otsu, "A
    threshold selection method from gray-level histograms" (1979), Eq. 18. Both over every cut between
    neighbours instead of a histogram.
    """
    rows = check_rows(similarities, name="similarities")
    if not rows.shape[1]:
        raise DataError("A threshold is calibrated on the similarities of images; there are none.")
    step = max(1, _BLOCK // rows.shape[1])
    parts = [_thresholds(np.sort(rows[i : i + step], axis=1)) for i in range(0, len(rows), step)]
    return np.concatenate([np.empty(0, rows.dtype), *parts])


def _thresholds(ordered: Any) -> FloatArray:
    """Return (m,) thresholds of rising similarities (m, n)."""
    possible = _possible_cuts(ordered)
    two_curves, one_curve, two_means = _criteria(ordered)
    two_curves[~possible], two_means[~possible] = np.inf, -np.inf
    fits = two_curves.min(axis=1, initial=np.inf) < one_curve
    found = possible.any(axis=1)
    thresholds: FloatArray = ordered[:, -1].copy()
    cut = np.where(fits[found], two_curves[found].argmin(axis=1), two_means[found].argmax(axis=1))
    thresholds[found] = _midpoints(ordered[found], cut)
    return thresholds


def _possible_cuts(ordered: FloatArray) -> BoolArray:
    """Return (m, n - 1) after which images a cut may be: not within a tie, nor close to either end."""
    least = max(1, min(LEAST, int(_LARGEST_SHARE * ordered.shape[1])))
    possible: BoolArray = ordered[:, :-1] < ordered[:, 1:]
    possible[:, : least - 1] = False
    possible[:, possible.shape[1] - least + 1 :] = False
    return possible


def _criteria(ordered: FloatArray) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Return the cost of a normal curve on each side (m, n - 1), of one (m,), and the gain of two means.

    The first two are, but for the same constant, twice the mean negative log-likelihood.
    """
    size = ordered.shape[1]
    centred = ordered - ordered.mean(axis=1, keepdims=True, dtype=np.float64)
    spread = np.maximum(centred.var(axis=1), np.finfo(np.float64).tiny)
    under = np.arange(1, size)
    share = under / size
    total, squares = np.cumsum(centred, axis=1), np.cumsum(centred**2, axis=1)
    mean_under, mean_above = total[:, :-1] / under, -total[:, :-1] / (size - under)
    floor = _SMALLEST_SPREAD * spread[:, None]
    variance_under = np.maximum(squares[:, :-1] / under - mean_under**2, floor)
    variance_above = np.maximum((squares[:, -1:] - squares[:, :-1]) / (size - under) - mean_above**2, floor)
    two_curves = share * np.log(variance_under / share**2) + (1 - share) * np.log(
        variance_above / (1 - share) ** 2
    )
    two_means = share * (1 - share) * (mean_under - mean_above) ** 2
    return two_curves, np.log(spread), two_means


def _midpoints(ordered: Any, cut: IntArray) -> FloatArray:
    """Return (m,) thresholds halfway between the images before and after each cut (m,)."""
    places = np.arange(len(ordered))
    low, high = ordered[places, cut], ordered[places, cut + 1]
    middle = (low / 2 + high / 2).astype(ordered.dtype)
    # Between two adjacent floats the midpoint may round onto the upper one, which `>` would then leave out.
    middles: FloatArray = np.where(middle < high, middle, low)
    return middles
