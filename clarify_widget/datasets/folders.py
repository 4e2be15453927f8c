"""A data set from folders of images, one folder a class."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image

from clarify_widget.datasets.arrays import from_arrays
from clarify_widget.datasets.images import ImageList, printable
from clarify_widget.datasets.splitting import SPLIT_NAMES, split_name, stratified_split
from clarify_widget.errors import DataError

if TYPE_CHECKING:
    from clarify_widget.arrays import IntArray
    from clarify_widget.datasets.dataset import Dataset

_LAYOUT = "Expected root/<class>/*.jpg, or root/train/<class>/*.jpg with root/val and root/test likewise"
_STUBS = {"BUFR", "GRIB", "HDF5", "MPEG"}  # formats that Pillow recognises and cannot decode

_FilesOfClass = dict[str, list[Path]]


def from_folder(
    root: str | os.PathLike[str],
    *,
    splits: tuple[str, str, str] = ("train", "val", "test"),
    val_fraction: float = 0.2,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Make a data set of class folders, as `torchvision.datasets.ImageFolder` reads them.

    Parameters
    ----------
    root
        A folder with one folder a class, or with a train folder (and val and test ones) that has them.
        Images may lie in folders inside the class folders. Hidden files, and files with endings that
        Pillow cannot open, are left alone; so are class folders without images, with a warning.
    splits
        What the split folders are called; "valid" and "validation" do for "val" too.
    val_fraction, test_fraction
        Shares of each class to hold out where there are no split folders. With a train folder and no val
        folder, val_fraction of train is held out; without a test folder there is no test split.
    seed
        Of the images that are held out.

    Returns
    -------
    Dataset
        Class names are the folders' names in natural order ("class 2" before "class 10").

    Raises
    ------
    DataError
        When the folder is missing, has no images, has one class only, or has a class that is not in train.
    """
    folder = Path(root).expanduser()
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        raise DataError(f"{folder} should be a folder of images; found {found} there. {_LAYOUT}.")
    split_folders = _split_folders(folder, splits)
    if split_folders:
        files = {name: _files_by_class(path) for name, path in split_folders.items()}
    else:
        files = {"all": _files_by_class(folder)}
    class_names = _class_names(files, folder)
    paths, labels, parts = _rows(files, class_names)
    if "all" in files:
        parts = stratified_split(labels, val_fraction=val_fraction, test_fraction=test_fraction, seed=seed)
    elif "val" not in files:
        in_train = np.flatnonzero(parts == 0)
        parts[in_train] = stratified_split(
            labels[in_train], val_fraction=val_fraction, test_fraction=0, seed=seed
        )
    return from_arrays(
        name=printable(folder.resolve().name),
        labels=labels,
        images=ImageList(paths, [path.relative_to(folder).as_posix() for path in paths]),
        class_names=[printable(name) for name in class_names],
        split=parts,
    )


def _split_folders(folder: Path, splits: tuple[str, str, str]) -> dict[str, Path]:
    """Return {"train": ..., "val": ..., "test": ...}, those that exist; empty where root has classes."""
    own_names = {name.casefold(): known for name, known in zip(splits, SPLIT_NAMES, strict=True)}
    found: dict[str, Path] = {}
    for child in _folders_in(folder):
        known = own_names.get(child.name.casefold(), split_name(child.name))
        if known is None or not _folders_in(child):
            continue
        if known in found:
            raise DataError(
                f"{folder} has two {known} folders, {found[known].name!r} and {child.name!r}; keep one."
            )
        found[known] = child
    if found and "train" not in found:
        raise DataError(f"{folder} has the split folders {sorted(found)} but none to train on. {_LAYOUT}.")
    return found


def _folders_in(folder: Path) -> list[Path]:
    children = [child for child in folder.iterdir() if child.is_dir() and not _is_hidden(child.name)]
    return sorted(children, key=lambda child: _natural_key(child.name))


def _files_by_class(folder: Path) -> _FilesOfClass:
    return {child.name: _images_in(child) for child in _folders_in(folder)}


def _images_in(folder: Path) -> list[Path]:
    """Return the images below a folder in natural order, through links but never in circles."""
    endings = image_endings()
    found: list[Path] = []
    visited: set[str] = set()
    for parent, children, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in visited:
            children.clear()
            continue
        visited.add(real)
        children[:] = [child for child in children if not _is_hidden(child)]
        found += [
            Path(parent, name)
            for name in names
            if not _is_hidden(name) and Path(name).suffix.lower() in endings
        ]
    return sorted(found, key=lambda path: _natural_key(str(path)))


def image_endings() -> frozenset[str]:
    """Return the file endings, in lower case and with their dot, of the formats that Pillow can decode."""
    endings = PIL.Image.registered_extensions()
    return frozenset(
        ending for ending, kind in endings.items() if kind in PIL.Image.OPEN and kind not in _STUBS
    )


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _natural_key(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Return a key that puts "2" before "10" and ignores case."""
    pieces = re.split(r"([0-9]+)", name.casefold())
    return [
        (0, int(piece), "") if piece.isdecimal() and piece.isascii() else (1, 0, piece) for piece in pieces
    ], name


def _class_names(files: dict[str, _FilesOfClass], folder: Path) -> list[str]:
    """Return the classes that have images, once they are enough and all of them can be trained on."""
    counts: dict[str, int] = {}
    for files_of_class in files.values():
        for name, paths in files_of_class.items():
            counts[name] = counts.get(name, 0) + len(paths)
    names = sorted((name for name, count in counts.items() if count), key=_natural_key)
    if not names:
        raise DataError(f"{folder} has no images in class folders; found {_contents(folder)}. {_LAYOUT}.")
    if len(names) == 1:
        raise DataError(
            f"{folder} has images of one class only, {printable(names[0])!r} ({counts[names[0]]} images); "
            f"a classifier needs two. {_LAYOUT}.",
        )
    empty = [printable(name) for name in counts if name not in names]
    if empty:
        warnings.warn(
            f"Left out of {folder}, for want of images that Pillow can open: {empty}.", stacklevel=3
        )
    trained = files.get("train", files.get("all", {}))
    untrained = [printable(name) for name in names if not trained.get(name)]
    if untrained:
        raise DataError(f"{folder}: {untrained} have images to look at but none in train. {_LAYOUT}.")
    return names


def _contents(folder: Path) -> str:
    """Return what a folder has, for people who expected images in it."""
    children = sorted(child.name for child in folder.iterdir())
    if not children:
        return "an empty folder"
    loose = sum(Path(name).suffix.lower() in image_endings() for name in children)
    more = f", {loose} of them images outside any class folder" if loose else ""
    return f"{len(children)} entries, the first {printable(children[0])!r}{more}"


def _rows(files: dict[str, _FilesOfClass], class_names: list[str]) -> tuple[list[Path], IntArray, IntArray]:
    """Return every image's path, class and split code (0 where the split is still to be dealt)."""
    paths: list[Path] = []
    labels: list[int] = []
    parts: list[int] = []
    for split, files_of_class in files.items():
        code = SPLIT_NAMES.index(split) if split in SPLIT_NAMES else 0
        for label, name in enumerate(class_names):
            found = files_of_class.get(name, [])
            paths += found
            labels += [label] * len(found)
            parts += [code] * len(found)
    return paths, np.array(labels, dtype=np.int64), np.array(parts, dtype=np.int64)
