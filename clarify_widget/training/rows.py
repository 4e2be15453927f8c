"""Rows as the solvers see them: unit length, then minus their mean over their standard deviation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.arrays import check_rows
from clarify_widget.errors import DataError
from clarify_widget.training.head import unit_rows

if TYPE_CHECKING:
    import numpy.typing as npt

    from clarify_widget.arrays import Float64Array, FloatArray

DOUBLE_PRECISION_LIMIT = 50_000_000  # numbers; larger features are kept in single precision while solving


@dataclass(frozen=True, eq=False)
class StandardisedFeatures:
    """Training features prepared once, for many calls of `train_head` and `train_heads`.

    Attributes
    ----------
    rows
        (n, d) standardised.
    mean, scale
        (d,) of the unit-length rows; constant columns have scale 1.
    """

    rows: FloatArray
    mean: Float64Array
    scale: Float64Array

    @classmethod
    def of(cls, features: npt.ArrayLike | StandardisedFeatures) -> StandardisedFeatures:
        """Prepare raw features (n, d); what is prepared already is returned as it is.

        Raises
        ------
        DataError
            When they are not 2-D numbers, or hold NaN or infinity.
        """
        if isinstance(features, StandardisedFeatures):
            return features
        raw = check_rows(features)
        if not len(raw):
            raise DataError("There are no images to train on.")
        return cls(*standardise(raw))

    def __len__(self) -> int:
        return len(self.rows)


def standardise(features: FloatArray) -> tuple[FloatArray, Float64Array, Float64Array]:
    """Return unit-length rows minus their mean over their standard deviation, and those two (d,).

    Columns that are constant up to rounding keep scale 1.
    """
    rows = unit_rows(features)
    mean = rows.mean(axis=0)
    scale = rows.std(axis=0)
    scale[scale <= 10 * np.finfo(np.float32).eps * np.abs(mean)] = 1
    scale[scale == 0] = 1
    rows -= mean
    rows /= scale
    if rows.size > DOUBLE_PRECISION_LIMIT:
        return rows.astype(np.float32), mean, scale
    return rows, mean, scale
