"""CelebA: faces with forty yes-or-no attributes, any of which may mislead about any other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from clarify_widget.datasets.arrays import from_arrays, read_rows
from clarify_widget.datasets.images import ImageList
from clarify_widget.errors import DataError

if TYPE_CHECKING:
    import os

    from clarify_widget.arrays import IntArray
    from clarify_widget.datasets.dataset import Dataset

_ATTRIBUTES = "list_attr_celeba.txt"
_PARTITION = "list_eval_partition.txt"
_IMAGES = "img_align_celeba"
_ORIGIN = (
    f"CelebA comes from mmlab.ie.cuhk.edu.hk/projects/CelebA.html; give the folder that holds {_ATTRIBUTES}, "
    f"{_PARTITION} and the unpacked img_align_celeba.zip, or its folders Anno, Eval and Img with them; or "
    "the folder of Kaggle or WILDS, which has .csv for .txt"
)


def celeba(
    root: str | os.PathLike[str],
    *,
    target: str = "Blond_Hair",
    spurious: str = "Male",
    features: npt.ArrayLike | str | os.PathLike[str] | None = None,
    embeddings: npt.ArrayLike | str | os.PathLike[str] | None = None,
) -> Dataset:
    """Read CelebA in its own layout.

    Source: Liu et al., "Deep Learning Face Attributes in the Wild", ICCV 2015; as a benchmark of group
    robustness (blond hair, misled by sex) Sagawa et al., "Distributionally Robust Neural Networks for Group
    Shifts", ICLR 2020.

    Parameters
    ----------
    root
        The folder with list_attr_celeba.txt, list_eval_partition.txt and img_align_celeba/, or with these
        in its folders Anno, Eval and Img, as they are published; or with .csv for .txt, as Kaggle and WILDS
        have them.
    target
        The attribute to predict, as the first file calls it.
    spurious
        The attribute that may mislead.
    features
        (n, d) rows in the order of list_attr_celeba.txt, or a .npy file of them: what the head trains on.
    embeddings
        (n, e) likewise: rows of the similarity space.

    Returns
    -------
    Dataset
        Classes "not blond hair" and "blond hair"; group y * 2 + spurious, "not blond hair, not male" first.

    Raises
    ------
    DataError
        When a file or an image is missing, a line does not fit, or there is no such attribute.
    """
    folder = Path(root).expanduser()
    file_names, labels, misleading = _read_attributes(_found(folder, _ATTRIBUTES, "Anno"), target, spurious)
    parts = _read_partition(_found(folder, _PARTITION, "Eval"), file_names)
    base = _found(folder, _IMAGES, "Img")
    if (base / _IMAGES).is_dir():  # as Kaggle's archive unpacks
        base /= _IMAGES
    _check_images(base, file_names)
    class_names, sides = _yes_no(target), _yes_no(spurious)
    return from_arrays(
        name="CelebA",
        labels=labels,
        groups=labels * 2 + misleading,
        split=parts,
        images=ImageList([base / file_name for file_name in file_names], file_names),
        features=read_rows(features, "features"),
        embeddings=read_rows(embeddings, "embeddings"),
        class_names=class_names,
        group_names=[f"{class_name}, {side}" for class_name in class_names for side in sides],
    )


def _found(folder: Path, name: str, published_in: str) -> Path:
    """Return where a file or folder of the benchmark lies."""
    for path in (folder / name, folder / published_in / name, (folder / name).with_suffix(".csv")):
        if path.exists():
            return path
    raise DataError(f"There is no {folder / name}, nor {folder / published_in / name}. {_ORIGIN}.")


def _read_attributes(path: Path, target: str, spurious: str) -> tuple[list[str], IntArray, IntArray]:
    """Return the file names, and 0 or 1 for both attributes."""
    names, size, lines = _read_table(path)
    if target == spurious:
        raise DataError(f"target and spurious are both {target!r}; choose two attributes of {path.name}.")
    unknown = [name for name in (target, spurious) if name not in names]
    if unknown:
        raise DataError(f"CelebA has no attribute {unknown[0]!r}; {path.name} has {', '.join(names)}.")
    places = [1 + names.index(name) for name in (target, spurious)]
    file_names, codes = [], []
    for number, line in lines.items():
        words = _words(line)
        values = [words[place] if len(words) == len(names) + 1 else "" for place in places]
        if not set(values) <= {"1", "-1"}:
            raise DataError(
                f"{path.name}, line {number}: expected a file name and {len(names)} times 1 or -1; "
                f"got {line!r}."
            )
        file_names.append(words[0])
        codes.append([int(value == "1") for value in values])
    if size not in (None, len(file_names)):
        raise DataError(
            f"{path} says {size:,} images and has {len(file_names):,}; it is not whole. {_ORIGIN}."
        )
    columns: IntArray = np.array(codes, dtype=np.int64)
    return file_names, columns[:, 0], columns[:, 1]


def _read_table(path: Path) -> tuple[list[str], int | None, dict[int, str]]:
    """Return the attributes, the number of images where the file says it, and its lines by number."""
    lines = path.read_text(encoding="utf-8").splitlines()
    is_csv = path.suffix == ".csv"
    if is_csv and lines and lines[0].startswith("image_id,"):
        head, size, names = 1, None, _words(lines[0])[1:]
    elif not is_csv and len(lines) > 2 and lines[0].strip().isdigit():
        head, size, names = 2, int(lines[0]), lines[1].split()
    else:
        expected = "image_id" if is_csv else "the number of images"
        raise DataError(f"{path} should start with {expected} and a line of attribute names. {_ORIGIN}.")
    return names, size, {number: line for number, line in enumerate(lines[head:], head + 1) if line.strip()}


def _words(line: str) -> list[str]:
    """Return what stands in a line, between spaces or commas."""
    return line.replace(",", " ").split()


def _read_partition(path: Path, file_names: list[str]) -> IntArray:
    """Return 0 train, 1 val or 2 test for every image."""
    split_of: dict[str, int] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        words = _words(line)
        if not words or words == ["image_id", "partition"]:
            continue
        if len(words) != 2 or words[1] not in {"0", "1", "2"}:
            raise DataError(f"{path.name}, line {number}: expected a file name and 0, 1 or 2; got {line!r}.")
        split_of[words[0]] = int(words[1])
    unknown = [file_name for file_name in file_names if file_name not in split_of]
    if unknown:
        raise DataError(
            f"{path} lacks {len(unknown):,} images of {_ATTRIBUTES}, the first {unknown[0]}. {_ORIGIN}."
        )
    return np.array([split_of[file_name] for file_name in file_names], dtype=np.int64)


def _check_images(base: Path, file_names: list[str]) -> None:
    """List the folder of 202,599 images once: asking for each of them takes minutes on a network."""
    present = {path.name for path in base.iterdir()} if base.is_dir() else set()
    absent = [file_name for file_name in file_names if file_name not in present]
    if absent:
        raise DataError(
            f"{len(absent):,} of {len(file_names):,} images are not in {base}, the first {absent[0]}. "
            f"{_ORIGIN}."
        )


def _yes_no(attribute: str) -> tuple[str, str]:
    """Return what the images without, and with, an attribute are called."""
    words = attribute.replace("_", " ").lower()
    return f"not {words}", words
