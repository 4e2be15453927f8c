"""Fine-tuning the encoder, as a task beside the cells."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clarify_widget.errors import CancelledError
from clarify_widget.session import presentation

if TYPE_CHECKING:
    from collections.abc import Callable

    from clarify_widget.finetuning import Epoch, FinetuneProgress, Losses, Settings
    from clarify_widget.session.finetuning import Finetuning
    from clarify_widget.session.presentation import Json
    from clarify_widget.session.session import Session

IDLE: Json = {
    "state": "ready",
    "message": "",
    "error": "",
    "unavailable": "",
    "run_id": "",
    "epoch": None,
    "epochs": None,
    "loss": None,
    "fraction": None,
    "seconds_left": None,
    "judged_by": "",
    **presentation.epochs_json(()),
}
"""What pages see of it while nothing runs."""


@dataclass(frozen=True)
class FinetuningTask:
    """One fine-tuning.

    Attributes
    ----------
    publish
        Called with what pages see of it.
    done
        Called with what came of it, unless it was cancelled.
    """

    session: Session
    objective: Losses | None
    settings: Settings | None
    publish: Callable[[Json], None]
    done: Callable[[Finetuning], None]
    already: str = presentation.FINETUNES
    _epochs: list[Epoch] = field(default_factory=list)

    def do(self, report: Callable[[Json], None], cancelled: Callable[[], bool]) -> Finetuning:
        """Fine-tune; who cancels while the result is put together gets none."""

        def after_step(progress: FinetuneProgress) -> None:
            if progress.validation.number == len(self._epochs):
                self._epochs.append(progress.validation)
            report(presentation.finetune_progress_json(progress, self._epochs))

        result = self.session.finetune(
            self.objective,
            self.settings,
            after_step,
            cancelled,
            embedding=lambda what, fraction: report({"message": what, "fraction": fraction}),
        )
        if cancelled():
            raise CancelledError("Fine-tuning was cancelled; the session from before is unchanged.")
        return result

    def show(self, run_id: str, progress: Json | None) -> None:
        """Show where it stands."""
        about = {"state": "running", "run_id": run_id, "judged_by": presentation.judged_by(self.session)}
        self.publish({**IDLE, **about, **(progress or {})})

    def end(self, run_id: str, result: Finetuning | None, *, cancelled: bool) -> None:
        """Show that it has ended, and what came of it."""
        if result is not None:
            self.done(result)
        message = presentation.FINETUNING_CANCELLED if cancelled else ""
        self.publish({**IDLE, "message": message, "run_id": run_id})
