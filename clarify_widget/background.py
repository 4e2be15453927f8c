"""Work beside the caller: threads that exist only while there is something to do."""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)


def start_thread(target: Callable[[], None], name: str, *, daemon: bool = True) -> threading.Thread:
    """Start a thread; inside marimo one that may speak to the page. Python waits at its end for no daemon."""
    marimo = sys.modules.get("marimo")
    thread_class: type[threading.Thread] = threading.Thread if marimo is None else marimo.Thread
    thread = thread_class(target=target, name=name, daemon=daemon)
    thread.start()
    return thread


@dataclass(frozen=True)
class _Task:
    run: Callable[[], None]
    drop: Callable[[], None]


class Lane:
    """Tasks that run one after the other, in the order in which they came.

    Parameters
    ----------
    name
        What the thread is called.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._waiting: deque[_Task] = deque()
        self._at_rest = threading.Event()
        self._at_rest.set()

    @property
    def waiting(self) -> bool:
        """Whether another task is waiting for the one that runs now."""
        with self._lock:
            return bool(self._waiting)

    def wait(self, seconds: float) -> None:
        """Wait until nothing is left to run, but not longer than this."""
        self._at_rest.wait(seconds)

    def submit(self, run: Callable[[], None]) -> None:
        """Run a task after those that wait already."""
        self._put(_Task(run, drop=lambda: None), replace=False)

    def submit_latest(self, run: Callable[[], None], drop: Callable[[], None]) -> None:
        """Run a task instead of those that wait already.

        Parameters
        ----------
        drop
            Called instead of `run` when a later task takes the place of this one.
        """
        self._put(_Task(run, drop), replace=True)

    def _put(self, task: _Task, *, replace: bool) -> None:
        with self._lock:
            dropped = list(self._waiting) if replace else []
            if replace:
                self._waiting.clear()
            self._waiting.append(task)
            start = self._at_rest.is_set()
            self._at_rest.clear()
        for stale in dropped:
            stale.drop()
        if start:
            start_thread(self._drain, self._name)

    def _drain(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._at_rest.set()
                    return
                task = self._waiting.popleft()
            try:
                task.run()
            except Exception:
                logger.exception("A task of %s failed", self._name)


class Restartable:
    """Work that nobody waits for: beginning again cancels what was begun before.

    Parameters
    ----------
    name
        What the thread is called.
    rest
        Seconds that it waits before it begins.
    """

    def __init__(self, name: str, rest: float = 0.0) -> None:
        self._lane = Lane(name)
        self._rest = rest
        self._lock = threading.Lock()
        self._cancelled = threading.Event()

    def begin(self, work: Callable[[Callable[[], bool]], None]) -> None:
        """Run `work(cancelled)` beside the caller, once what was begun before has noticed its end."""
        with self._lock:
            self._cancelled.set()
            cancelled = self._cancelled = threading.Event()

            def run() -> None:
                if not cancelled.wait(self._rest):
                    work(cancelled.is_set)

            self._lane.submit_latest(run, drop=lambda: None)

    def stop(self) -> None:
        """Cancel what runs or waits."""
        self._cancelled.set()
