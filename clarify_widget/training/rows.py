"""Rows as the solvers see them: unit length, then minus their mean over their standard deviation.

Features may be larger than memory, so large ones stay where they are, in the caller's array or memory-mapped
file, and only their n lengths, d means and d deviations are computed. A product with the standardised rows
is then a product with the rows as they are, scaled and shifted afterwards (see `models.LinearModel`). Small
ones are standardised once into a copy, the smallest in double precision.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.arrays import check_rows
from clarify_widget.errors import DataError
from clarify_widget.training.distributed import Together

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from clarify_widget.arrays import Float64Array, FloatArray, IntArray
    from clarify_widget.training.distributed import Processes

COPY_LIMIT = 2**24  # numbers: 64 MB in single precision; larger features are not copied
DOUBLE_PRECISION_LIMIT = 2**21  # numbers; larger features are solved in single precision
BLOCK_NUMBERS = 2**19  # of one block that is being measured


@dataclass(frozen=True, eq=False)
class StandardisedFeatures:
    """Training features prepared once, for many calls of `train_head` and `train_heads`.

    The standardised row i is `(source[i] * inverse_length[i] - shift) / spread`.

    Attributes
    ----------
    source
        (n, d) float16, float32 or float64: the raw features, or a standardised copy.
    inverse_length
        (n,); ones for a copy, 0 for rows of zeros.
    shift, spread
        (d,) mean and scale; zeros and ones for a copy.
    mean, scale
        (d,) of the unit-length rows; constant columns have scale 1.
    """

    source: npt.NDArray[Any]
    inverse_length: Float64Array
    shift: Float64Array
    spread: Float64Array
    mean: Float64Array
    scale: Float64Array

    @classmethod
    def of(
        cls, features: npt.ArrayLike | StandardisedFeatures, process_group: Processes = None
    ) -> StandardisedFeatures:
        """Prepare raw features (n, d); what is prepared already is returned as it is.

        A float16, float32 or float64 array, memory-mapped or not, is read block by block and never copied
        whole, unless it is small. With a `process_group`, as `train_head` takes it, these are the rows of
        this process, standardised as those of all processes together are.

        Raises
        ------
        DataError
            When they are not 2-D numbers, hold NaN or infinity, or have no rows.
        """
        together = Together.of(process_group)
        is_prepared = isinstance(features, StandardisedFeatures)
        together.check_same(features="prepared" if is_prepared else "raw")
        if isinstance(features, StandardisedFeatures):
            features.check_prepared_in(together)
            return features
        with together.agreeing():
            source = _numbers(features)
            inverse_length, moments = _measure(source)
        width = source.shape[1]
        together.check_same(**{"The width of features": width})
        moments = reduce(_merged, together.everyone(moments))
        if not moments.count:
            raise DataError("There are no images to train on.")
        mean, scale = moments.mean, moments.scale()
        size = moments.count * width
        if size > COPY_LIMIT:
            return cls(source, inverse_length, mean, scale, mean, scale)
        copy = np.empty(source.shape, np.float64 if size <= DOUBLE_PRECISION_LIMIT else np.float32)
        for part in blocks(len(source), width, BLOCK_NUMBERS):
            copy[part] = (_wide(source[part]) * inverse_length[part, None] - mean) / scale
        return cls(copy, np.ones(len(source)), np.zeros(width), np.ones(width), mean, scale)

    def take(self, chosen: IntArray) -> StandardisedFeatures:
        """Return some rows, normalised as all of them together were."""
        return replace(self, source=self.source[chosen], inverse_length=self.inverse_length[chosen])

    def check_prepared_in(self, together: Together) -> None:
        """Raise DataError when other processes hold rows that were standardised by other numbers."""
        if len(set(together.everyone((self.mean.tobytes(), self.scale.tobytes())))) > 1:
            raise DataError(
                "The features were standardised in each process by its own rows; make them with "
                "StandardisedFeatures.of(features, process_group), or pass raw features."
            )

    @property
    def standardised(self) -> bool:
        """Whether the source is a standardised copy."""
        return not self.shift.any() and bool((self.spread == 1).all() and (self.inverse_length == 1).all())

    def __len__(self) -> int:
        return len(self.source)


def standardise(features: FloatArray) -> tuple[FloatArray, Float64Array, Float64Array]:
    """Return all standardised rows (n, d) in one new array, and their mean and scale (d,)."""
    inverse_length, moments = _measure(features)
    mean, scale = moments.mean, moments.scale()
    rows: FloatArray = (features * inverse_length[:, None].astype(features.dtype) - mean) / scale
    return rows, mean, scale


def blocks(n: int, width: int, numbers: int) -> Iterator[slice]:
    """Yield slices that cover n rows in order, each of so many rows that they hold about `numbers`."""
    size = max(1, numbers // max(width, 1))
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


@dataclass(frozen=True, eq=False)
class _Moments:
    """Of unit-length rows: how many, their mean (d,), and their squared distances from it, added up (d,)."""

    count: int
    mean: Float64Array
    squares: Float64Array

    def scale(self) -> Float64Array:
        """Return the standard deviations (d,); constant columns have 1."""
        scale: Float64Array = np.sqrt(self.squares / self.count)
        scale[scale <= 10 * np.finfo(np.float32).eps * np.abs(self.mean)] = 1
        scale[scale == 0] = 1
        return scale


def _merged(seen: _Moments, new: _Moments) -> _Moments:
    """Return the moments of both.

    Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances"
    (1979).
    """
    if not new.count:
        return seen
    count = seen.count + new.count
    distance = new.mean - seen.mean
    squares = seen.squares + (new.squares + distance**2 * (seen.count * new.count / count))
    return _Moments(count, seen.mean + distance * (new.count / count), squares)


def _measure(source: npt.NDArray[Any]) -> tuple[Float64Array, _Moments]:
    """Return the inverse lengths (n,) of rows, and the moments of the unit-length rows."""
    n, width = source.shape
    inverse_length = np.empty(n)
    moments = _Moments(0, np.zeros(width), np.zeros(width))
    for part in blocks(n, width, BLOCK_NUMBERS):
        rows = _wide(source[part])
        inverse_length[part] = _inverse_lengths(source, part, rows)
        rows *= inverse_length[part, None]
        mean = rows.mean(axis=0)
        rows -= mean
        moments = _merged(moments, _Moments(len(rows), mean, np.einsum("ij,ij->j", rows, rows)))
    return inverse_length, moments


def _numbers(features: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return features (n, d) as an array of floats, not copied where it is one."""
    source = np.asarray(features)
    check_rows(source[:0])
    return source if source.dtype in (np.float16, np.float32, np.float64) else source.astype(np.float32)


def _inverse_lengths(source: npt.NDArray[Any], part: slice, rows: Float64Array) -> Float64Array:
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    if not np.isfinite(lengths).all() and not np.isfinite(rows).all():
        raise _not_finite(source, part.start + int(np.argmin(np.isfinite(rows).all(axis=1))))
    inverse: Float64Array = np.divide(1, lengths, out=np.zeros(len(rows)), where=lengths > 0)
    return inverse


def _not_finite(source: npt.NDArray[Any], first: int) -> DataError:
    parts = blocks(len(source), source.shape[1], BLOCK_NUMBERS)
    bad = sum(int((~np.isfinite(source[part]).all(axis=1)).sum()) for part in parts)
    return DataError(
        f"features has NaN or infinity in {bad} of {len(source)} rows, the first at row {first}; "
        "leave those images out or embed them again.",
    )


def _wide(rows: npt.NDArray[Any]) -> Float64Array:
    return rows.astype(np.float64)
