"""What takes long, beside the cells: one run at a time, of which a later one takes the place."""

from __future__ import annotations

import logging
import math
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from clarify_widget.background import start_thread
from clarify_widget.errors import CancelledError, ClarifyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from clarify_widget.session.session import Session

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_UPDATES = 0.1

ProgressT = TypeVar("ProgressT")
ResultT = TypeVar("ResultT")


class Task(Protocol[ProgressT, ResultT]):
    """What is done in a run, and what pages see of it.

    All but `do` is called inside the session's lock, and only for the run that nothing took the place of.
    """

    @property
    def already(self) -> str:
        """What to say to somebody who asks for another kind of task meanwhile."""

    def do(self, report: Callable[[ProgressT], None], cancelled: Callable[[], bool]) -> ResultT:
        """Do it; CancelledError once `cancelled` says so."""

    def show(self, run_id: str, progress: ProgressT | None) -> None:
        """Show where it stands; None before it begins."""

    def end(self, run_id: str, result: ResultT | None, *, cancelled: bool) -> None:
        """Show that nothing runs any more; without a result when it was cancelled or failed."""


@dataclass(frozen=True)
class Run(Generic[ProgressT, ResultT]):
    """One task under way; a later one replaces it."""

    task: Task[ProgressT, ResultT]
    follows: Run[Any, Any] | None
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    cancelled: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)


class Runs:
    """The runs that a widget began.

    Parameters
    ----------
    session
        What they are about.
    ended
        Called after every run, outside the lock.
    """

    def __init__(self, session: Session, ended: Callable[[], None]) -> None:
        self._session = session
        self._ended = ended
        self._current: Run[Any, Any] | None = None

    @property
    def busy(self) -> bool:
        """Whether one runs or is about to."""
        return self._current is not None

    def begin(self, task: Task[ProgressT, ResultT]) -> Run[ProgressT, ResultT]:
        """Put a run in the place of the one before, which is cancelled; call it inside the session's lock.

        Raises
        ------
        ClarifyError
            When a task of another kind runs, which nobody cancelled.
        """
        current = self._current
        if current and type(current.task) is not type(task) and not current.cancelled.is_set():
            raise ClarifyError(current.task.already)
        self.cancel()
        self._current = run = Run(task, follows=current)
        task.show(run.run_id, None)
        return run

    def cancel(self) -> None:
        """Let the run know that it should stop, if there is one."""
        if self._current is not None:
            self._current.cancelled.set()

    def do_beside(self, run: Run[Any, Any], failed: Callable[[Exception], object]) -> None:
        """Do it on a thread of its own; `failed` gets the error of a run that nobody cancelled."""

        def do() -> None:
            try:
                self.do(run)
            except CancelledError:
                logger.debug("Run %s was cancelled", run.run_id)
            except Exception as error:  # noqa: BLE001  # the page is the only one who can be told
                if not run.cancelled.is_set():
                    failed(error)

        start_thread(do, f"clarify-widget run {run.run_id}")

    def do(self, run: Run[ProgressT, ResultT]) -> ResultT:
        """Do it in this thread, once the run before has ended."""
        if run.follows is not None:
            run.follows.finished.wait()
        result, cancelled = None, False
        try:
            result = run.task.do(self._report_of(run), run.cancelled.is_set)
        except CancelledError:
            cancelled = True
            raise
        else:
            return result
        finally:
            self._finish(run, result, cancelled=cancelled)

    def _finish(self, run: Run[ProgressT, ResultT], result: ResultT | None, *, cancelled: bool) -> None:
        run.finished.set()
        with self._session.lock:
            if run is self._current:
                self._current = None
                run.task.end(run.run_id, result, cancelled=cancelled)
        self._ended()

    def _report_of(self, run: Run[ProgressT, Any]) -> Callable[[ProgressT], None]:
        last = -math.inf

        def report(progress: ProgressT) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last < _SECONDS_BETWEEN_UPDATES:
                return
            last = now
            with self._session.lock:
                if run is self._current and not run.cancelled.is_set():
                    run.task.show(run.run_id, progress)

        return report
