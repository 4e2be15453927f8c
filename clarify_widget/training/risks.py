"""Risks: one number made of all images' losses, and how much each image weighs in it.

Each is convex and never falls when a loss rises, so its derivative by the losses is a set of weights, and
those weights make a weighted-mean problem whose optimum bounds the risk's from below. With a model and its
penalty a risk is an objective, which is all that a solver sees.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from clarify_widget.training.distributed import ALONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from clarify_widget.arrays import Float64Array, IntArray
    from clarify_widget.training.distributed import Together
    from clarify_widget.training.models import Evaluation, LinearModel


class Objective(Protocol):
    """K problems to minimise: a risk of each plus the model's penalty."""

    @property
    def model(self) -> LinearModel:
        """Over what."""
        ...

    def evaluate(self, parameters: torch.Tensor, problems: Sequence[int], *, curvature: bool) -> Evaluation:
        """Return values and gradients of some problems at parameters (len(problems), p)."""
        ...


@dataclass(frozen=True, eq=False)
class WeightedMeans:
    """The mean losses under K fixed sets of weights (K, n), each with sum 1."""

    model: LinearModel
    weights: torch.Tensor

    def evaluate(self, parameters: torch.Tensor, problems: Sequence[int], *, curvature: bool) -> Evaluation:
        """Return values and gradients of some problems at parameters (len(problems), p)."""
        chosen = self.weights if len(problems) == len(self.weights) else self.weights[list(problems)]
        return self.model.evaluate(parameters, chosen, curvature=curvature)


class Cells:
    """Disjoint cells of images and the mean loss of each.

    Parameters
    ----------
    cells
        (n,) cell of each image; numbers without images are dropped.
    part
        Which of the images are of this process, where several are `together`.
    """

    def __init__(self, cells: IntArray, part: slice = slice(None), together: Together = ALONE) -> None:
        _, numbered = np.unique(cells, return_inverse=True)
        self._sizes = np.bincount(numbered)
        self._cells = numbered[part]
        self._together = together
        self.count = len(self._sizes)

    def means(self, losses: Float64Array) -> Float64Array:
        """Return the mean loss of each cell (K,), from the losses of the images of this process."""
        import torch

        sums = np.bincount(self._cells, weights=losses, minlength=self.count)
        self._together.sum(torch.from_numpy(sums))
        means: Float64Array = sums / self._sizes
        return means

    def spread(self, cell_weights: Float64Array) -> Float64Array:
        """Return the weights that give each cell its weight, of the images of this process."""
        weights: Float64Array = (cell_weights / self._sizes)[self._cells]
        return weights


@dataclass(frozen=True, eq=False)
class SoftMaximum:
    """temperature * log(sum_k prior_k * exp(mean_k / temperature)), just below the worst cell's mean.

    Attributes
    ----------
    model
        The linear model.
    cells
        M cells.
    prior
        (M,) positive, sums to 1.
    temperature
        In nats; the lower, the closer.
    """

    model: LinearModel
    cells: Cells
    prior: Float64Array
    temperature: float

    def evaluate(self, parameters: torch.Tensor, problems: Sequence[int], *, curvature: bool) -> Evaluation:
        """Return the one problem's value and gradient: one pass for the losses, one for their weights."""
        assert list(problems) == [0]
        means = self.cells.means(losses_of(self.model, parameters[0]))
        tilted, log_total = self._tilt(means)
        found = self.model.evaluate(
            parameters, image_weights(self.model, self.cells.spread(tilted)), curvature=curvature
        )
        weighted_mean = float(tilted @ means)
        return replace(found, values=found.values + (self.temperature * log_total - weighted_mean))

    def tilt(self, losses: Float64Array) -> Float64Array:
        """Return the (M,) cell weights: prior * exp(mean / temperature), normalised."""
        return self._tilt(self.cells.means(losses))[0]

    def _tilt(self, means: Float64Array) -> tuple[Float64Array, float]:
        scores = np.log(self.prior) + means / self.temperature
        highest = scores.max()
        powers = np.exp(scores - highest)
        total = powers.sum()
        return powers / total, float(highest + np.log(total))


def losses_of(model: LinearModel, parameters: torch.Tensor) -> Float64Array:
    """Return (n,) losses at parameters (p,)."""
    losses: Float64Array = model.losses(parameters[None])[0].cpu().numpy()
    return losses


def image_weights(model: LinearModel, weights: Float64Array) -> torch.Tensor:
    """Return weights (n,) or (K, n) as a (K, n) tensor where the model computes."""
    import torch

    return torch.from_numpy(np.atleast_2d(weights)).to(model.device)
