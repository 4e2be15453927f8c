"""The images of the class that is shown, as a page is sent them: too many for a trait, so in messages.

Which images they are and whether the model is right on them stays the same while phrases are tried, so that
goes once; each phrase then sends its similarities alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarify_widget.session import presentation

if TYPE_CHECKING:
    from clarify_widget.session.presentation import Json
    from clarify_widget.session.results import ClassMembers
    from clarify_widget.session.session import Session


class ExampleFeed:
    """What was sent last, under the key that a trait names it by."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._members: ClassMembers | None = None
        self._packed_members: list[bytes] = []
        self._similarities: bytes | None = None
        # A key is never used twice, so that a page can tell what it has.
        self._members_sent = self._similarities_sent = 0

    @property
    def key(self) -> str:
        """Names what was sent last; empty before anything was."""
        return f"{self._members_sent}.{self._similarities_sent}" if self._similarities_sent else ""

    def take(self, class_name: str, similarities: bytes) -> tuple[Json, list[bytes]] | None:
        """Return the message that brings pages from what was sent last to this; None where nothing changes.

        Parameters
        ----------
        class_name
            Whose validation images are shown.
        similarities
            Of these images, from `presentation.pack_similarities`.
        """
        others = self._take_members(self._session.members(class_name))
        if not others and similarities == self._similarities:
            return None
        self._similarities = similarities
        self._similarities_sent += 1
        about, everything = self.whole()
        return {"type": "examples", **about}, everything if others else [similarities]

    def whole(self) -> tuple[Json, list[bytes]]:
        """Return all of it, for a page that was not there when it was sent."""
        about = {"key": self.key, "members": str(self._members_sent)}
        return about, [self._similarities or b"", *self._packed_members]

    def _take_members(self, members: ClassMembers) -> bool:
        """Return whether these are others than before, or the model is right on others of them."""
        if members is self._members:
            return False
        self._members = members
        packed = [presentation.pack_members(members), presentation.pack_confidences(self._session, members)]
        if packed == self._packed_members:
            return False
        self._packed_members = packed
        self._members_sent += 1
        return True
