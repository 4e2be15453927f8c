"""The images of the class that is shown, as a page is sent them: too many for a trait, so in messages.

Which images they are and whether the model is right on them stays the same while phrases are tried, so that
goes once; each phrase then sends its similarities alone.
"""

from __future__ import annotations

import hashlib
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
        self._about: Json = {"key": "", "members": ""}
        self._packed_members: list[bytes] = []
        self._similarities = b""

    @property
    def key(self) -> str:
        """Names the class, the model and the similarities; empty before anything was sent."""
        return str(self._about["key"])

    def take(self, class_name: str, similarities: bytes) -> tuple[Json, list[bytes]] | None:
        """Return the message that brings pages from what was sent last to this; None where nothing changes.

        Parameters
        ----------
        class_name
            Whose validation images are shown.
        similarities
            Of these images, from `presentation.pack_similarities`.
        """
        members = self._session.members(class_name)
        others = members is not self._members
        if others:
            self._members = members
            confidences = presentation.pack_confidences(self._session, members)
            self._packed_members = [presentation.pack_members(members), confidences]
        named = _digest(*self._packed_members) if others else self._about["members"]
        key = f"{named}.{_digest(similarities)}"
        if key == self.key:
            return None
        self._about, self._similarities = {"key": key, "members": named}, similarities
        return {"type": "examples", **self._about}, [similarities, *(self._packed_members if others else [])]

    def whole(self) -> tuple[Json, list[bytes]]:
        """Return all of it, for a page that was not there when it was sent."""
        return dict(self._about), [self._similarities, *self._packed_members]


def _digest(*packed: bytes) -> str:
    return hashlib.blake2b(b"".join(packed), digest_size=8).hexdigest()
