"""How loss and validation accuracies go while a head is retrained."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clarify_widget.evaluation import accuracy_by_cell

if TYPE_CHECKING:
    from collections.abc import Callable

    from clarify_widget.datasets.dataset import Split
    from clarify_widget.session.cells import Cells
    from clarify_widget.training import FitProgress, LinearHead

SHARE = 0.2  # of the time of a retraining that looking at validation may take
MOST_POINTS = 64


@dataclass(frozen=True)
class CurvePoint:
    """Where a head stood after an iteration.

    Attributes
    ----------
    iteration
        Iterations so far.
    loss
        The objective on the training images, penalty included.
    average, worst
        Accuracy on all validation images, and on the worst of their slices and classes without slices.
    """

    iteration: int
    loss: float
    average: float
    worst: float


@dataclass(frozen=True)
class RetrainProgress:
    """Where a retraining stands.

    Attributes
    ----------
    fit
        What the solver says.
    seconds_left
        A guess; None while there is nothing to guess from.
    curve
        What was seen so far, oldest first; not of every iteration.
    """

    fit: FitProgress
    seconds_left: float | None
    curve: tuple[CurvePoint, ...]


class CurveRecorder:
    """Looks at validation between the iterations of a solver, as often as costs little.

    Parameters
    ----------
    val
        The validation images.
    cells
        Their parts, of which the worst is looked for.
    progress
        Who is told.
    """

    def __init__(
        self, val: Split, cells: Cells, progress: Callable[[RetrainProgress], None] | None = None
    ) -> None:
        self.curve: tuple[CurvePoint, ...] = ()
        self._val = val
        self._cells = cells
        self._progress = progress
        self._began = time.monotonic()
        self._looking = 0.0  # seconds

    def __call__(self, step: FitProgress) -> None:
        """Take note of an iteration."""
        elapsed = time.monotonic() - self._began
        if step.head is not None and self._looking <= SHARE * elapsed:
            self._look(step, step.head())
        if self._progress is not None:
            left = elapsed * (1 - step.fraction) / step.fraction if step.fraction > 0 else None
            self._progress(RetrainProgress(step, left, self.curve))

    def _look(self, step: FitProgress, head: LinearHead) -> None:
        began = time.monotonic()
        assert self._val.features is not None
        correct = head.predict(self._val.features) == self._val.labels
        cells = accuracy_by_cell(correct, self._cells.ids, self._cells.names)
        worst = min(cell.accuracy for cell in cells if cell.size)
        if len(self.curve) >= MOST_POINTS:
            self.curve = self.curve[::2]
        self.curve += (CurvePoint(step.iteration, step.loss, float(correct.mean()), worst),)
        self._looking += time.monotonic() - began
