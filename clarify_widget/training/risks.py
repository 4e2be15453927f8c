"""Risks: one number made of all images' losses, and how much each image weighs in it.

Each is convex and never falls when a loss rises, so its derivative by the losses is a set of weights, and
those weights make a weighted-mean problem whose optimum bounds the risk's from below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from clarify_widget.arrays import Float64Array, IntArray


class Risk(Protocol):
    """A number made of losses, with its derivative by them."""

    def __call__(self, losses: Float64Array) -> tuple[float, Float64Array]:
        """Return the risk and the (n,) weights of the images."""
        ...


@dataclass(frozen=True, eq=False)
class WeightedMean:
    """The mean loss under fixed weights (n,) that sum to 1."""

    weights: Float64Array

    def __call__(self, losses: Float64Array) -> tuple[float, Float64Array]:
        """Return the weighted mean and the weights."""
        return float(self.weights @ losses), self.weights


class Cells:
    """Disjoint cells of images and the mean loss of each.

    Parameters
    ----------
    cells
        (n,) cell of each image; numbers without images are dropped.
    """

    def __init__(self, cells: IntArray) -> None:
        _, self._cells = np.unique(cells, return_inverse=True)
        self._sizes = np.bincount(self._cells)
        self.count = len(self._sizes)

    def means(self, losses: Float64Array) -> Float64Array:
        """Return the mean loss of each cell (K,)."""
        means: Float64Array = np.bincount(self._cells, weights=losses) / self._sizes
        return means

    def spread(self, cell_weights: Float64Array) -> Float64Array:
        """Return the (n,) image weights that give each cell its weight."""
        weights: Float64Array = (cell_weights / self._sizes)[self._cells]
        return weights


@dataclass(frozen=True, eq=False)
class SoftMaximum:
    """temperature * log(sum_k prior_k * exp(mean_k / temperature)), just below the worst cell's mean.

    Attributes
    ----------
    cells
        K cells.
    prior
        (K,) positive, sums to 1.
    temperature
        In nats; the lower, the closer.
    """

    cells: Cells
    prior: Float64Array
    temperature: float

    def __call__(self, losses: Float64Array) -> tuple[float, Float64Array]:
        """Return the soft maximum and the image weights of its tilted cell weights."""
        tilted, log_total = self._tilt(losses)
        return self.temperature * log_total, self.cells.spread(tilted)

    def tilt(self, losses: Float64Array) -> Float64Array:
        """Return the (K,) cell weights: prior * exp(mean / temperature), normalised."""
        return self._tilt(losses)[0]

    def _tilt(self, losses: Float64Array) -> tuple[Float64Array, float]:
        scores = np.log(self.prior) + self.cells.means(losses) / self.temperature
        highest = scores.max()
        powers = np.exp(scores - highest)
        total = powers.sum()
        return powers / total, float(highest + np.log(total))
