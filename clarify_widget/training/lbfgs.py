"""Minimise a risk + penalty over linear models: L-BFGS that starts each direction from an estimated Hessian.

Plain L-BFGS needs about a hundred passes over the rows for a last layer, as features are correlated and most
images end up fitted well. An estimate of the Hessian from few rows (preconditioner.py), taken again every few
passes while probabilities still move, leaves ten to thirty, at a cost of about one pass each. SciPy's L-BFGS
cannot change its initial Hessian under way, keeps its pairs of steps in double precision (more memory than
the features of a thousand classes), and solves one problem at a time. Here every problem is a coroutine that
asks for the value and the gradient at one point; a round answers all of them by one pass over the rows.

The whole step is tried first, as it nearly always does; each trial is a pass.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from clarify_widget.errors import CancelledError
from clarify_widget.training.preconditioner import estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import torch

    from clarify_widget.arrays import Float64Array
    from clarify_widget.training.head import LinearHead
    from clarify_widget.training.preconditioner import Preconditioner
    from clarify_widget.training.risks import Objective

    Descent: TypeAlias = Generator[torch.Tensor, tuple[float, torch.Tensor], "Minimum"]

MEMORY_NUMBERS = 2**22  # kept as pairs of steps and gradient changes
FEWEST_PAIRS, MOST_PAIRS = 3, 20
REFRESH = 8  # passes from one estimate of the Hessian to the next,
FAR = 300  # times the tolerance; nearer than that a new one no longer pays
MAX_PASSES = 3000
MAX_TRIALS = 12  # of one direction
SUFFICIENT = 1e-4  # share of the promised decrease
PATIENCE = 12  # iterations without a smaller gradient or a visibly smaller value


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
    parameters
        Where the solver stands (p,), of the first problem where it solves several; None where it cannot tell.
    head
        Makes the head as it stands; None where there is none yet.
    """

    iteration: int
    loss: float
    gradient_norm: float
    fraction: float
    parameters: torch.Tensor | None = field(default=None, repr=False, compare=False)
    head: Callable[[], LinearHead] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, eq=False)
class Minimum:
    """Where a solver stopped, and why.

    Attributes
    ----------
    parameters
        The model's parameter vector (p,).
    value
        The objective there.
    gradient
        Its gradient there (p,).
    iterations
        Passes over the rows after the first.
    stopped_because
        A sentence for people.
    """

    parameters: torch.Tensor
    value: float
    gradient: torch.Tensor
    iterations: int
    stopped_because: str


