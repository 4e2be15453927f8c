"""Retraining beside the cells: one run at a time, of which a later one takes the place."""

from __future__ import annotations

import logging
import math
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clarify_widget.background import start_thread
from clarify_widget.errors import CancelledError
from clarify_widget.session import presentation

if TYPE_CHECKING:
    from collections.abc import Callable

    from clarify_widget.session.curve import RetrainProgress
    from clarify_widget.session.presentation import Json
    from clarify_widget.session.results import Comparison
    from clarify_widget.session.session import Session

logger = logging.getLogger(__name__)

READY: Json = {"state": "ready", "message": "", "run_id": "", **presentation.progress_json(None)}
"""The status while nothing runs."""

_SECONDS_BETWEEN_UPDATES = 0.1


@dataclass(frozen=True)
class Run:
    """One retraining; a later one replaces it."""

    objective: str
    follows: Run | None
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    cancelled: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)


class Runs:
    """The retrainings of one session that a widget began.

    Parameters
    ----------
    session
        What is retrained.
    show
        Called with the status to show, inside the session's lock.
    ended
        Called after every run, outside the lock.
    """

    def __init__(self, session: Session, show: Callable[[Json], None], ended: Callable[[], None]) -> None:
        self._session = session
        self._show = show
        self._ended = ended
        self._current: Run | None = None

    @property
    def busy(self) -> bool:
        """Whether one runs or is about to."""
        return self._current is not None

    def begin(self, objective: str) -> Run:
        """Put a run in the place of the one before, which is cancelled; call it inside the session's lock."""
        self.cancel()
        self._current = run = Run(objective, follows=self._current)
        return run

    def cancel(self) -> None:
        """Let the run know that it should stop, if there is one."""
        if self._current is not None:
            self._current.cancelled.set()

    def train_beside(self, run: Run, failed: Callable[[Exception], object]) -> None:
        """Train on a thread of its own; `failed` gets the error of a run that nobody cancelled."""

        def train() -> None:
            try:
                self.train(run)
            except CancelledError:
                logger.debug("Retraining %s was cancelled", run.run_id)
            except Exception as error:  # noqa: BLE001  # the page is the only one who can be told
                if not run.cancelled.is_set():
                    failed(error)

        start_thread(train, f"clarify-widget retraining {run.run_id}")

    def train(self, run: Run) -> Comparison:
        """Train in this thread, once the run before has ended."""
        if run.follows is not None:
            run.follows.finished.wait()
        message = ""
        try:
            return self._session.retrain(run.objective, self._progress_of(run), run.cancelled.is_set)
        except CancelledError:
            message = presentation.CANCELLED
            raise
        finally:
            self._finish(run, message)

    def _finish(self, run: Run, message: str) -> None:
        run.finished.set()
        with self._session.lock:
            if run is self._current:
                self._current = None
                self._show({**READY, "message": message, "run_id": run.run_id})
        self._ended()

    def _progress_of(self, run: Run) -> Callable[[RetrainProgress], None]:
        last = -math.inf

        def show(progress: RetrainProgress) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last < _SECONDS_BETWEEN_UPDATES:
                return
            last = now
            with self._session.lock:
                if run is self._current and not run.cancelled.is_set():
                    self._show(retraining_status(run, progress))

        return show


def retraining_status(run: Run, progress: RetrainProgress | None) -> Json:
    """Return the status while a run goes on."""
    return {"state": "retraining", "run_id": run.run_id, **presentation.progress_json(progress)}
