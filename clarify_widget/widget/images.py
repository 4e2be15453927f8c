"""Images of a session as a page asks for them: thumbnails by the dozen, or one original."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from clarify_widget.errors import ClarifyError
from clarify_widget.session import presentation
from clarify_widget.thumbnails import DETAIL, JPEG, ThumbnailCache, encode_original, encode_thumbnail

if TYPE_CHECKING:
    import PIL.Image

    from clarify_widget.session.gathering import Gathering
    from clarify_widget.session.presentation import Json
    from clarify_widget.session.session import Session
    from clarify_widget.widget.requests import Answer, Request

_MOST_THUMBNAILS = 64
_ENCODERS = min(4, os.cpu_count() or 1)
_THUMBNAIL_SIDES = (96, 320)  # pixels of the short side


class Images:
    """The images of one session and of its pools; thumbnails are remembered.

    Parameters
    ----------
    session
        Whose images they are.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._pools: dict[str, Gathering] = {}
        self._thumbnails = ThumbnailCache()

    def name_pool(self, gathering: Gathering) -> str:
        """Return a name that stands for the pool where a page names a split."""
        name = f"pool {len(self._pools) + 1}"
        self._pools[name] = gathering
        return name

    def answer_thumbnails(self, request: Request) -> Answer:
        """Return thumbnails, each with what is known of its image."""
        split = request.text("split")
        low, high = _THUMBNAIL_SIDES
        size = round(min(high, max(low, request.number("size"))))
        indices = request.whole_numbers("indices", _MOST_THUMBNAILS)
        about = [self._about(split, index) for index in indices]
        with ThreadPoolExecutor(_ENCODERS) as encoders:
            buffers = list(encoders.map(lambda index: self._thumbnail(split, index, size), indices))
        items = [
            {**known, "readable": bool(encoded), "mime": JPEG}
            for known, encoded in zip(about, buffers, strict=True)
        ]
        return {"items": items}, buffers

    def _thumbnail(self, split: str, index: int, size: int) -> bytes:
        """Return JPEG bytes, empty where there is no image to show."""

        def encode() -> bytes:
            return encode_thumbnail(self._open(split, index, DETAIL * size), size)

        try:
            return self._thumbnails.get((split, index, size), encode)
        except (ClarifyError, OSError):
            return b""

    def answer_original(self, request: Request) -> Answer:
        """Return one image for a closer look."""
        split = request.text("split")
        index = int(request.number("index"))
        about = self._about(split, index)
        encoded, mime, (width, height) = encode_original(self._open(split, index))
        about["path"] = self._path(split, index)
        about["explains"] = split not in self._pools and self._session.explains
        return {**about, "width": width, "height": height, "mime": mime}, [encoded]

    def answer_explanation(self, request: Request) -> Answer:
        """Return one image under the map of what in it speaks for a class or a phrase."""
        found = self._session.explain(
            int(request.number("index")), request.text("about"), request.text("split")
        )
        encoded, mime, (width, height) = encode_original(found.overlay)
        return {"target": found.target, "width": width, "height": height, "mime": mime}, [encoded]

    def _about(self, split: str, index: int) -> Json:
        pool = self._pools.get(split)
        if pool is not None:
            return presentation.pool_image_json(pool, index)
        return presentation.image_json(self._session, split, index)

    def _open(self, split: str, index: int, least_side: int | None = None) -> PIL.Image.Image:
        pool = self._pools.get(split)
        if pool is not None:
            return pool.image(index, least_side=least_side)
        return self._session.image(index, split, least_side=least_side)

    def _path(self, split: str, index: int) -> str | None:
        pool = self._pools.get(split)
        return self._session.image_path(index, split) if pool is None else pool.image_path(index)
