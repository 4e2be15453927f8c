"""ImageNet (ILSVRC 2012) and ImageNet-V2, in the layouts in which people have them."""

from __future__ import annotations

import csv
import os
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.datasets.dataset import Dataset, Split
from clarify_widget.datasets.folders import image_endings
from clarify_widget.datasets.images import ImageList
from clarify_widget.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NUM_CLASSES = 1000
V2_VARIANTS = ("matched-frequency", "threshold0.7", "top-images")

_KAGGLE = Path("ILSVRC", "Data", "CLS-LOC")
_SOLUTION = "LOC_val_solution.csv"
_GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_DEVKIT = "ILSVRC2012_devkit_t12"
_DOWNLOADS = "image-net.org/challenges/LSVRC/2012/2012-downloads.php"
_ORIGIN = f"ImageNet comes from {_DOWNLOADS}"
_V2_ORIGIN = (
    "ImageNet-V2 comes from github.com/modestyachts/ImageNetV2, whose archives unpack to folders such as "
    "imagenetv2-matched-frequency-format-val with one folder a class, 0 to 999"
)


@dataclass(frozen=True)
class ImageNetClass:
    """One of the 1,000 classes: its place in the order of WordNet IDs, that ID, and what it is called."""

    index: int
    wordnet_id: str
    name: str


@cache
def imagenet_classes() -> tuple[ImageNetClass, ...]:
    """Return the 1,000 classes in the order of their WordNet IDs, which is that of every model's logits.

    Source: the IDs as timm lists them (`imagenet_synsets.txt`), the names that CLIP's authors prompt with as
    open_clip lists them (`IMAGENET_CLASSNAMES`). That list has "missile" and "sunglasses" twice; the second
    missile and the first sunglasses are called as in torchvision, "projectile" and "sunglass".
    """
    text = resources.files("clarify_widget.datasets").joinpath("imagenet_classes.txt").read_text("utf-8")
    pairs = (line.split(" ", 1) for line in text.splitlines())
    return tuple(ImageNetClass(index, wordnet_id, name) for index, (wordnet_id, name) in enumerate(pairs))


def imagenet(
    root: str | os.PathLike[str],
    *,
    v2: str | os.PathLike[str] | None = None,
    classes: Sequence[str] | None = None,
) -> Dataset:
    """Read ImageNet's training and validation images; nothing is opened or copied.

    Source: Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", IJCV 2015.

    Parameters
    ----------
    root
        The folder with train/<WordNet ID>/ and val/, or Kaggle's, with them in ILSVRC/Data/CLS-LOC. The
        validation images lie in folders by WordNet ID, or all in val/ as they are published; then their
        classes come from the devkit (ILSVRC2012_devkit_t12/data, which holds the ground truth and meta.mat)
        or from Kaggle's LOC_val_solution.csv.
    v2
        A folder of ImageNet-V2, as `imagenet_v2` takes it: it becomes the test split. None means no test.
    classes
        WordNet IDs or names of the classes to read, where not all of the 1,000 are wanted or there.

    Returns
    -------
    Dataset
        Classes by WordNet ID, called as in `imagenet_classes`.

    Raises
    ------
    DataError
        When a folder, a file or an image is missing, with its name and where it comes from; when a line
        does not fit, or there is no such class.
    """
    folder, wanted = Path(root).expanduser(), _wanted(classes)
    train = _found(folder, "train", "ILSVRC2012_img_train.tar")
    return Dataset(
        name=_called("ImageNet", wanted),
        class_names=tuple(one.name for one in wanted),
        train=_by_folder(train, {one.wordnet_id: one for one in wanted}, "train", _ORIGIN),
        val=imagenet_val(folder, classes=classes),
        test=None if v2 is None else imagenet_v2(v2, classes=classes),
    )


