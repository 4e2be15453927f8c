"""Images that somebody marked as having a phrase or not, which `Session.sharpen` learns from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clarify_widget.session.presentation import Json
    from clarify_widget.session.session import Session


class Marks:
    """The marks of every phrase of one session, under the words that a sharpened phrase began with.

    Parameters
    ----------
    session
        Whose validation images are marked.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._marks: dict[str, dict[int, bool]] = {}

    def mark(self, phrase: str, rows: set[int], *, has: bool | None) -> None:
        """Mark rows as having a phrase or not; None takes their marks away."""
        left = {row: marked for row, marked in self._of(phrase).items() if row not in rows}
        self._marks[self.words_of(phrase)] = left if has is None else left | dict.fromkeys(rows, has)

    def words_of(self, phrase: str) -> str:
        """Return the words that a sharpened phrase began with; of another one the phrase itself."""
        known = {one.name: one.phrase for one in self._session.sharpened}
        return known.get(phrase.strip(), phrase.strip())

    def _of(self, phrase: str) -> dict[int, bool]:
        """Return the marked images; for a phrase that was loaded, those it was sharpened by."""
        words = self.words_of(phrase)
        if words not in self._marks:
            for one in self._session.sharpened:
                if one.name == phrase and one.split == "val":
                    return dict.fromkeys(one.has, True) | dict.fromkeys(one.has_not, False)
        return self._marks.get(words, {})

    def rows_of(self, phrase: str) -> Json:
        """Return the rows that have a phrase and those that have it not, ascending."""
        marks = self._of(phrase)
        return {
            name: sorted(row for row, marked in marks.items() if marked is has)
            for name, has in (("has", True), ("has_not", False))
        }
