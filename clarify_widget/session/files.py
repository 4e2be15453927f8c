"""Files that are whole or not there at all, and files that are named by what is in them."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from clarify_widget.errors import SavedSessionError

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping
    from pathlib import Path

Arrays = dict[str, Any]  # name -> NumPy array

PARTIAL = ".partial"
_HASHED_AT_ONCE = 1 << 24  # bytes


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that a reader finds the old one or the new one, whenever the writer ends."""
    with moved_into_place(path) as partial:
        partial.write_bytes(content)


def write_text_once(folder: Path, stem: str, text: str) -> str:
    """Write a JSON text unless the folder has it; the file is named by what is in it."""
    content = text.encode()
    name = f"{stem}-{hashlib.blake2b(content, digest_size=8).hexdigest()}.json"
    if not (folder / name).exists():
        replace_file(folder / name, content)
    return name


def write_arrays_once(
    folder: Path, stem: str, arrays: Mapping[str, Any], metadata: dict[str, str] | None = None
) -> str:
    """Write arrays as safetensors unless the folder has them; the file is named by what is in them."""
    whole = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
    name = f"{stem}-{_digest(whole, metadata)}.safetensors"
    if not (folder / name).exists():
        with moved_into_place(folder / name) as partial:
            try:
                save_file(whole, partial, metadata)
            except SafetensorError as error:  # as when the disk is full
                raise OSError(str(error)) from error
    return name


def read_arrays(path: Path, only: Container[str] | None = None) -> Arrays:
    """Read what `write_arrays_once` wrote, or only some of it.

    Raises
    ------
    SavedSessionError
        When the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            names = [name for name in file.keys() if only is None or name in only]  # noqa: SIM118 - no mapping
            return {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError) as error:
        raise SavedSessionError(f"{path} is missing or damaged: {error}") from error


@contextmanager
def moved_into_place(path: Path) -> Iterator[Path]:
    """Give a path to write to, and put what was written there in place of `path`, on disk."""
    partial = path.with_name(f"{path.name}.{os.urandom(4).hex()}{PARTIAL}")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _digest(arrays: Arrays, metadata: dict[str, str] | None) -> str:
    digest = hashlib.blake2b(repr(sorted((metadata or {}).items())).encode(), digest_size=8)
    for name, values in sorted(arrays.items()):
        digest.update(f"{name} {values.dtype.str} {values.shape};".encode())
        octets = values.reshape(-1).view(np.uint8)
        for start in range(0, len(octets), _HASHED_AT_ONCE):
            digest.update(octets[start : start + _HASHED_AT_ONCE].data)
    return digest.hexdigest()