def imagenet_val(root: str | os.PathLike[str], *, classes: Sequence[str] | None = None) -> Split:
    """Read ImageNet's validation images alone, for who has no training images; see `imagenet`."""
    folder, wanted = Path(root).expanduser(), _wanted(classes)
    val = _found(folder, "val", "ILSVRC2012_img_val.tar")
    with os.scandir(val) as entries:
        in_folders = any(entry.is_dir() for entry in entries)
    if in_folders:
        return _by_folder(val, {one.wordnet_id: one for one in wanted}, "val", _ORIGIN)
    solution = _first_file([place / _SOLUTION for place in (val, folder, folder.parent)])
    if solution is not None:
        return _flat(val, _read_solution(solution), wanted, solution)
    truth = _first_file(
        [folder / place / "data" / _GROUND_TRUTH for place in (_DEVKIT, "devkit", "")]
        + [place / _GROUND_TRUTH for place in (folder, val)]
    )
    if truth is not None:
        return _flat(val, _read_ground_truth(truth), wanted, truth)
    raise DataError(
        f"{val} has no folders by WordNet ID, and nothing says which class its images are of. Put "
        f"{folder / _DEVKIT / 'data' / _GROUND_TRUTH} there, with meta.mat beside it, from "
        f"ILSVRC2012_devkit_t12.tar.gz ({_DOWNLOADS}), or {folder / _SOLUTION} "
        "(kaggle.com/c/imagenet-object-localization-challenge)."
    )


def imagenet_v2(
    root: str | os.PathLike[str],
    *,
    variant: str = "matched-frequency",
    classes: Sequence[str] | None = None,
) -> Split:
    """Read ImageNet-V2, new images of the same 1,000 classes, as a test split for `imagenet`.

    Source: Recht et al., "Do ImageNet Classifiers Generalize to ImageNet?", ICML 2019.

    Parameters
    ----------
    root
        A folder with one folder a class, 0 to 999, or the folder that holds those of the variants as their
        archives unpack: imagenetv2-<variant>-format-val, or imagenetv2-<variant>.
    variant
        Which one to read then: "matched-frequency", "threshold0.7" or "top-images".
    classes
        As `imagenet` takes them.

    Raises
    ------
    DataError
        When a folder is missing, with where it comes from, or there is no such variant or class.
    """
    if variant not in V2_VARIANTS:
        raise DataError(f"The variants of ImageNet-V2 are {', '.join(V2_VARIANTS)}; got {variant!r}.")
    folder, wanted = Path(root).expanduser(), _wanted(classes)
    names = (f"imagenetv2-{variant}-format-val", f"imagenetv2-{variant}")
    found = next((folder / name for name in names if (folder / name).is_dir()), folder)
    by_number = {str(one.index): one for one in wanted}
    if not any((found / number).is_dir() for number in by_number):
        raise DataError(f"There is no {folder / names[0]}, nor folders 0 to 999 in {folder}. {_V2_ORIGIN}.")
    return _by_folder(found, by_number, "test", _V2_ORIGIN)


def _wanted(classes: Sequence[str] | None) -> tuple[ImageNetClass, ...]:
    """Return classes in ImageNet's order."""
    known = imagenet_classes()
    if classes is None:
        return known
    if isinstance(classes, str):
        raise DataError(f"classes must be a list of WordNet IDs or names; got the text {classes!r}.")
    chosen = set(classes)
    unknown = sorted(chosen - {word for one in known for word in (one.wordnet_id, one.name)})
    if unknown:
        raise DataError(
            f"ImageNet has no class {unknown[0]!r}; classes are WordNet IDs such as 'n01440764', or names as "
            "datasets.imagenet_classes() lists them."
        )
    return tuple(one for one in known if chosen & {one.wordnet_id, one.name})


def _called(name: str, wanted: Sequence[ImageNetClass]) -> str:
    return name if len(wanted) == NUM_CLASSES else f"{name} ({len(wanted)} of 1,000 classes)"


def _found(folder: Path, name: str, archive: str) -> Path:
    """Return where the images of a split lie."""
    places = [folder / name, folder / _KAGGLE / name, folder / _KAGGLE.relative_to("ILSVRC") / name]
    for place in places:
        if place.is_dir():
            return place
    raise DataError(
        f"There is no {places[0]}, nor {places[1]}. {_ORIGIN}, as {archive}; give the folder that holds "
        "train and val."
    )


def _first_file(paths: Sequence[Path]) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


