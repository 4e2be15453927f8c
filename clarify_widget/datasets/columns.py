"""One column of what people know about images, as numbers: class names or indices, what a model predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.arrays import check_labels, check_rows, to_array
from clarify_widget.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clarify_widget.arrays import Float32Array, IntArray

_ROUNDING = 1e-2  # of probabilities in half precision, added up


def column_of(values: Any, name: str) -> np.ndarray[Any, Any]:
    """Return anything array-like as an array with at least one axis."""
    array = to_array(values, name)
    if array.ndim == 0:
        raise DataError(f"{name} must have one row an image; got {type(values).__name__}.")
    return array


def read_predictions(
    values: Any, class_names: Sequence[str], name: str = "predictions"
) -> tuple[IntArray, Float32Array | None]:
    """Return what a model predicts as class indices, and how sure it was where that is known.

    Parameters
    ----------
    values
        (n,) class indices or names, or (n, C) probabilities or logits.
    class_names
        C names.
    name
        What the error message calls them.

    Returns
    -------
    (n,) class indices, and (n,) probabilities of those classes; None where probabilities were not given.

    Raises
    ------
    DataError
        When the values are none of these, or leave the C classes.
    """
    array = column_of(values, name)
    if array.ndim == 1:
        classes, _ = indices_of({"all": array}, class_names, name, "class")
        indices: IntArray = classes["all"]
        return indices, None
    scores = check_rows(array, name=name)
    if scores.shape[1] != len(class_names):
        raise DataError(
            f"{name} of shape {scores.shape} should have one column for each of the {len(class_names)} "
            f"classes {list(class_names)[:10]}, or be (n,) class indices."
        )
    likely: IntArray = scores.argmax(axis=1)
    probable = scores.min(initial=0) >= 0 and np.allclose(scores.sum(axis=1), 1, atol=_ROUNDING)
    return likely, scores.max(axis=1).clip(0, 1).astype(np.float32) if probable else None


def indices_of(
    columns: Mapping[str, Any], names: Sequence[str] | None, part: str, kind: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the columns as indices, and the names that they index."""
    if not columns:
        return {}, ()
    plain = {key: _plain(column, part) for key, column in columns.items()}
    if all(column.dtype.kind in "biuf" for column in plain.values()):
        checked = {key: check_labels(column, name=part) for key, column in plain.items()}
        if names is None:
            highest = max((int(column.max()) for column in checked.values() if column.size), default=-1)
            names = [f"{kind} {index}" for index in range(highest + 1)]
        indices = {
            key: check_labels(column, num_classes=len(names), name=part) for key, column in checked.items()
        }
        return indices, tuple(str(name) for name in names)
    texts = {key: column.astype(str) for key, column in plain.items()}
    if names is None:
        names = np.unique(np.concatenate(list(texts.values()))).tolist()
    index_of = {str(name): index for index, name in enumerate(names)}
    unknown = sorted({text for column in texts.values() for text in column.tolist()} - index_of.keys())
    if unknown:
        raise DataError(f"{part} has {unknown[:5]}, but the {kind} names are {list(index_of)[:10]}.")
    coded = {
        key: np.array([index_of[text] for text in column], dtype=np.int64) for key, column in texts.items()
    }
    return coded, tuple(str(name) for name in names)


def _plain(column: np.ndarray[Any, Any], part: str) -> np.ndarray[Any, Any]:
    """Return a 1-D column of numbers or of text; the object columns of pandas become one or the other."""
    if column.ndim != 1:
        raise DataError(f"{part} must be a 1-D array; got shape {column.shape}.")
    if column.dtype.kind != "O":
        return column
    missing = [row for row, value in enumerate(column) if value is None or _is_nan(value)]
    if missing:
        raise DataError(
            f"{part} are missing in {len(missing)} rows, the first at row {missing[0]}; leave them out."
        )
    numeric = all(isinstance(value, (int, np.integer, np.bool_)) for value in column)
    return column.astype(np.int64) if numeric else column


def _is_nan(value: Any) -> bool:
    """Tell NaN and pandas.NA, the two values whose comparison with themselves is not true."""
    try:
        return not bool(value == value)  # noqa: PLR0124 - the definition of NaN
    except (TypeError, ValueError):
        return True