def minimise(
    objective: Objective,
    starts: torch.Tensor,
    *,
    tolerance: float,
    progress: Callable[[FitProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> list[Minimum]:
    """Minimise K problems over the same rows in lockstep.

    Parameters
    ----------
    objective
        What is minimised.
    starts
        (K, p) parameters to begin with; the better, the fewer passes.
    tolerance
        Stop when the Euclidean norm of the gradient is no larger.
    progress
        Called after every pass but the first, with the mean objective and the largest gradient of the
        problems that it was for.
    cancelled
        Asked after every pass.

    Raises
    ------
    CancelledError
        When `cancelled` says so.

    Notes
    -----
    Liu and Nocedal, "On the limited memory BFGS method for large scale optimization" (1989). Accepting
    steps near the optimum by their slope, where values differ by less than rounding, is Hager and Zhang,
    "A new conjugate gradient method with guaranteed descent" (2005).
    """
    import torch

    together = objective.model.together
    shared = _Shared(None)
    descents = [_descend(start, tolerance, shared, objective.model.dtype) for start in starts]
    trials = {problem: next(descent) for problem, descent in enumerate(descents)}
    minima: dict[int, Minimum] = {}
    reporter = _Reporter(progress, tolerance)
    norm = math.inf
    while trials:
        problems = list(trials)
        refresh = shared.passes % REFRESH == 0 and together.decides(norm > FAR * tolerance)
        points = torch.stack(list(trials.values())) if len(trials) > 1 else trials[problems[0]][None]
        found = objective.evaluate(points, problems, curvature=refresh)
        values, norms = found.values.tolist(), torch.linalg.vector_norm(found.gradients, dim=1).tolist()
        norm = max(norms)
        with together.agreeing():
            if cancelled is not None and cancelled():
                raise CancelledError("Training was cancelled; the head from before is still in place.")
            reporter.after_pass(shared.passes, sum(values) / len(values), norm, points[0])
        if found.curvature is not None and together.decides(norm > tolerance):
            shared.preconditioner = estimate(objective.model, found.curvature, rough=shared.passes == 0)
        resumed = partial(_resume_all, [descents[problem] for problem in problems], values, found.gradients)
        answers = together.of_first(resumed, objective.model.device)
        for problem, answer in zip(problems, answers, strict=True):
            if isinstance(answer, Minimum):
                minima[problem] = answer
                del trials[problem]
            else:
                trials[problem] = answer
        del found, resumed, answers, answer  # the problems keep what they need
        shared.passes += 1
    return [minima[problem] for problem in range(len(starts))]


def _resume_all(
    descents: list[Descent], values: list[float], gradients: torch.Tensor
) -> list[torch.Tensor | Minimum]:
    """Return the next point that each problem asks for, or where it ended."""
    answers = zip(descents, values, gradients, strict=True)
    return [_resume(descent, value, gradient) for descent, value, gradient in answers]


def _resume(descent: Descent, value: float, gradient: torch.Tensor) -> torch.Tensor | Minimum:
    """Return the next point that a problem asks for, or where it ended."""
    try:
        return descent.send((value, gradient))
    except StopIteration as end:
        minimum: Minimum = end.value
        return minimum


@dataclass
class _Shared:
    """What the problems have in common while they are solved."""

    preconditioner: Preconditioner | None
    passes: int = 0


def _descend(start: torch.Tensor, tolerance: float, shared: _Shared, precision: torch.dtype) -> Descent:
    """Yield points, receive (value, gradient) of each, return the minimum."""
    import torch

    noise = 20 * torch.finfo(precision).eps  # relative, of a value
    pairs = _Pairs(start, precision)
    point = start
    value, gradient = yield point
    norm = lowest = float(gradient.norm())
    before, without_progress = value, 0

    def stop(reason: str) -> Minimum:
        return Minimum(point, value, gradient, shared.passes, reason)

    while norm > tolerance:
        if shared.passes >= MAX_PASSES:
            return stop(f"{MAX_PASSES} passes were not enough")
        assert shared.preconditioner is not None
        direction = pairs.direction(gradient, shared.preconditioner)
        slope = _dot(gradient, direction)
        if not slope < 0:
            pairs.forget()
            direction = pairs.direction(gradient, shared.preconditioner)
            slope = _dot(gradient, direction)
        step = 1.0
        for _ in range(MAX_TRIALS):
            trial = torch.add(point, direction, alpha=step)
            new_value, new_gradient = yield trial
            new_slope = _dot(new_gradient, direction)
            if new_value <= value + SUFFICIENT * step * slope:
                break
            if new_value <= value + noise * abs(value) and abs(new_slope) <= 0.9 * abs(slope):
                break
            del new_gradient  # as large as the parameters
            step *= _shorter(step, value, slope, new_value, new_slope)
        else:
            return stop("rounding leaves no better point")
        pairs.append(direction.mul_(step), gradient, new_gradient)
        point, value, gradient, norm = trial, new_value, new_gradient, float(new_gradient.norm())
        if norm < 0.9 * lowest or value < before - noise * abs(before):
            lowest, before, without_progress = min(norm, lowest), value, 0
        else:
            without_progress += 1
        if without_progress >= PATIENCE:
            return stop("rounding leaves no better point")
    return stop(f"the gradient is below {tolerance:.1g}")


def _shorter(step: float, value: float, slope: float, new_value: float, new_slope: float) -> float:
    """Return the factor to where a cubic through both points and slopes is least, within 0.1..0.5."""
    bend = slope + new_slope - 3 * (value - new_value) / -step
    root = math.sqrt(max(bend**2 - slope * new_slope, 0.0))
    divisor = new_slope - slope + 2 * root
    factor = 1 - (new_slope + root - bend) / divisor if divisor > 0 else 0.5
    return min(max(factor, 0.1), 0.5)


def _dot(gradient: torch.Tensor, direction: torch.Tensor) -> float:
    return float(gradient.to(direction.dtype) @ direction)


class _Pairs:
    """The last steps and gradient changes, and the direction that they and an estimated Hessian give."""

    def __init__(self, start: torch.Tensor, precision: torch.dtype) -> None:
        import torch

        count = min(max(MEMORY_NUMBERS // (2 * len(start)), FEWEST_PAIRS), MOST_PAIRS)
        # One piece of memory for good: large vectors that come and go would leave holes.
        self._steps, self._changes = torch.zeros((2, count, len(start)), dtype=precision, device=start.device)
        # What is as small as the number of pairs is worked out on the host, call by call.
        self._products = np.zeros((count, count))  # step i @ change j
        self._slots: deque[int] = deque(maxlen=count)  # oldest first
        self._appended = 0

    def append(self, step: torch.Tensor, gradient: torch.Tensor, new_gradient: torch.Tensor) -> None:
        import torch

        slot = self._appended % len(self._steps)
        if self._slots and self._slots[0] == slot:
            self._slots.popleft()
        self._steps[slot].copy_(step)
        torch.sub(new_gradient, gradient, out=self._changes[slot])
        self._products[:, slot] = _on_host(self._steps @ self._changes[slot])
        self._products[slot] = _on_host(self._changes @ self._steps[slot])
        if self._products[slot, slot] > 0:
            self._slots.append(slot)
            self._appended += 1

    def forget(self) -> None:
        self._slots.clear()

    def direction(self, gradient: torch.Tensor, preconditioner: Preconditioner) -> torch.Tensor:
        """Return minus the inverse Hessian estimate times the gradient.

        The two loops over the pairs are two triangular systems (Byrd, Nocedal and Schnabel, "Representations
        of quasi-Newton matrices and their use in limited memory methods", 1994).
        """
        from scipy.linalg.lapack import dtrtrs

        found = gradient.to(self._steps.dtype, copy=True)
        if not self._slots:
            (found,) = preconditioner(found)
            return found.neg_()
        order = list(self._slots)
        square = self._products[np.ix_(order, order)]  # of which the upper triangle is read
        shares, _ = dtrtrs(square, _on_host(self._steps @ found)[order])
        found.addmv_(self._changes.T, self._by_slot(order, shares), alpha=-1)
        newest = self._changes[order[-1]]
        found, solved = preconditioner(found, newest)
        # The estimate's scale is as old as the estimate.
        found.mul_(square[-1, -1] / float(newest @ solved))
        wanted = square.diagonal() * shares - _on_host(self._changes @ found)[order]
        shares, _ = dtrtrs(square, wanted, trans=1)
        found.addmv_(self._steps.T, self._by_slot(order, shares))
        return found.neg_()

    def _by_slot(self, order: list[int], shares: Float64Array) -> torch.Tensor:
        """Return one share for each slot; empty ones have none."""
        import torch

        by_slot = np.zeros(len(self._steps))
        by_slot[order] = shares
        return torch.from_numpy(by_slot).to(self._steps)


def _on_host(vector: torch.Tensor) -> Float64Array:
    numbers: Float64Array = vector.double().cpu().numpy()
    return numbers


class _Reporter:
    """Turns passes into progress whose fraction never falls."""

    def __init__(self, progress: Callable[[FitProgress], None] | None, tolerance: float) -> None:
        self._progress = progress
        self._tolerance = tolerance
        self._steepest = 0.0
        self._fraction = 0.0

    def after_pass(self, passes: int, value: float, norm: float, point: torch.Tensor) -> None:
        largest = max(norm, self._tolerance)
        self._steepest = max(self._steepest, largest)
        done = math.log(self._steepest / largest) / math.log(max(self._steepest / self._tolerance, 2))
        self._fraction = max(self._fraction, min(done, 1.0))
        if self._progress is not None and passes > 0:
            self._progress(FitProgress(passes, value, norm, self._fraction, point))
