"""Embeddings on disk: written whole or not at all, checked when read, never stale.

A folder holds one sub-folder for each encoder and in it blocks of rows, each one safetensors file whose
header says in JSON which images the rows belong to and what the rows' digest is. Blocks are written to a
temporary name and moved into place, so that a reader never sees half of one and processes may share the
folder. A block that is damaged is left out, and its images are embedded again.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image

if TYPE_CHECKING:
    from clarify_widget.arrays import FloatArray
    from clarify_widget.encoders.base import Encoder

_FORMAT = "clarify-widget embeddings 1"
_BLOCK_ROWS = 1024


class EmbeddingCache:
    """The rows that one encoder has given, by the identity of their images.

    Parameters
    ----------
    folder
        Shared by all encoders; made when the first block is written.
    encoder
        Its `fingerprint` tells it from all others. An encoder without one is told by its name, its type and
        what it makes of a test picture.
    """

    def __init__(self, folder: str | os.PathLike[str], encoder: Encoder) -> None:
        self._fingerprint = fingerprint_of(encoder)
        self._folder = Path(folder).expanduser() / _digest(self._fingerprint.encode())
        self._dim = int(encoder.dim)
        self._unread = self._blocks_of_images()
        self._rows: dict[str, FloatArray] = {}
        self._new: dict[str, FloatArray] = {}

    def get(self, identity: str) -> FloatArray | None:
        """Return the (dim,) unit row of an image, None when it is not known."""
        for block in self._unread.pop(identity, ()):
            if identity not in self._rows:
                self._rows.update(self._read_block(block))
        return self._rows.get(identity)

    def add(self, identity: str, row: FloatArray) -> None:
        """Remember a row; from time to time a block of them goes to disk."""
        self._rows[identity] = self._new[identity] = row
        if len(self._new) >= _BLOCK_ROWS:
            self.write()

    def write(self) -> None:
        """Write what was added since the last block; where that cannot be done, warn and go on without."""
        if not self._new:
            return
        from safetensors.numpy import save

        identities = list(self._new)
        rows = np.stack([self._new[identity] for identity in identities]).astype(np.float32)
        header = {
            "format": _FORMAT,
            "encoder": self._fingerprint,
            "images": json.dumps(identities),
            "digest": _digest_of(identities, rows),
        }
        block = self._folder / f"{_digest(header['images'].encode())}.safetensors"
        try:
            _write_whole(block, save({"embeddings": rows}, metadata=header))
        except OSError as error:
            warnings.warn(f"The embeddings could not be cached in {self._folder}: {error}.", stacklevel=2)
        self._new.clear()

    def _blocks_of_images(self) -> dict[str, list[Path]]:
        """Return which blocks say that they hold an image; their rows are read when one is asked for."""
        blocks: dict[str, list[Path]] = {}
        for path in sorted(self._folder.glob("*.safetensors")):
            for identity in self._identities(path):
                blocks.setdefault(identity, []).append(path)
        return blocks

    def _identities(self, path: Path) -> list[str]:
        header = _header(path)
        if header.get("format") != _FORMAT or header.get("encoder") != self._fingerprint:
            return []
        return _listed_images(header)

    def _read_block(self, path: Path) -> dict[str, FloatArray]:
        """Return the rows of one block, none when anything about it is not as it was written."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            rows = load(path.read_bytes())["embeddings"]
        except (OSError, SafetensorError, KeyError, ValueError):
            return {}
        header = _header(path)
        identities = self._identities(path)
        sound = header.get("digest") == _digest_of(identities, rows) and rows.shape == (
            len(identities),
            self._dim,
        )
        return dict(zip(identities, rows, strict=True)) if sound else {}


def _header(path: Path) -> dict[str, str]:
    """Return what a block says about itself, nothing when it is damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return file.metadata() or {}
    except (OSError, SafetensorError, ValueError):
        return {}


def _listed_images(header: dict[str, str]) -> list[str]:
    try:
        images = json.loads(header.get("images", "[]"))
    except ValueError:
        return []
    return [str(image) for image in images] if isinstance(images, list) else []


def _digest_of(identities: list[str], rows: np.ndarray[Any, Any]) -> str:
    return _digest(json.dumps(identities).encode() + rows.tobytes())


def fingerprint_of(encoder: Encoder) -> str:
    """Return what tells an encoder's image rows from those of every other one."""
    own = getattr(encoder, "fingerprint", None)
    if isinstance(own, str) and own:
        return f"{encoder.name} {encoder.dim} {own}"
    answer = np.asarray(encoder.encode_images([_test_picture()]), dtype=np.float32)
    kind = f"{type(encoder).__module__}.{type(encoder).__qualname__}"
    return f"{encoder.name} {encoder.dim} {kind} {_digest(np.round(answer, 3).tobytes())}"


def pixels_identity(image: PIL.Image.Image) -> str:
    """Return what tells an image from every other by its pixels."""
    return f"pixels {image.width} x {image.height} {_digest(image.tobytes())}"


def _test_picture() -> PIL.Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, size=(64, 64, 3), dtype=np.uint8)
    return PIL.Image.fromarray(noise).resize((224, 224))


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _write_whole(path: Path, data: bytes) -> None:
    """Put the bytes at path so that a reader, or a crash, finds all of them or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
