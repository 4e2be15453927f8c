"""A data set from the columns of a table."""

from __future__ import annotations

import csv
import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.arrays import to_array
from clarify_widget.datasets.arrays import from_arrays
from clarify_widget.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from clarify_widget.datasets.dataset import Dataset


def from_dataframe(
    frame: Any,
    *,
    label: str = "label",
    image: str | None = None,
    split: str | None = None,
    group: str | None = None,
    prediction: str | Sequence[str] | None = None,
    features: Any = None,
    embeddings: Any = None,
    root: str | os.PathLike[str] | None = None,
    class_names: Sequence[str] | None = None,
    group_names: Sequence[str] | None = None,
    name: str = "dataframe",
    seed: int = 0,
) -> Dataset:
    """Make a data set of a pandas DataFrame, or of another table with `columns` and `frame[column]`.

    Every row is an image; every argument up to `embeddings` names a column.

    Parameters
    ----------
    frame
        The table.
    label
        Class names, or class indices 0..C-1.
    image
        Paths, or anything else that `open_image` takes; opened only when looked at or embedded.
    split
        "train", "val" or "test", or 0, 1 or 2; without it each class is dealt 60:20:20.
    group
        Ground-truth group names or indices; only evaluation and oracle baselines look at them.
    prediction
        What a model predicts: class names or indices, or the names of C columns of probabilities or logits.
    features, embeddings
        What the head trains on, and rows in the encoder's space: the names of d columns of numbers, the name
        of one column of rows (d,), or an array (n, d) from elsewhere in the order of the table.
    root
        The folder that relative paths of images are in.
    class_names, group_names, name, seed
        As in `from_arrays`.

    Raises
    ------
    DataError
        When a column is missing, or as `from_arrays`.
    """
    images = None if image is None else _column(frame, image, "image").tolist()
    return from_arrays(
        labels=_column(frame, label, "label"),
        images=images if images is None or root is None else [_below(root, one) for one in images],
        embeddings=_rows(frame, embeddings, "embeddings"),
        features=_rows(frame, features, "features"),
        predictions=_rows(frame, prediction, "prediction", one_is_rows=False),
        groups=None if group is None else _column(frame, group, "group"),
        split=None if split is None else _column(frame, split, "split"),
        class_names=class_names,
        group_names=group_names,
        name=name,
        seed=seed,
    )


def _column(frame: Any, column: str, argument: str) -> Any:
    """Return a column as an array; DataError with the columns that there are when it is missing."""
    columns = [str(name) for name in frame.columns]
    if column not in columns:
        close = difflib.get_close_matches(str(column), columns, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise DataError(f"{argument}={column!r} is not a column of the table; it has {columns[:20]}.{hint}")
    return np.asarray(frame[column])


def _rows(frame: Any, given: Any, argument: str, *, one_is_rows: bool = True) -> Any:
    """Return rows (n, d) of d columns, of one column of rows, or as they are given."""
    if given is None:
        return None
    if isinstance(given, str):
        column = _column(frame, given, argument)
        return _stacked(column, given) if one_is_rows else column
    if isinstance(given, Sequence) and all(isinstance(one, str) for one in given):
        return np.column_stack([_column(frame, one, argument) for one in given])
    return given


def _stacked(column: Any, name: str) -> Any:
    widths = {np.shape(row) for row in column}
    if len(widths) != 1 or len(next(iter(widths))) != 1:
        raise DataError(
            f"The column {name!r} must have one row of d numbers an image; got shapes {sorted(widths)[:5]}."
        )
    return np.stack([to_array(row, name) for row in column])


def _below(root: str | os.PathLike[str], image: Any) -> Any:
    return Path(root) / image if isinstance(image, (str, os.PathLike)) else image


@dataclass(frozen=True, eq=False)
class CsvTable:
    """The columns of a CSV file, as `from_dataframe` takes them."""

    values: Mapping[str, npt.NDArray[Any]]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names in the file's first line."""
        return tuple(self.values)

    def __getitem__(self, column: str) -> npt.NDArray[Any]:
        """Return one column."""
        return self.values[column]


def read_csv(path: str | os.PathLike[str]) -> CsvTable:
    """Read a CSV file whose first line has the names of its columns.

    A column of whole numbers becomes numbers; any other stays text, with None where nothing is written.

    Raises
    ------
    DataError
        When a line has more or fewer cells than the first, or the file is not text.
    OSError
        When there is no such file.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            lines = [(number, row) for number, row in enumerate(csv.reader(file), start=1) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file: {error}.") from error
    names = lines[0][1] if lines else []
    rows = lines[1:]
    for number, row in rows:
        if len(row) != len(names):
            raise DataError(
                f"{path}, row {number}: expected {len(names)} cells, one a column; got {len(row)}."
            )
    cells = zip(*(row for _, row in rows), strict=True) if rows else ([] for _ in names)
    return CsvTable({name: _typed(column) for name, column in zip(names, cells, strict=True)})


def _typed(cells: Sequence[str]) -> npt.NDArray[Any]:
    if cells and all(cell.isdecimal() and str(int(cell)) == cell for cell in cells):
        return np.array(cells, dtype=np.int64)
    return np.array([cell or None for cell in cells], dtype=object)