def _by_folder(base: Path, class_of: Mapping[str, ImageNetClass], split: str, origin: str) -> Split:
    """Read one folder a class; labels are the places of the classes in the mapping."""
    endings = image_endings()
    files = [_images_in(base / name, endings) for name in class_of]
    lacking = [name for name, found in zip(class_of, files, strict=True) if not found]
    if lacking:
        first = class_of[lacking[0]]
        packed = f" {first.wordnet_id}.tar is not unpacked." if (base / f"{lacking[0]}.tar").is_file() else ""
        raise DataError(
            f"{base} has no images for {len(lacking):,} of {len(class_of):,} classes, the first "
            f"{lacking[0]} ({first.name}).{packed} Name those that are wanted in classes=, or get the "
            f"others: {origin}."
        )
    labels = np.repeat(np.arange(len(files)), [len(found) for found in files])
    return Split(split, labels, _images(base, list(chain.from_iterable(files))))


def _images_in(folder: Path, endings: frozenset[str]) -> list[str]:
    """Return the images of a folder, as paths below its parent."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries]
    return [
        f"{folder.name}/{name}"
        for name in sorted(names)
        if not name.startswith(".") and os.path.splitext(name)[1].lower() in endings  # noqa: PTH122 - a million
    ]


def _images(base: Path, names: list[str]) -> ImageList:
    return ImageList([f"{base}{os.sep}{name}" for name in names], names)


def _flat(val: Path, class_of: Mapping[str, str], wanted: Sequence[ImageNetClass], source: Path) -> Split:
    """Read validation images that lie side by side, by the WordNet ID of each stem."""
    with os.scandir(val) as entries:
        present = {os.path.splitext(entry.name)[0]: entry.name for entry in entries}  # noqa: PTH122 - 50,000
    label_of = {one.wordnet_id: label for label, one in enumerate(wanted)}
    stems = [stem for stem, wordnet_id in sorted(class_of.items()) if wordnet_id in label_of]
    absent = [stem for stem in stems if stem not in present]
    if absent:
        raise DataError(
            f"{len(absent):,} of the {len(stems):,} images in {source} are not in {val}, the first "
            f"{absent[0]}.JPEG. {_ORIGIN}, as ILSVRC2012_img_val.tar."
        )
    labels = np.array([label_of[class_of[stem]] for stem in stems], dtype=np.int64)
    return Split("val", labels, _images(val, [present[stem] for stem in stems]))


def _read_solution(path: Path) -> dict[str, str]:
    """Return the WordNet ID of every image from Kaggle's file: ImageId, "<WordNet ID> <box> ..."."""
    class_of = {}
    with path.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            words = (row.get("PredictionString") or "").split()
            if not row.get("ImageId") or not words or not re.fullmatch(r"n\d{8}", words[0]):
                raise DataError(
                    f"{path}, line {number}: expected ImageId and PredictionString, which starts with a "
                    f"WordNet ID; got {list(row.values())}."
                )
            class_of[row["ImageId"]] = words[0]
    return class_of


def _read_ground_truth(path: Path) -> dict[str, str]:
    """Return the WordNet ID of every image from the devkit, whose line i is about image i."""
    wordnet_ids = _read_meta(path.with_name("meta.mat"))
    class_of = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").split(), start=1):
        if not line.isdecimal() or int(line) not in wordnet_ids:
            raise DataError(f"{path}, line {number}: expected an ILSVRC2012_ID of meta.mat; got {line!r}.")
        class_of[f"ILSVRC2012_val_{number:08}"] = wordnet_ids[int(line)]
    return class_of


def _read_meta(path: Path) -> dict[int, str]:
    """Return {ILSVRC2012_ID: WordNet ID}; the devkit's numbers are not in the order of WordNet IDs."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    if not path.is_file():
        raise DataError(
            f"There is no {path}, which says what the numbers of {_GROUND_TRUTH} mean; it is in "
            f"ILSVRC2012_devkit_t12.tar.gz ({_DOWNLOADS})."
        )
    try:
        synsets = loadmat(path, squeeze_me=True)["synsets"]
        return {int(one["ILSVRC2012_ID"]): str(one["WNID"]) for one in np.atleast_1d(synsets)}
    except (MatReadError, ValueError, KeyError, TypeError, IndexError, NotImplementedError) as error:
        raise DataError(
            f"{path} is not the devkit's meta.mat with its synsets: {error}. {_ORIGIN}."
        ) from error
