"""Sample weights with the images they belong to, for people who train elsewhere."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from clarify_widget.errors import DataError, MissingDependencyError
from clarify_widget.session.cells import with_whole_classes
from clarify_widget.session.files import moved_into_place

if TYPE_CHECKING:
    from pathlib import Path

    from clarify_widget.session.session import Session

Columns = dict[str, list[Any]]


def weights_table(session: Session, totals: Literal["paper", "preserve"]) -> Columns:
    """Return the columns of `Session.weights_table`."""
    with session.lock:
        weights = session.sample_weights(totals)
        train, names = session.dataset.train, session.class_names
        cells = with_whole_classes(session.train_slices(), train, names)
    rows = range(len(train))
    path = getattr(train.images, "path", lambda _row: None)
    return {
        "image": [session.image_name(row, "train") for row in rows],
        "path": [path(row) for row in rows],
        "split": ["train"] * len(train),
        "label": np.array(names, dtype=object)[train.labels].tolist(),
        "slice": np.array(cells.names, dtype=object)[cells.ids].tolist(),
        "weight": weights.tolist(),
    }


def write_weights(session: Session, path: Path, totals: Literal["paper", "preserve"]) -> Path:
    """Write the table; see `Session.export_weights`."""
    write = {".csv": _write_csv, ".parquet": _write_parquet}.get(path.suffix.lower())
    if write is None:
        raise DataError(f"Weights are written as .csv or .parquet; got {path.name!r}.")
    columns = weights_table(session, totals)
    with moved_into_place(path) as partial:
        write(columns, partial)
    return path


def _write_csv(columns: Columns, path: Path) -> None:
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _write_parquet(columns: Columns, path: Path) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependencyError(
            "Parquet needs the package pyarrow: pip install pyarrow. A .csv needs nothing more."
        ) from error
    paths = pa.array(columns["path"], pa.string())  # also where none of the images is a file
    parquet.write_table(pa.table({**columns, "path": paths}), path)
