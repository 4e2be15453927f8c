"""Embeddings on disk: written whole or not at all, checked when read, never stale.

A folder holds one sub-folder for each encoder. In it every safetensors file is a shard: the rows of up to
1,024 images that stand beside each other in a list, and the digests of those images' identities. A shard is
named by its images, so that the same list always makes the same files with the same bytes. `manifest.json`
lists the shards with their digests.

Shards are written to a temporary name, synced and moved into place while the folder's lock is held, so that
a reader never sees half of one and processes may share the folder. A shard that is damaged is left out, and
its images are embedded again.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import PIL.Image

from clarify_widget.errors import CacheError

try:
    import fcntl
except ImportError:  # Windows: writers do not wait for each other, and what a killed one left stays
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from clarify_widget.arrays import FloatArray
    from clarify_widget.encoders.base import ImageModel

SHARD_ROWS = 1024
MANIFEST = "manifest.json"

_FORMAT = "clarify-widget embeddings 2"
_LOCK = "lock"
_ABOUT = "about"  # one entry: safetensors writes several in any order
_DIGEST_BYTES = 16


class EmbeddingCache:
    """The rows that one encoder or backbone has given, by the identity of their images.

    Parameters
    ----------
    folder
        Shared by all encoders; made when the first shard is written.
    model
        Its `fingerprint` tells it from all others. One without is told by its name, its type and what it
        makes of a test picture.

    Attributes
    ----------
    folder
        This model's own sub-folder.
    """

    def __init__(self, folder: str | os.PathLike[str], model: ImageModel) -> None:
        self._fingerprint = fingerprint_of(model)
        self._dim = int(model.dim)
        self.folder = Path(folder).expanduser() / _digest(f"{_FORMAT} {self._fingerprint}".encode())
        self._known = self._sound_looking_shards()
        self._index = _Index(self._known)

    def find(self, identities: Sequence[str | None]) -> list[FloatArray | None]:
        """Return the (dim,) row of each image, None where it is not known; rows are views of mapped files."""
        whole = self._whole_shard(identities)
        if whole is not None:
            return list(whole.rows)
        return [None if identity is None else self.get(identity) for identity in identities]

    def get(self, identity: str) -> FloatArray | None:
        """Return the (dim,) row of an image, None when it is not known."""
        key = _key(identity)
        while (place := self._index.find(key)) is not None:
            shard, row = place
            if shard.is_sound:
                found: FloatArray = shard.rows[row]
                return found
            self._known = [known for known in self._known if known is not shard]
            self._index = _Index(self._known)
        return None

    def check_writable(self) -> None:
        """Raise CacheError when no shard can be written, before work is done for one."""
        with self._writing():
            pass

    def write(self, identities: Sequence[str], rows: FloatArray) -> None:
        """Write (m, dim) rows of m images as one shard.

        Raises
        ------
        CacheError
            When the folder cannot be written to or the disk is full; shards that were written stay.
        """
        from safetensors.numpy import save

        keys = _keys(identities)
        rows = np.ascontiguousarray(rows, dtype=np.float32)
        about = {"format": _FORMAT, "encoder": self._fingerprint, "digest": _digest_of(keys, rows)}
        content = save({"images": keys, "rows": rows}, metadata={_ABOUT: json.dumps(about, sort_keys=True)})
        path = self.folder / _shard_name(keys)
        with self._writing():
            _write_whole(path, content)
            self._write_manifest({path.name: {"rows": len(rows), "digest": about["digest"]}})

    def finish(self) -> None:
        """List every shard in the manifest; a process that was killed may have left one out."""
        if self.folder.is_dir() and self._listed() != self._listing():
            with self._writing():
                self._write_manifest({})

    def _whole_shard(self, identities: Sequence[str | None]) -> _Shard | None:
        """Return the sound shard of exactly these images, another process's of a moment ago included."""
        if not identities or None in identities:
            return None
        path = self.folder / _shard_name(_keys(cast("Sequence[str]", identities)))
        shard = self._opened(path) if path.is_file() else None
        return shard if shard is not None and shard.is_sound else None

    def _sound_looking_shards(self) -> list[_Shard]:
        opened = (self._opened(path) for path in sorted(self.folder.glob("*.safetensors")))
        return [shard for shard in opened if shard is not None]

    def _opened(self, path: Path) -> _Shard | None:
        shard = _Shard.open(path)
        if shard is None or shard.encoder != self._fingerprint or shard.rows.shape[1] != self._dim:
            return None
        return shard

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the folder's lock, clear away what killed writers left, and name the folder in errors."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with _locked(self.folder / _LOCK):
                _clear(self.folder)
                yield
        except OSError as error:
            raise CacheError(
                f"The embeddings cannot be kept in {self.folder}: {error.strerror or error}. Give a cache "
                "folder that can be written to and has room; what it holds already is used again.",
            ) from error

    def _write_manifest(self, new: dict[str, Any]) -> None:
        shards = {**self._listing(), **new}
        manifest = {"format": _FORMAT, "encoder": self._fingerprint, "dim": self._dim, "shards": shards}
        content = json.dumps(manifest, indent=1, sort_keys=True).encode()
        _write_whole(self.folder / MANIFEST, content)

    def _listing(self) -> dict[str, Any]:
        """Return rows and digest of every shard there is; only those that are not listed are opened."""
        listed = self._listed()
        listing = {}
        for path in sorted(self.folder.glob("*.safetensors")):
            if path.name in listed:
                listing[path.name] = listed[path.name]
            elif (shard := self._opened(path)) is not None:
                listing[path.name] = {"rows": len(shard.rows), "digest": shard.digest}
        return listing

    def _listed(self) -> dict[str, Any]:
        try:
            manifest = json.loads((self.folder / MANIFEST).read_bytes())
        except (OSError, ValueError):
            return {}
        shards = manifest.get("shards") if isinstance(manifest, dict) else None
        return shards if isinstance(shards, dict) else {}


