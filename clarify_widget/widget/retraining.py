"""Retraining the last layer, as a task beside the cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clarify_widget.session import presentation

if TYPE_CHECKING:
    from collections.abc import Callable

    from clarify_widget.session.curve import RetrainProgress
    from clarify_widget.session.presentation import Json
    from clarify_widget.session.results import Comparison
    from clarify_widget.session.session import Session

READY: Json = {"state": "ready", "message": "", "run_id": "", **presentation.progress_json(None)}
"""The status while nothing runs."""


@dataclass(frozen=True)
class Retraining:
    """One retraining; the session itself tells of what came of it.

    Attributes
    ----------
    publish
        Called with the status to show.
    """

    session: Session
    objective: str
    publish: Callable[[Json], None]
    already: str = presentation.RETRAINS

    def do(self, report: Callable[[RetrainProgress], None], cancelled: Callable[[], bool]) -> Comparison:
        """Retrain."""
        return self.session.retrain(self.objective, report, cancelled)

    def show(self, run_id: str, progress: RetrainProgress | None) -> None:
        """Show where it stands."""
        self.publish({"state": "retraining", "run_id": run_id, **presentation.progress_json(progress)})

    def end(self, run_id: str, result: Comparison | None, *, cancelled: bool) -> None:  # noqa: ARG002
        """Show that it has ended."""
        message = presentation.CANCELLED if cancelled else ""
        self.publish({**READY, "message": message, "run_id": run_id})
