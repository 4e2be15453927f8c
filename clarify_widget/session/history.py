"""What was tried, and what was done, can be taken back and can be done again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clarify_widget.concepts import Annotations

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from clarify_widget.session.curve import CurvePoint
    from clarify_widget.session.judgements import Judgement
    from clarify_widget.session.results import Comparison, PhraseScore
    from clarify_widget.session.reviewing import Addition
    from clarify_widget.training import LinearHead


@dataclass(frozen=True, eq=False)
class Retraining:
    """A head that was trained with annotations, and what it was compared to be worth.

    Attributes
    ----------
    number
        1 for the first retraining of a session, and so on.
    curve
        How loss and validation accuracies went while it was trained.
    """

    number: int
    head: LinearHead
    annotations: Annotations
    comparison: Comparison
    curve: tuple[CurvePoint, ...] = ()


@dataclass(frozen=True, eq=False)
class SessionState:
    """What undo goes back to."""

    annotations: Annotations
    retraining: Retraining | None = None
    judgements: tuple[Judgement, ...] = ()
    additions: tuple[Addition, ...] = ()


Step = tuple[str, SessionState]
"""What was done, for people, and the state that undo or redo returns to."""


class Steps:
    """The state of a session now, the states before it, and those that were taken back."""

    def __init__(
        self,
        state: SessionState | None = None,
        retrainings: Iterable[Retraining] = (),
        before: Iterable[Step] = (),
        taken_back: Iterable[Step] = (),
    ) -> None:
        self.now = SessionState(Annotations()) if state is None else state
        self.retrainings = tuple(retrainings)
        self.before = tuple(before)  # the latest last
        self.taken_back = tuple(taken_back)  # the one to do again last

    def take(self, what: str, state: SessionState) -> None:
        """Go on to another state; what was taken back before cannot be done again after that."""
        self.before = (*self.before, (what, self.now))
        self.taken_back = ()
        self.now = state
        # Undoing a retraining does not lose it: `retrainings` is what was ever trained.
        if state.retraining is not None and state.retraining not in self.retrainings:
            self.retrainings = (*self.retrainings, state.retraining)

    @property
    def last(self) -> str:
        """What `take_back` would take back; empty when there is nothing."""
        return self.before[-1][0] if self.before else ""

    @property
    def next(self) -> str:
        """What `take_again` would do again; empty when there is nothing."""
        return self.taken_back[-1][0] if self.taken_back else ""

    @property
    def last_changed_training(self) -> bool:
        """Whether `take_back` would change which images are trained on."""
        return self._change_training(self.before[-1:])

    @property
    def next_changes_training(self) -> bool:
        """Whether `take_again` would change which images are trained on."""
        return self._change_training(self.taken_back[-1:])

    def forget_additions_taken_back(self) -> None:
        """Let nothing be done again, where that would add images that were decided about since."""
        if self._change_training(self.taken_back):
            self.taken_back = ()

    def take_back(self) -> str:
        """Return to the state before, and say what was taken back; empty when there is nothing."""
        if not self.before:
            return ""
        *earlier, (what, state) = self.before
        self.before = tuple(earlier)
        self.taken_back = (*self.taken_back, (what, self.now))
        self.now = state
        return what

    def take_again(self) -> str:
        """Return to the state that was taken back last, and say what was done; empty when there is none."""
        if not self.taken_back:
            return ""
        *still_taken_back, (what, state) = self.taken_back
        self.taken_back = tuple(still_taken_back)
        self.before = (*self.before, (what, self.now))
        self.now = state
        return what

    def _change_training(self, steps: Iterable[Step]) -> bool:
        return any(state.additions != self.now.additions for _, state in steps)


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
        return tuple(_marked(score, best=score.score == best, kept=score.phrase in kept) for score in tried)


def _marked(score: PhraseScore, *, best: bool, kept: bool) -> PhraseScore:
    """Return a score with its marks; itself, which is quicker than a copy, where it has them."""
    return score if (score.best, score.kept) == (best, kept) else replace(score, best=best, kept=kept)
