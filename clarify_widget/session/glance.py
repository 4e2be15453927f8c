"""What a page shows of the similarities to a phrase before they have come: they are many.

The page counts the same when it has them; see `histogram` and `split` of js/src/examples.ts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from clarify_widget.arrays import BoolArray, FloatArray

FEWEST_BINS = 16
MOST_BINS = 48


def glance_json(similar: FloatArray, correct: BoolArray, threshold: float) -> dict[str, Any]:
    """Return the histogram of a class and the size of the side without the phrase.

    Parameters
    ----------
    similar
        (n,) similarities of the validation images of the class, at least one.
    correct
        (n,) which of them the model gets right.
    threshold
        With the phrase where the similarity is strictly above it.
    """
    similar = similar.astype(np.float64)  # as JavaScript counts
    low, high = float(similar.min()), float(similar.max())
    below = similar <= threshold
    return {
        "low": low,
        "high": high,
        **_histogram(similar, correct, *_edges(low, high)),
        "without": [int(np.count_nonzero(below)), int(np.count_nonzero(below & ~correct))],
    }


def _edges(low: float, high: float) -> tuple[float, float]:
    """Return where the histogram begins and ends: a little beyond the similarities, which are cosines."""
    margin = (high - low) * 0.02 or 0.01
    return max(min(-1.0, low), low - margin), min(max(1.0, high), high + margin)


def _histogram(similar: FloatArray, correct: BoolArray, low: float, high: float) -> dict[str, list[int]]:
    bins = max(FEWEST_BINS, min(MOST_BINS, math.floor(2 * math.sqrt(len(similar)) + 0.5)))
    places = np.clip((similar - low) * (bins / (high - low)), 0, bins - 1).astype(np.int64)
    wrong, right = np.bincount(places + bins * correct, minlength=2 * bins).reshape(2, bins)
    return {"right": right.tolist(), "wrong": wrong.tolist()}
