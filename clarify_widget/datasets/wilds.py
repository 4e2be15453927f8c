"""The image classification data sets of WILDS and its companions, from the folders that they unpack to."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from clarify_widget.datasets.arrays import from_arrays
from clarify_widget.datasets.celeba import celeba
from clarify_widget.datasets.images import ImageList
from clarify_widget.datasets.waterbirds import waterbirds
from clarify_widget.errors import DataError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from clarify_widget.datasets.dataset import Dataset

    Row = Mapping[str, str]

_ORIGIN = "WILDS comes from wilds.stanford.edu/get_started"
_READ = "waterbirds_v1.0, celebA_v1.0, camelyon17_v1.0 and iwildcam_v2.0"
_CAMELYON = ("patient", "node", "x_coord", "y_coord", "tumor", "center", "split")
_IWILDCAM = ("filename", "y", "split")
_CENTER_SPLITS = {1: "val", 2: "test"}  # hospitals that nothing trains on
_TUMOR = ("normal", "tumor")


def wilds(root: str | os.PathLike[str]) -> Dataset:
    """Read a folder of WILDS: waterbirds, celebA, camelyon17 or iwildcam, told apart by their files.

    Sources: Koh et al., "WILDS: A Benchmark of in-the-Wild Distribution Shifts", ICML 2021; Waterbirds and
    CelebA as in Sagawa et al. (ICLR 2020), which its package also offers.

    The official splits are used; the in-distribution ones, id_val and id_test, are left out. The data sets of
    text, molecules and satellite arrays, and those for detection and regression, are not read.

    Parameters
    ----------
    root
        waterbirds_v1.0 (see `waterbirds`), celebA_v1.0 (see `celeba`), camelyon17_v1.0 (groups are tissue in
        a hospital; no group is in two splits) or iwildcam_v2.0 (classes as its categories.csv names them).

    Raises
    ------
    DataError
        When a file, a column or all images are missing, or it is another data set.
    """
    folder = Path(root).expanduser()
    if any((folder / name).is_file() for name in ("list_attr_celeba.csv", "list_attr_celeba.txt")):
        return celeba(folder)
    path = folder / "metadata.csv"
    if not path.is_file():
        raise DataError(
            f"There is no {path}, nor {folder / 'list_attr_celeba.csv'}; read are {_READ}. {_ORIGIN}."
        )
    with path.open(newline="", encoding="utf-8") as file:
        columns = csv.DictReader(file).fieldnames or ()
    if "place" in columns:
        return waterbirds(folder)
    if set(_CAMELYON) <= set(columns):
        return _camelyon17(path)
    if set(_IWILDCAM) <= set(columns):
        return _iwildcam(path)
    raise DataError(f"{path} has the columns {list(columns)}, which are of none of {_READ}. {_ORIGIN}.")


def _camelyon17(path: Path) -> Dataset:
    rows = [(row, split) for row in _rows(path) if (split := _camelyon_split(row)) is not None]
    tumor, center = ([_code(row, column, path) for row, _ in rows] for column in ("tumor", "center"))
    names = [
        f"patches/patient_{row['patient']}_node_{row['node']}/patch_patient_{row['patient']}"
        f"_node_{row['node']}_x_{row['x_coord']}_y_{row['y_coord']}.png"
        for row, _ in rows
    ]
    hospitals = max(center, default=0) + 1
    return from_arrays(
        name="Camelyon17",
        labels=tumor,
        groups=[label * hospitals + place for label, place in zip(tumor, center, strict=True)],
        split=[split for _, split in rows],
        images=_images(path.parent, names),
        class_names=_TUMOR,
        group_names=[f"{tissue}, hospital {place}" for tissue in _TUMOR for place in range(hospitals)],
    )


def _camelyon_split(row: Row) -> str | None:
    """Return the official split: whole hospitals are held out, the fourth part of the others is id_val."""
    held_out = _CENTER_SPLITS.get(int(row["center"])) if row["center"].isdecimal() else None
    return held_out or ("train" if row["split"] == "0" else None)


def _iwildcam(path: Path) -> Dataset:
    rows = [row for row in _rows(path) if row["split"] in {"train", "val", "test"}]
    return from_arrays(
        name="iWildCam",
        labels=[_code(row, "y", path) for row in rows],
        split=[row["split"] for row in rows],
        images=_images(path.parent / "train", [row["filename"] for row in rows]),
        class_names=_categories(path.with_name("categories.csv")),
    )


def _categories(path: Path) -> list[str] | None:
    """Return what the classes are called, in the order of their numbers, where the file came with them."""
    if not path.is_file():
        return None
    name_of = {int(row["y"]): row["name"] for row in _rows(path) if row["y"].isdecimal()}
    return [name_of[label] for label in range(len(name_of)) if label in name_of]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [{column: value or "" for column, value in row.items()} for row in csv.DictReader(file)]


def _code(row: Row, column: str, path: Path) -> int:
    value = row.get(column) or ""
    if not value.isdecimal():
        raise DataError(f"{path}: {column} must be a whole number from 0; got {value!r} in {dict(row)}.")
    return int(value)


def _images(base: Path, names: Sequence[str]) -> ImageList:
    """Return the images, once it is known that they were unpacked at all."""
    if not any((base / name).is_file() for name in names):
        first = f", such as {base / names[0]}" if names else ""
        raise DataError(f"None of the {len(names):,} images of metadata.csv exists{first}. {_ORIGIN}.")
    return ImageList([base / name for name in names], names)
