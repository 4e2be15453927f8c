"""The array types that every layer speaks, and the checks that let them in."""

from __future__ import annotations

import mmap
from numbers import Integral
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from clarify_widget.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BoolArray: TypeAlias = npt.NDArray[np.bool_]
IntArray: TypeAlias = npt.NDArray[np.int64]
Float32Array: TypeAlias = npt.NDArray[np.float32]
Float64Array: TypeAlias = npt.NDArray[np.float64]
FloatArray: TypeAlias = Float32Array | Float64Array

MOST_IN_MEMORY = 1 << 26  # numbers of an array in a file: 256 MB in single precision

_CHECKED_AT_ONCE = 1 << 22  # numbers
_FLOATS = (np.float16, np.float32, np.float64)


def to_array(values: Any, name: str) -> npt.NDArray[Any]:
    """Return anything array-like as an array; tensors may be on any device and of any precision.

    Raises
    ------
    DataError
        When it cannot be made into one.
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if str(values.dtype) == "torch.bfloat16":
            values = values.float()  # NumPy has no such type
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{name} cannot be made into an array: {error}.") from error


def check_labels(labels: npt.ArrayLike, *, num_classes: int | None = None, name: str = "labels") -> IntArray:
    """Return labels as a 1-D int64 array of class indices 0..C-1.

    Parameters
    ----------
    labels
        (n,) whole numbers.
    num_classes
        C, where it is known; otherwise any non-negative whole number passes.
    name
        What the error message calls the array.

    Raises
    ------
    DataError
        When the array is not 1-D, not whole numbers, or leaves 0..C-1.
    """
    array = to_array(labels, name)
    if array.ndim != 1:
        raise DataError(f"{name} must be a 1-D array; got shape {array.shape}.")
    if array.dtype.kind == "f" and array.size and not (np.isfinite(array) & (array == np.round(array))).all():
        raise DataError(f"{name} must be whole numbers 0..C-1; got values such as {array[:3].tolist()}.")
    if array.dtype.kind not in "iufb":
        raise DataError(
            f"{name} must be class indices 0..C-1, not {array.dtype}; "
            "map names to indices first, for example with numpy.unique(names, return_inverse=True).",
        )
    whole = array.astype(np.int64)
    if whole.size and whole.min() < 0:
        raise DataError(f"{name} must be 0..C-1; the lowest is {whole.min()}. Leave unlabelled images out.")
    if num_classes is not None and whole.size and whole.max() >= num_classes:
        raise DataError(
            f"{name} must be 0..{num_classes - 1} for {num_classes} classes; the highest is {whole.max()}."
        )
    return whole


def check_rows(rows: npt.ArrayLike, *, length: int | None = None, name: str = "features") -> FloatArray:
    """Return rows as a finite 2-D float array, float32 unless it was float64.

    Parameters
    ----------
    rows
        (n, d) numbers: an array, memory-mapped or not, or a tensor on any device.
    length
        n, where it is known.
    name
        What the error message calls the array.

    Raises
    ------
    DataError
        When the array is not 2-D, has the wrong number of rows, or holds NaN or infinity.
    """
    array = to_array(rows, name)
    if array.ndim != 2:
        raise DataError(f"{name} must be a 2-D array, one row an image; got shape {array.shape}.")
    if array.dtype.kind not in "fiu":
        raise DataError(f"{name} must be numbers; got {array.dtype}.")
    if length is not None and len(array) != length:
        raise DataError(f"{name} has {len(array)} rows for {length} labels; give one row an image.")
    floats: FloatArray = array if array.dtype == np.float64 else array.astype(np.float32, copy=False)
    bad = np.flatnonzero(~_finite_rows(floats))
    if len(bad):
        raise DataError(
            f"{name} has NaN or infinity in {len(bad)} of {len(floats)} rows, the first at row {bad[0]}; "
            "leave those images out or embed them again.",
        )
    return floats


def check_stored_rows(
    rows: npt.ArrayLike, *, length: int | None = None, name: str = "features"
) -> FloatArray:
    """Return rows as `check_rows` does, but leave those that are many in their file, unread.

    Whoever reads them there takes a few at a time: see `row_blocks` and `unit_rows`.

    Raises
    ------
    DataError
        As `check_rows`; NaN and infinity only where the rows are read.
    """
    array = to_array(rows, name)
    if not stays_in_file(array):
        return check_rows(array, length=length, name=name)
    check_rows(array[:0], name=name)
    if length is not None and len(array) != length:
        raise DataError(f"{name} has {len(array)} rows for {length} labels; give one row an image.")
    return array


def stays_in_file(array: npt.NDArray[Any]) -> bool:
    """Whether an array of floats is a memory-mapped file, and larger than what is copied to memory."""
    if array.size <= MOST_IN_MEMORY or array.dtype.type not in _FLOATS:
        return False
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, mmap.mmap)


def row_blocks(rows: npt.NDArray[Any]) -> Iterator[slice]:
    """Yield slices that cover rows (n, d) in order, each small beside memory."""
    step = max(1, _CHECKED_AT_ONCE // max(rows.shape[1], 1))
    return (slice(start, min(start + step, len(rows))) for start in range(0, len(rows), step))


def unit_rows(rows: npt.NDArray[Any], *, name: str) -> Float32Array:
    """Return rows (n, d) of any precision as float32 rows of length one.

    Raises
    ------
    DataError
        When a row is all zeros, which has no direction, or holds NaN or infinity.
    """
    floats = check_rows(rows, name=name)
    norms = np.linalg.norm(floats, axis=1, keepdims=True)
    if len(norms) and norms.min() == 0:
        raise DataError(
            f"{name} has an all-zero row at {int(norms.argmin())}; leave that image out or embed it again."
        )
    unit: Float32Array = (floats / norms).astype(np.float32, copy=False)
    return unit


def _finite_rows(rows: FloatArray) -> BoolArray:
    """Return (n,) which rows are finite, a few at a time, as they may be in a file larger than memory."""
    finite = np.empty(len(rows), dtype=np.bool_)
    for part in row_blocks(rows):
        finite[part] = np.isfinite(rows[part]).all(axis=1)
    return finite


def whole_numbers(values: Iterable[Any]) -> list[int]:
    """Return row numbers as plain ints; raises DataError for anything else, a mask of booleans included."""
    listed = values.tolist() if isinstance(values, np.ndarray) else list(values)
    for value in listed:
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral):
            raise DataError(
                f"Rows are whole numbers; got {value!r}. Of a mask take numpy.flatnonzero(mask) instead."
            )
    return [int(value) for value in listed]
