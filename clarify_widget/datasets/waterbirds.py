"""Waterbirds: birds of two kinds, most of them on the background that suits them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from clarify_widget.datasets.arrays import from_arrays, read_rows
from clarify_widget.datasets.images import ImageList
from clarify_widget.errors import DataError

if TYPE_CHECKING:
    import os

    from clarify_widget.datasets.dataset import Dataset

CLASS_NAMES = ("landbird", "waterbird")
GROUP_NAMES = ("landbird on land", "landbird on water", "waterbird on land", "waterbird on water")

_COLUMNS = ("img_filename", "y", "split", "place")
_ORIGIN = (
    "Waterbirds v1.0 comes from github.com/kohpangwei/group_DRO as waterbird_complete95_forest2water2.tar.gz;"
    " give the folder that holds its metadata.csv"
)


def waterbirds(
    root: str | os.PathLike[str],
    *,
    features: npt.ArrayLike | str | os.PathLike[str] | None = None,
    embeddings: npt.ArrayLike | str | os.PathLike[str] | None = None,
) -> Dataset:
    """Read the Waterbirds benchmark in its own layout.

    Source: Sagawa et al., "Distributionally Robust Neural Networks for Group Shifts", ICLR 2020.

    Parameters
    ----------
    root
        The folder with metadata.csv (columns img_filename, y, split 0/1/2, place 0/1); the images lie
        below it or below its folder "images".
    features
        (n, d) rows in the order of metadata.csv, or a .npy file of them: what the head trains on.
    embeddings
        (n, e) likewise: rows of the similarity space.

    Returns
    -------
    Dataset
        Classes landbird and waterbird; group y * 2 + place.

    Raises
    ------
    DataError
        When a file is missing, a column or row does not fit, or no image is where metadata.csv says.
    """
    folder = Path(root).expanduser()
    columns = _read_metadata(folder / "metadata.csv")
    file_names = columns["img_filename"]
    labels, places, parts = (_codes(columns[column], column) for column in ("y", "place", "split"))
    base = _image_folder(folder, file_names)
    return from_arrays(
        name="Waterbirds",
        labels=labels,
        groups=labels * 2 + places,
        split=parts,
        images=ImageList([base / file_name for file_name in file_names], file_names),
        features=read_rows(features, "features"),
        embeddings=read_rows(embeddings, "embeddings"),
        class_names=CLASS_NAMES,
        group_names=GROUP_NAMES,
    )


def _read_metadata(path: Path) -> dict[str, list[str]]:
    if not path.is_file():
        raise DataError(f"There is no {path}. {_ORIGIN}.")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise DataError(f"{path} lacks the columns {missing}; it has {reader.fieldnames}. {_ORIGIN}.")
        rows = list(reader)
    if not rows:
        raise DataError(f"{path} has no rows. {_ORIGIN}.")
    return {column: [row[column] or "" for row in rows] for column in _COLUMNS}


def _codes(values: list[str], column: str) -> npt.NDArray[np.int64]:
    """Return a column of metadata.csv as whole numbers within its range."""
    count = 3 if column == "split" else 2
    allowed = {str(code) for code in range(count)}
    for line, value in enumerate(values, start=2):
        if value.strip() not in allowed:
            raise DataError(f"metadata.csv, line {line}: {column} must be 0..{count - 1}; got {value!r}.")
    return np.array(values, dtype=np.int64)


def _image_folder(folder: Path, file_names: list[str]) -> Path:
    """Return the folder that the file names start from: the one where the first image that exists is."""
    for file_name in file_names:
        for base in (folder, folder / "images"):
            if (base / file_name).is_file():
                return base
    raise DataError(
        f"None of the {len(file_names):,} images of metadata.csv exists, neither {folder / file_names[0]} "
        f"nor {folder / 'images' / file_names[0]}. {_ORIGIN}.",
    )
