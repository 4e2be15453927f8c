"""A data set from what other libraries keep by split, whichever splits there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.datasets.arrays import from_arrays, rows_of
from clarify_widget.datasets.splitting import SPLIT_NAMES, split_name, stratified_split
from clarify_widget.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clarify_widget.datasets.dataset import Dataset

HELD_OUT = 0.2
"""The share of each class that is held out for validation where nothing else says what to validate on."""

Columns = dict[str, Any]
"""What `from_arrays` takes, by the name of its argument; None for what is not known."""


def from_parts(
    parts: Mapping[str, Columns],
    *,
    class_names: Sequence[str] | None,
    name: str,
    seed: int,
    group_names: Sequence[str] | None = None,
) -> Dataset:
    """Make a data set of columns by split.

    Where there is one split only, it is dealt to train, val and test. Where there is no val, 20% of each
    class of train are held out for it.

    Parameters
    ----------
    parts
        By any usual name of a split.
    class_names, name, seed, group_names
        As in `from_arrays`.

    Raises
    ------
    DataError
        As `from_arrays`, or when a split has an unusual name or there is none to train on.
    """
    if len(parts) == 1:
        (columns,) = parts.values()
        return from_arrays(**columns, class_names=class_names, group_names=group_names, name=name, seed=seed)
    by_split = {_known(name, parts): columns for name, columns in parts.items()}
    if "train" not in by_split:
        raise DataError(f"There is no split to train on among {list(parts)}; one must be called train.")
    if "val" not in by_split:
        by_split["train"], by_split["val"] = _held_out(by_split["train"], seed)
    keys = {key for columns in by_split.values() for key in columns}
    mappings: Columns = {
        key: {split: columns.get(key) for split, columns in by_split.items()}
        for key in keys
        if any(columns.get(key) is not None for columns in by_split.values())
    }
    return from_arrays(**mappings, class_names=class_names, group_names=group_names, name=name, seed=seed)


def _known(name: str, parts: Mapping[str, Columns]) -> str:
    known = split_name(name)
    if known is None:
        raise DataError(
            f"The splits are {list(parts)}; {name!r} is none of {', '.join(SPLIT_NAMES)}. "
            "Pass a dictionary of the splits that are meant, such as {'train': ..., 'val': ...}.",
        )
    return known


def _held_out(train: Columns, seed: int) -> tuple[Columns, Columns]:
    _, labels = np.unique(np.asarray(train["labels"]), return_inverse=True)
    codes = stratified_split(labels, val_fraction=HELD_OUT, test_fraction=0, seed=seed)
    stay, go = (
        {
            key: None if values is None else rows_of(values, np.flatnonzero(codes == code))
            for key, values in train.items()
        }
        for code in (0, 1)
    )
    return stay, go