@dataclass(frozen=True, eq=False)
class _Shard:
    """One file of rows, mapped into memory.

    Attributes
    ----------
    images
        (m, 16) uint8 digests of the images' identities.
    rows
        (m, dim) float32.
    """

    path: Path
    encoder: str
    digest: str
    images: npt.NDArray[np.uint8]
    rows: FloatArray

    @classmethod
    def open(cls, path: Path) -> _Shard | None:
        """Return the shard in a file, None when it does not look like one."""
        try:
            with path.open("rb") as file:
                header_bytes = int.from_bytes(file.read(8), "little")
                if header_bytes > path.stat().st_size:
                    return None
                header = json.loads(file.read(header_bytes))
            about = json.loads(header["__metadata__"][_ABOUT])
            images = _mapped(path, header["images"], "U8", header_bytes + 8)
            rows = _mapped(path, header["rows"], "F32", header_bytes + 8)
            shard = cls(path, about["encoder"], about["digest"], images, rows)
            looks_right = about["format"] == _FORMAT and images.shape == (len(rows), _DIGEST_BYTES)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError):
            return None
        return shard if looks_right and rows.ndim == 2 else None

    @cached_property
    def is_sound(self) -> bool:
        """Whether the file holds what was written."""
        return self.digest == _digest_of(self.images, self.rows)


class _Index:
    """Where the row of an image is: 16 bytes an image, however many there are."""

    def __init__(self, shards: Sequence[_Shard]) -> None:
        self._shards = tuple(shards)
        self._starts = np.cumsum([0, *(len(shard.rows) for shard in shards)])
        heads = [_head(shard.images) for shard in shards]
        unsorted = np.concatenate(heads) if heads else np.empty(0, dtype=np.uint64)
        self._order = np.argsort(unsorted, kind="stable")
        self._heads = unsorted[self._order]

    def find(self, key: bytes) -> tuple[_Shard, int] | None:
        """Return the shard and the row in it, None for an image that no shard has."""
        wanted = np.frombuffer(key, dtype=np.uint8)
        position = int(np.searchsorted(self._heads, _head(wanted[None])[0]))
        if position == len(self._heads):
            return None
        place = int(self._order[position])
        number = int(np.searchsorted(self._starts, place, side="right")) - 1
        shard, row = self._shards[number], place - int(self._starts[number])
        return (shard, row) if np.array_equal(shard.images[row], wanted) else None


def fingerprint_of(model: ImageModel) -> str:
    """Return what tells a model's image rows from those of every other one."""
    own = getattr(model, "fingerprint", None)
    if isinstance(own, str) and own:
        return f"{model.name} {model.dim} {own}"
    answer = np.asarray(model.encode_images([_test_picture()]), dtype=np.float32)
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    return f"{model.name} {model.dim} {kind} {_digest(np.round(answer, 3).tobytes())}"


def pixels_identity(image: PIL.Image.Image) -> str:
    """Return what tells an image from every other by its pixels."""
    return f"pixels {image.width} x {image.height} {_digest(image.tobytes())}"


def _test_picture() -> PIL.Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, size=(64, 64, 3), dtype=np.uint8)
    return PIL.Image.fromarray(noise).resize((224, 224))


def _key(identity: str) -> bytes:
    return hashlib.blake2b(identity.encode(), digest_size=_DIGEST_BYTES).digest()


def _keys(identities: Sequence[str]) -> npt.NDArray[np.uint8]:
    joined = b"".join(_key(identity) for identity in identities)
    return np.frombuffer(joined, dtype=np.uint8).reshape(len(identities), _DIGEST_BYTES)


def _head(keys: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Return the first 8 bytes of each (m, 16) key as a number."""
    return np.ascontiguousarray(keys).view("<u8")[:, 0].astype(np.uint64)


def _shard_name(keys: npt.NDArray[np.uint8]) -> str:
    return f"{_digest(keys.tobytes())}.safetensors"


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()


def _digest_of(keys: npt.NDArray[np.uint8], rows: FloatArray) -> str:
    digest = hashlib.blake2b(np.ascontiguousarray(keys).data, digest_size=_DIGEST_BYTES)
    digest.update(np.ascontiguousarray(rows).data)
    return digest.hexdigest()


def _mapped(path: Path, entry: dict[str, Any], dtype: str, start: int) -> npt.NDArray[Any]:
    """Return one tensor of a safetensors file as a read-only view of the file."""
    if entry["dtype"] != dtype:
        raise ValueError(f"expected {dtype}, got {entry['dtype']}")
    first, last = entry["data_offsets"]
    shape = tuple(entry["shape"])
    kind = np.dtype({"U8": "u1", "F32": "<f4"}[dtype])
    if last - first != kind.itemsize * math.prod(shape):
        raise ValueError("the offsets do not fit the shape")
    return np.asarray(np.memmap(path, kind, mode="r", offset=start + first, shape=shape))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that ends with this process, however it ends."""
    with path.open("ab") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _clear(folder: Path) -> None:
    """Remove what killed writers left; while the lock is held nobody else writes."""
    if fcntl is not None:
        for left in folder.glob("*.tmp"):
            left.unlink(missing_ok=True)


def _write_whole(path: Path, data: bytes) -> None:
    """Put the bytes at path so that a reader, or a crash, finds all of them or none."""
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
