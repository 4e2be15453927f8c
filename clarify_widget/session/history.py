"""What was tried, and what was done and can be taken back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clarify_widget.concepts import Annotations

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from clarify_widget.session.results import Comparison, PhraseScore
    from clarify_widget.training import LinearHead


@dataclass(frozen=True, eq=False)
class Retraining:
    """A head that was trained with annotations, and what it was compared to be worth."""

    head: LinearHead
    annotations: Annotations
    comparison: Comparison


@dataclass(frozen=True, eq=False)
class SessionState:
    """What undo goes back to."""

    annotations: Annotations
    retraining: Retraining | None = None


class Steps:
    """The state of a session now, and the states before it."""

    def __init__(self, state: SessionState | None = None) -> None:
        self.now = SessionState(Annotations()) if state is None else state
        self._before: list[tuple[str, SessionState]] = []

    def take(
        self,
        what: str,
        *,
        annotations: Annotations | None = None,
        retraining: Retraining | None = None,
    ) -> None:
        """Go on to another state; what is not given stays."""
        self._before.append((what, self.now))
        self.now = SessionState(
            annotations=self.now.annotations if annotations is None else annotations,
            retraining=self.now.retraining if retraining is None else retraining,
        )

    @property
    def last(self) -> str:
        """What `take_back` would take back; empty when there is nothing."""
        return self._before[-1][0] if self._before else ""

    def take_back(self) -> str:
        """Return to the state before, and say what was taken back; empty when there is nothing."""
        if not self._before:
            return ""
        what, self.now = self._before.pop()
        return what


class Tried:
    """The phrases that were scored, oldest first; each once a class."""

    def __init__(self, scores: Iterable[PhraseScore] = ()) -> None:
        self.scores = tuple(scores)

    def add(self, scored: PhraseScore, instead_of: Collection[str], kept: Collection[str]) -> None:
        """Put a phrase last, in place of itself and of `instead_of`, except for phrases that are kept."""
        gone = {scored.phrase, *(phrase for phrase in instead_of if phrase not in kept)}
        others = (
            tried
            for tried in self.scores
            if tried.class_name != scored.class_name or tried.phrase not in gone
        )
        self.scores = (*others, scored)

    def of_class(self, class_name: str, kept: Collection[str]) -> tuple[PhraseScore, ...]:
        """Return the phrases of a class, newest first, the best and the kept ones marked."""
        tried = [score for score in reversed(self.scores) if score.class_name == class_name]
        best = max((score.score for score in tried), default=0.0)
        return tuple(replace(score, best=score.score == best, kept=score.phrase in kept) for score in tried)
