"""One pool as pages review it: what was searched for, and the hits that nobody decided about yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarify_widget.errors import ClarifyError, PhraseError
from clarify_widget.session import presentation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clarify_widget.session.gathering import Gathering, Hit, Hits
    from clarify_widget.session.presentation import Json
    from clarify_widget.widget.requests import Answer, Handler, Request

_SHOWN = 120
_FOUND = 600  # at once, so that most decisions need no search for those that follow
_MOST_DECIDED = _FOUND


class PoolPanel:
    """The pool of a widget.

    Parameters
    ----------
    gathering
        The pool under review.
    split
        Names its images in requests for images.
    require_idle
        Raises ClarifyError while the training set must stay as it is; takes what to do after that.
    """

    def __init__(self, gathering: Gathering, split: str, require_idle: Callable[[str], None]) -> None:
        self.gathering = gathering
        self.split = split
        self._require_idle = require_idle
        self._found: Hits | None = None
        self._decided_then: frozenset[int] = frozenset()  # when the search was made

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What a page may ask for; see `search` for the rest."""
        return {
            "pool_decide": self._answer_decide,
            "pool_undo": self._answer_undo,
            "pool_add": self._answer_add,
        }

    def find(self, phrase: str) -> Callable[[], None]:
        """Search, and return what makes the hits those that are shown; PhraseError as `Gathering.search`."""
        if not phrase.strip():
            raise PhraseError("The phrase is empty; type what the images that you look for show.")
        decided = self._decided
        found = self.gathering.search(phrase, _FOUND)

        def take() -> None:
            self._found, self._decided_then = found, decided

        return take

    def as_json(self) -> Json:
        """Return what pages show; call it inside the session's lock."""
        return presentation.pool_json(self.gathering, self.split, self._phrase, self._open_hits()[:_SHOWN])

    @property
    def _phrase(self) -> str:
        return "" if self._found is None else self._found.phrase

    @property
    def _decided(self) -> frozenset[int]:
        review = self.gathering.review
        return review.rejected.union(review.accepted)

    def _open_hits(self) -> list[Hit]:
        """Return the hits that nobody decided about, searching again where there may be others."""
        if self._found is None:
            return []
        decided = self._decided
        hits = [hit for hit in self._found.rows if hit.row not in decided]
        taken_back = not self._decided_then <= decided
        if taken_back or (len(hits) < _SHOWN and len(self._found) == _FOUND):
            self.find(self._found.phrase)()
            hits = list(self._found.rows)
        return hits

    def _answer_decide(self, request: Request) -> Answer:
        if request.text("split") != self.split:
            raise ClarifyError("Another pool is shown now; look at its images first.")
        rows = request.whole_numbers("rows", _MOST_DECIDED)
        class_name = request.text_or_none("class_name")
        if class_name is None:
            self.gathering.reject(rows)
        else:
            self.gathering.accept(rows, class_name)
        return {}, []

    def _answer_undo(self, _request: Request) -> Answer:
        return {"undone": self.gathering.undo()}, []

    def _answer_add(self, _request: Request) -> Answer:
        self._require_idle("add")
        return {"added": self.gathering.add()}, []
