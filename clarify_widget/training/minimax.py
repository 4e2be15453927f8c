"""Minimise the worst cell's mean loss + penalty: exponential multipliers around a smooth solver.

The least maximum over cells is also the greatest weighted-mean optimum over cell weights q (von Neumann,
Sion). So each round replaces the maximum by a soft maximum tilted towards the current q, minimises that, and
lets the tilted weights be the next q. That is a proximal-point step on the concave dual in relative entropy:
it needs no step size, and a few rounds do, long before the temperature is near zero. After each round the
dual value at q bounds the optimum from below, so the distance left is known and reported, not guessed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.training.lbfgs import FitProgress, Minimum, minimise
from clarify_widget.training.risks import SoftMaximum, image_weights, losses_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from clarify_widget.arrays import Float64Array
    from clarify_widget.training.models import LinearModel
    from clarify_widget.training.risks import Cells

RELATIVE_GAP = 1e-6
MAX_ROUNDS = 25
TEMPERATURE = 0.03  # times the objective: higher needs more rounds, lower more iterations in each
COOLING = 0.6  # each round, as closely tied cells take long to sort out otherwise
FIRST_TOLERANCE = (
    1e-3  # times the objective; tenfold tighter each round, as early rounds only need a direction
)
LAST_TOLERANCE = 1e-7
SMALLEST_WEIGHT = 1e-12  # so that a cell can come back


@dataclass(frozen=True, eq=False)
class WorstCaseMinimum:
    """Where the rounds stopped.

    Attributes
    ----------
    minimum
        Best parameters seen, with the worst cell's objective there.
    lower_bound
        A value that no parameters can go below.
    """

    minimum: Minimum
    lower_bound: float


def minimise_worst_cell(
    model: LinearModel,
    cells: Cells,
    start: torch.Tensor,
    *,
    progress: Callable[[FitProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> WorstCaseMinimum:
    """Minimise max_k mean_k(losses) + penalty to a relative duality gap of 1e-6.

    Parameters
    ----------
    model
        The linear model.
    cells
        The K cells.
    start
        Parameters (p,) to begin with.
    progress, cancelled
        As `minimise`.

    Raises
    ------
    CancelledError
        When `cancelled` says so.

    Notes
    -----
    Tseng and Bertsekas, "On the convergence of the exponential multiplier method for convex programming"
    (1993).
    """
    weights = np.full(cells.count, 1 / cells.count)
    reporter = _Rounds(progress)
    best: Minimum | None = None
    lower_bound = -np.inf
    parameters = start
    losses = losses_of(model, start)
    iterations = 0
    for round_ in range(MAX_ROUNDS):
        scale = _worst(model, cells, parameters, losses)
        risk = SoftMaximum(model, cells, weights, TEMPERATURE * COOLING**round_ * scale)
        (found,) = minimise(
            risk,
            parameters[None],
            tolerance=max(FIRST_TOLERANCE * 0.1**round_, LAST_TOLERANCE) * scale,
            progress=reporter.within(iterations),
            cancelled=cancelled,
        )
        parameters = found.parameters
        iterations += found.iterations
        losses = losses_of(model, parameters)
        tilted = risk.tilt(losses)
        bound = model.lower_bound(
            parameters[None], image_weights(model, cells.spread(tilted)), found.gradient[None]
        )
        lower_bound = max(lower_bound, model.together.of_first(partial(float, bound)))
        value = _worst(model, cells, parameters, losses)
        if best is None or value < best.value:
            best = replace(found, value=value)
        gap = (best.value - lower_bound) / best.value
        reporter.round_done(gap)
        if gap <= RELATIVE_GAP:
            reason = f"the duality gap is below {RELATIVE_GAP:.1g} of the objective"
            return WorstCaseMinimum(replace(best, iterations=iterations, stopped_because=reason), lower_bound)
        weights = np.maximum(tilted, SMALLEST_WEIGHT)
        weights /= weights.sum()
    assert best is not None
    reason = f"{MAX_ROUNDS} rounds left a duality gap of {gap:.1g} of the objective"
    return WorstCaseMinimum(replace(best, iterations=iterations, stopped_because=reason), lower_bound)


def _worst(model: LinearModel, cells: Cells, parameters: torch.Tensor, losses: Float64Array) -> float:
    """Return the objective, as the first process has it: numbers that are decided by are the same in all."""
    means = cells.means(losses)
    return model.together.of_first(lambda: float(means.max()) + float(model.penalty(parameters[None])))


class _Rounds:
    """Turns the solver's progress within a round into progress of the whole."""

    def __init__(self, progress: Callable[[FitProgress], None] | None) -> None:
        self._progress = progress
        self._fraction = 0.0

    def within(self, iterations_before: int) -> Callable[[FitProgress], None] | None:
        progress = self._progress
        if progress is None:
            return None
        return lambda step: progress(
            replace(step, iteration=iterations_before + step.iteration, fraction=self._fraction),
        )

    def round_done(self, gap: float) -> None:
        done = np.log(min(max(gap, RELATIVE_GAP), 1.0)) / np.log(RELATIVE_GAP)
        self._fraction = max(self._fraction, float(done))
