"""Attributes of images: which of a list of things each image shows, whoever says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.arrays import to_array
from clarify_widget.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clarify_widget.arrays import BoolArray


@dataclass(frozen=True, eq=False)
class Attributes:
    """Which images have which attributes.

    Attributes
    ----------
    names
        S different names; where the encoder said who has them, the phrases.
    has
        (n, S) booleans, one row an image.
    thresholds
        S thresholds: the similarity with the phrase, or the score of a box, above which an image has it. None
        where somebody else decided.
    source
        Who says so, for people.
    gaps
        S numbers: how much more similar with the phrase the images that have it are, in the mean, than those
        that have it not. Of attributes of the very same images the one with the larger gap is named first.
    by_phrase
        Whether the thresholds are similarities with the names as phrases, as annotations have them.

    Raises
    ------
    DataError
        When names repeat, or shapes do not fit.
    """

    names: tuple[str, ...]
    has: BoolArray
    thresholds: tuple[float, ...] | None = None
    gaps: tuple[float, ...] | None = None
    source: str = "a table"
    by_phrase: bool = False

    def __post_init__(self) -> None:
        """Check that everything is there once for each attribute."""
        if self.has.dtype != np.bool_ or self.has.ndim != 2 or self.has.shape[1] != len(self.names):
            raise DataError(
                f"Attributes must be one boolean an image and name, here (n, {len(self.names)}); got "
                f"{self.has.dtype} of shape {self.has.shape}."
            )
        if len(set(self.names)) < len(self.names):
            repeated = sorted({name for name in self.names if self.names.count(name) > 1})
            raise DataError(f"Attributes must have different names; {repeated} are there more than once.")
        for part in ("thresholds", "gaps"):
            values = getattr(self, part)
            if values is not None and len(values) != len(self.names):
                raise DataError(f"There are {len(values)} {part} for {len(self.names)} attributes.")

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.has)

    @property
    def size(self) -> int:
        """S, the number of attributes."""
        return len(self.names)


def attributes_from_table(table: Any, names: Sequence[str] | None = None) -> Attributes:
    """Take attributes that are known already, such as a data set's own labels.

    Parameters
    ----------
    table
        (n, S) booleans, or zeros and ones, one row an image in the order of the split: a pandas DataFrame or
        another table with named columns, or an array.
    names
        S names; needed for an array.

    Raises
    ------
    DataError
        When an entry is neither true nor false, names are missing, or do not fit.
    """
    columns = getattr(table, "columns", None)
    if names is None:
        if columns is None:
            raise DataError("An array of attributes needs their names; pass names=, one a column.")
        names = [str(column) for column in columns]
    values = to_array(table, "The table of attributes")
    if values.ndim != 2 or values.shape[1] != len(names):
        raise DataError(
            f"The table of attributes must be (n, {len(names)}) for {len(names)} names; got {values.shape}."
        )
    return Attributes(tuple(names), _booleans(values))


def _booleans(values: Any) -> BoolArray:
    try:
        has = values.astype(np.bool_)
        same = bool((has == values).all())
    except (TypeError, ValueError):
        same = False
    if not same:
        strange = next(value for value in values.ravel().tolist() if value not in (0, 1))
        raise DataError(
            f"An image has an attribute or has it not; got {strange!r}. Give booleans or zeros and ones, and "
            "leave other columns out."
        )
    return np.asarray(has)
