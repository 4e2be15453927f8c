"""Minimise risk + penalty of a linear model: limited-memory BFGS until the gradient is as good as zero.

The problem is smooth and, thanks to the penalty, strongly convex in the weights. A quasi-Newton method
needs one pass over the rows an iteration, which for last layers beats forming a d x d Hessian even once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.errors import CancelledError

if TYPE_CHECKING:
    from collections.abc import Callable

    from clarify_widget.arrays import Float64Array
    from clarify_widget.training.models import Model
    from clarify_widget.training.risks import Risk

MEMORY = 20  # pairs of steps and gradient changes
MAX_ITERATIONS = 10_000
GRADIENT_TOLERANCE = 1e-8  # largest entry


@dataclass(frozen=True)
class FitProgress:
    """Where a fit stands.

    Attributes
    ----------
    iteration
        Iterations so far.
    loss
        The objective, penalty included.
    gradient_norm
        Euclidean norm of its gradient.
    fraction
        A guess of how much is done, 0..1, that never falls.
    """

    iteration: int
    loss: float
    gradient_norm: float
    fraction: float


@dataclass(frozen=True, eq=False)
class Minimum:
    """Where a solver stopped, and why.

    Attributes
    ----------
    parameters
        The model's parameter vector.
    value
        The objective there.
    gradient_norm
        Euclidean norm of the gradient there.
    iterations
        How many it took.
    stopped_because
        A sentence for people.
    """

    parameters: Float64Array
    value: float
    gradient_norm: float
    iterations: int
    stopped_because: str


def objective_and_gradient(model: Model, risk: Risk, parameters: Float64Array) -> tuple[float, Float64Array]:
    """Return risk(losses) + penalty and its gradient by the parameters."""
    predictions = model.predict(parameters)
    value, weights = risk(predictions.losses)
    residuals = predictions.residuals
    gradient = model.pull_back(residuals * (weights if residuals.ndim == 1 else weights[:, None]))
    penalty, penalty_gradient = model.penalty(parameters)
    return value + penalty, gradient + penalty_gradient


def minimise(
    model: Model,
    risk: Risk,
    start: Float64Array,
    *,
    tolerance: float = GRADIENT_TOLERANCE,
    progress: Callable[[FitProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Minimum:
    """Run L-BFGS from `start`.

    Parameters
    ----------
    model, risk
        What is minimised.
    start
        Parameters to begin with; the better, the fewer iterations.
    tolerance
        Stop when no entry of the gradient is larger.
    progress
        Called after every iteration.
    cancelled
        Asked after every iteration.

    Raises
    ------
    CancelledError
        When `cancelled` says so.

    Notes
    -----
    Liu and Nocedal, "On the limited memory BFGS method for large scale optimization" (1989), as in SciPy.
    """
    from scipy.optimize import minimize  # half a second that `import clarify_widget` need not pay

    iteration = 0
    latest = np.zeros_like(start)
    steepest = 0.0
    fraction = 0.0

    def evaluate(parameters: Float64Array) -> tuple[float, Float64Array]:
        nonlocal latest
        value, latest = objective_and_gradient(model, risk, parameters)
        return value, latest

    def after_iteration(intermediate_result: Any) -> None:
        nonlocal iteration, steepest, fraction
        iteration += 1
        if cancelled is not None and cancelled():
            raise CancelledError("Training was cancelled; the head from before is still in place.")
        if progress is not None:
            largest = max(float(np.abs(latest).max()), tolerance)
            steepest = max(steepest, largest)
            done = math.log(steepest / largest) / math.log(max(steepest / tolerance, 2))
            fraction = max(fraction, min(done, 1.0))
            value = float(intermediate_result.fun)
            progress(FitProgress(iteration, value, float(np.linalg.norm(latest)), fraction))

    result = minimize(
        evaluate,
        start,
        jac=True,
        method="L-BFGS-B",
        callback=after_iteration,
        options={
            "maxcor": MEMORY,
            "maxiter": MAX_ITERATIONS,
            "maxfun": 4 * MAX_ITERATIONS,
            "gtol": tolerance,
            "ftol": 0.0,
        },
    )
    return Minimum(
        parameters=result.x,
        value=float(result.fun),
        gradient_norm=float(np.linalg.norm(result.jac)),
        iterations=int(result.nit),
        stopped_because=_reason(result, tolerance),
    )


def _reason(result: Any, tolerance: float) -> str:
    if float(np.abs(result.jac).max()) <= tolerance:
        return f"the gradient is below {tolerance:.1g}"
    if result.nit >= MAX_ITERATIONS:
        return f"{MAX_ITERATIONS} iterations were not enough"
    return "rounding leaves no better point"
