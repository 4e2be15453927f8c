"""What a ClarifyWidget should hold after each step: a Session without a widget, and what is shown of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.errors import ClarifyError
from clarify_widget.session import presentation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from clarify_widget.session import PhraseComparison, Session

Json = dict[str, Any]

CHIPS_ABOVE, CHIPS_WITHIN = 6, 3  # suggestions that are shown


class Reference:
    """The state of a widget: the session, what is shown of it, and where thresholds were put."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.objective = "slice_balanced"
        self.begin()

    def begin(self) -> None:
        """Show what a new widget shows."""
        self.class_name = self.session.classes()[0].name
        self.phrase = ""
        self.threshold: float | None = None
        self.objective = "slice_balanced"
        self.error = ""
        self.message = ""
        self.running = False
        self.dragged: dict[tuple[str, str], float] = {}
        self.marked: dict[str, dict[int, bool]] = {}
        self.selected: set[int] = set()

    # -- steps

    def choose(self, class_name: str) -> None:
        if class_name != self.class_name:
            self.selected = set()
        self.class_name, self.phrase, self.threshold, self.error = class_name, "", None, ""

    def score(self, phrase: str) -> None:
        if not phrase.strip():
            self.error = "The phrase is empty; type what the wrong images share, for example: red."
        else:
            self._show(lambda: self.session.score(self.class_name, phrase).phrase)

    def sharpen(self) -> None:
        marks = self._marks()
        words = self._words_of(self.phrase)
        self._show(lambda: self.session.sharpen(self.class_name, words, **marks).phrase)

    def put(self, threshold: float) -> None:
        """Move the threshold of the phrase that is shown."""
        if threshold != self.threshold:
            self.threshold = self.dragged[self.class_name, self.phrase] = threshold

    def mark(self, rows: Iterable[int], has: bool | None) -> None:
        """Mark images as having the phrase that is shown, or not; None takes their marks away."""
        marks = self._marks_of(self.phrase) | dict.fromkeys(rows, has)
        self.marked[self._words_of(self.phrase)] = {
            row: marked for row, marked in marks.items() if marked is not None
        }
        self.error = ""

    def forget_marks(self) -> None:
        self.marked[self._words_of(self.phrase)] = {}
        self.error = ""

    def do(self, change: Callable[[Session], object], *, clears: bool = True) -> None:
        """Change the session; a request of a page that succeeds also `clears` the error that is shown."""
        before = self._kept_threshold()
        try:
            change(self.session)
        except ClarifyError as error:
            self.error = str(error)
            return
        if clears:
            self.error = ""
        after = self._kept_threshold()
        if after is not None and after != before:
            self.threshold = self.dragged[self.class_name, self.phrase] = after

    def begin_retraining(self) -> None:
        self.running, self.error, self.message = True, "", ""

    def end_retraining(self) -> None:
        self.running = False
        self.do(lambda session: session.retrain(self.objective), clears=False)

    def cancel(self) -> None:
        self.running, self.error, self.message = False, "", "Cancelled; the model is as it was."

    def _show(self, find: Callable[[], str]) -> None:
        try:
            self.phrase = find()
        except ClarifyError as error:
            self.error = str(error)
            return
        self.error = ""
        scored = presentation.tried_phrase(self.session, self.class_name, self.phrase)
        assert scored is not None
        self.threshold = self.session.threshold_of(scored, self._dragged())

    # -- what is to be seen

    @property
    def kept_as_shown(self) -> bool:
        return self._kept_threshold() == self.threshold

    @property
    def suggested(self) -> list[str]:
        """The phrases that are offered."""
        rows = self.session.suggest(self.class_name).rows
        above = [row.scored.phrase for row in rows if row.above_noise]
        within = [row.scored.phrase for row in rows if not row.above_noise]
        return above[:CHIPS_ABOVE] + within[:CHIPS_WITHIN]

    @property
    def marks(self) -> int:
        return len(self._marks_of(self.phrase))

    def traits(self) -> Json:
        """What a widget says of all this in its traits."""
        self.session.suggest(self.class_name)
        scored = presentation.tried_phrase(self.session, self.class_name, self.phrase)
        view = presentation.class_view(self.session, self.class_name, scored, self._thresholds())
        del view["similarities"]
        sides = None
        if self.phrase:
            sides = presentation.sides_json(self.session.sides(self.class_name, self.phrase, self.threshold))
        return {
            **presentation.facts(self.session),
            **view,
            "threshold": self.threshold,
            "sides": sides,
            "suggestions": presentation.suggestions(self.session, self.class_name),
            "marks": self._marks(),
            "selected": sorted(self.selected),
            "objective": self.objective,
            "status": {"state": "retraining" if self.running else "ready", "message": self.message},
            "error": self.error,
        }

    @property
    def correct(self) -> set[int]:
        """The validation rows of the class that is shown, of which the model is right."""
        members = self.session.members(self.class_name)
        return set(members.indices[members.correct].tolist())

    def rows(self, side: str) -> list[int]:
        """The validation rows of a grid, in the order in which they are shown."""
        members = self.session.members(self.class_name)
        if self.threshold is None:
            return members.indices[members.correct == (side == "left")].tolist()
        similar = self.session.similarities(self.phrase)[members.indices]
        ascending = np.argsort(similar, kind="stable")
        has = similar[ascending] > self.threshold
        ordered = members.indices[ascending]
        return ordered[~has].tolist() if side == "left" else ordered[has][::-1].tolist()

    def compared(self, other: str | None) -> PhraseComparison | None:
        """The phrase that is shown beside another one; None where there is nothing to compare."""
        if not self.phrase or other is None or other == self.phrase:
            return None
        try:
            return self.session.compare_phrases(
                self.class_name, self.phrase, other, thresholds=self._thresholds()
            )
        except ClarifyError:
            return None

    def _dragged(self) -> dict[str, float]:
        return {phrase: at for (name, phrase), at in self.dragged.items() if name == self.class_name}

    def _thresholds(self) -> dict[str, float]:
        return self._dragged() if self.threshold is None else self._dragged() | {self.phrase: self.threshold}

    def _kept_threshold(self) -> float | None:
        return presentation.kept_threshold(self.session.annotations, self.class_name, self.phrase)

    def _words_of(self, phrase: str) -> str:
        return next((one.phrase for one in self.session.sharpened if one.name == phrase), phrase)

    def _marks_of(self, phrase: str) -> dict[int, bool]:
        words = self._words_of(phrase)
        if words in self.marked:
            return self.marked[words]
        known = next((one for one in self.session.sharpened if one.name == phrase), None)
        if known is None:
            return {}
        return dict.fromkeys(known.has, True) | dict.fromkeys(known.has_not, False)

    def _marks(self) -> dict[str, list[int]]:
        marks = self._marks_of(self.phrase)
        return {
            name: sorted(row for row, marked in marks.items() if marked is has)
            for name, has in (("has", True), ("has_not", False))
        }


class Hand:
    """What selects images in one grid of one view: where its range begins, and what the range added last."""

    def __init__(self, reference: Reference, side: str) -> None:
        self.reference = reference
        self.side = side
        self.begin: int | None = None
        self.added: set[int] = set()

    def toggle(self, row: int) -> None:
        self.reference.selected ^= {row}
        self.begin, self.added = row, set()

    def extend(self, row: int, start: int | None = None) -> None:
        """Select up to `row`, from where the range begins; from `start` or `row` when that is not shown."""
        rows = self.reference.rows(self.side)
        if self.begin not in rows:
            self.begin, self.added = row if start is None else start, set()
        first, last = sorted((rows.index(self.begin), rows.index(row)))
        others = self.reference.selected - self.added
        self.added = set(rows[first : last + 1]) - others
        self.reference.selected = others | self.added
