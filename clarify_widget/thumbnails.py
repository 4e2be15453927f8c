"""Images as small JPEG bytes, encoded when they are first asked for and remembered up to a limit."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    import PIL.Image

JPEG = "image/jpeg"
PNG = "image/png"

DETAIL = 2
"""An image should have this many times the pixels of its thumbnail, so that it is scaled down well."""

_LONGEST_RATIO = 4  # a panorama is cut down to this many times the short side
_SMALL = 256  # up to this size an original costs little without loss
_ORIGINAL_LONG_SIDE = 2048


def encode_thumbnail(image: PIL.Image.Image, short_side: int, quality: int = 85) -> bytes:
    """Return a JPEG whose short side has this many pixels; a smaller image keeps its size."""
    upright = _upright_rgb(image)
    width, height = upright.size
    scale = min(1.0, short_side / min(width, height), _LONGEST_RATIO * short_side / max(width, height))
    return _save(_resize(upright, scale), JPEG, quality=quality)


def encode_original(image: PIL.Image.Image) -> tuple[bytes, str, tuple[int, int]]:
    """Return an image for a closer look, its MIME type and its (width, height): at most 2,048 pixels long."""
    upright = _upright_rgb(image)
    upright = _resize(upright, min(1.0, _ORIGINAL_LONG_SIDE / max(upright.size)))
    mime = PNG if max(upright.size) <= _SMALL else JPEG
    return _save(upright, mime, quality=92), mime, upright.size


class ThumbnailCache:
    """The least recently used bytes are forgotten first.

    Parameters
    ----------
    most_bytes
        How much is remembered.
    """

    def __init__(self, most_bytes: int = 64 * 2**20) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._encoded: OrderedDict[Hashable, bytes] = OrderedDict()
        self._size = 0

    def get(self, key: Hashable, encode: Callable[[], bytes]) -> bytes:
        """Return the bytes under a key, encoding them where they are not remembered."""
        with self._lock:
            if key in self._encoded:
                self._encoded.move_to_end(key)
                return self._encoded[key]
        encoded = encode()
        with self._lock:
            self._size += len(encoded) - len(self._encoded.pop(key, b""))
            self._encoded[key] = encoded
            while self._size > self._most_bytes:
                self._size -= len(self._encoded.popitem(last=False)[1])
        return encoded


def _upright_rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    from PIL import ImageOps

    return ImageOps.exif_transpose(image).convert("RGB")


def _resize(image: PIL.Image.Image, scale: float) -> PIL.Image.Image:
    if scale >= 1:
        return image
    from PIL import Image

    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _save(image: PIL.Image.Image, mime: str, quality: int) -> bytes:
    buffer = io.BytesIO()
    clean = image.copy()
    clean.info = {}  # no EXIF, no comment, no profile that a browser would apply a second time
    clean.save(buffer, format=mime.removeprefix("image/").upper(), quality=quality, optimize=True)
    return buffer.getvalue()
