"""Keep a session in a folder while it is used: after every change, what is on disk is what is in memory.

A verb hands what the session is now to a thread that writes it, and waits for that a moment: on an ordinary
disk, where it takes about a millisecond, a change is on disk when its verb returns; a folder that answers
slowly, or not at all, costs every verb the moment and no more. States that come while another is being
written are skipped but for the latest. Python does not end before that one is written.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from clarify_widget.background import Lane, start_thread
from clarify_widget.errors import SavedSessionError
from clarify_widget.session.saved import SessionFolder, Snapshot, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from clarify_widget.session.session import Event, Session

logger = logging.getLogger(__name__)

PATIENCE = 0.1  # seconds that a verb waits for its change to be on disk
_NO_CHANGE: frozenset[Event] = frozenset({"expected", "saved", "suggested"})


@dataclass(frozen=True)
class Saved:
    """Where a session is kept, and whether its latest change is there.

    Attributes
    ----------
    folder
        Where `Session.load` finds it.
    at
        When it was last written there.
    error
        Why the latest change is not there; empty when it is.
    """

    folder: Path
    at: datetime
    error: str = ""


class Autosave:
    """Writes a session after every change of it.

    Parameters
    ----------
    session
        A fitted session; it is written once at once.
    folder
        Where to.
    told
        Called after every attempt to write, from a thread of its own.

    Raises
    ------
    SavedSessionError
        When the folder holds something else, or cannot be written to. Once it could be, trouble with it is
        logged and is in `saved`, and the session goes on.
    """

    def __init__(self, session: Session, folder: Path, told: Callable[[], None]) -> None:
        self._session = session
        self._folder = SessionFolder(folder)
        self._told = told
        self._telling = Lane("clarify-widget saved")
        self._condition = threading.Condition()
        self._latest: Snapshot | None = None  # what waits to be written
        self._asked = self._done = 0  # changes that happened, and those that need nothing more
        self._writing = False
        with session.lock:
            error = self._write(Snapshot.of(session))
            if error:
                raise SavedSessionError(f"The session cannot be saved to {folder}: {error}.")
            self.saved = Saved(folder, _now())
            self._unsubscribe = session.subscribe(self._on_event)

    def stop(self) -> None:
        """Write what waits to be written, and nothing after that."""
        self._unsubscribe()
        with self._condition:
            self._condition.wait_for(lambda: not self._writing)

    def _on_event(self, event: Event) -> None:
        if event in _NO_CHANGE:
            return
        with self._session.lock, self._condition:
            self._latest = Snapshot.of(self._session)
            self._asked = this = self._asked + 1
            if not self._writing:
                self._writing = True
                start_thread(self._write_all, "clarify-widget autosave", daemon=False)
        with self._condition:
            self._condition.wait_for(lambda: self._done >= this, PATIENCE)

    def _write_all(self) -> None:
        while True:
            with self._condition:
                latest, asked, self._latest = self._latest, self._asked, None
                if latest is None:
                    self._writing = False
                    self._condition.notify_all()
                    return
            self._note(self._write(latest))
            with self._condition:
                self._done = asked
                self._condition.notify_all()
            self._telling.submit_latest(self._told, drop=lambda: None)

    def _write(self, snapshot: Snapshot) -> str:
        """Write, and return why that failed; empty when it did not."""
        try:
            self._folder.write(snapshot)
        except Exception as error:  # noqa: BLE001  # the session goes on, whatever is wrong with the folder
            return reason_of(error)
        return ""

    def _note(self, error: str) -> None:
        if error and not self.saved.error:
            logger.warning(
                "The session is no longer saved to %s: %s. It goes on, and the next change tries again; "
                "session.autosave() with another folder moves it there.",
                self._folder.path,
                error,
            )
        at = self.saved.at if error else _now()
        self.saved = replace(self.saved, at=at, error=error)


def _now() -> datetime:
    return datetime.now(timezone.utc)
