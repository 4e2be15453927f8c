"""A data set from arrays that are already in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clarify_widget.arrays import IntArray, check_labels
from clarify_widget.datasets.columns import column_of, indices_of, read_predictions
from clarify_widget.datasets.dataset import Dataset, ImageSequence, Split
from clarify_widget.datasets.images import ImageList
from clarify_widget.datasets.splitting import SPLIT_NAMES, split_name, stratified_split
from clarify_widget.errors import DataError

_HELD_OUT = 0.2
_SMALL_GROUP = 5


def from_arrays(
    *,
    labels: Any,
    images: Any = None,
    embeddings: Any = None,
    features: Any = None,
    predictions: Any = None,
    groups: Any = None,
    class_names: Sequence[str] | None = None,
    group_names: Sequence[str] | None = None,
    split: Any = None,
    name: str = "arrays",
    seed: int = 0,
) -> Dataset:
    """Make a data set of what is known about n images.

    Every argument up to `groups` is one array for all images, or a mapping {"train": ..., "val": ...,
    "test": ...} of one array a split; "test" may be left out, and so may any split of any part but the
    labels. NumPy arrays, lists, pandas columns and torch tensors all do.

    Parameters
    ----------
    labels
        (n,) class indices 0..C-1, or class names (then C names in the order of numpy.unique, unless
        `class_names` gives another).
    images
        n paths, PIL images, arrays, tensors, bytes, dictionaries or functions, as `open_image` takes them;
        an array (n, H, W, 3) or a tensor (n, 3, H, W); any object with `__len__`, `__getitem__`, `name` and
        `take`; or one function of the row number. Opened only when looked at or embedded.
    embeddings
        (n, e) rows in the encoder's space, compared by cosine; without them the images are embedded.
    features
        (n, d) what the head trains on; without them the embeddings. A memory-mapped file of float16, float32
        or float64, of features or of embeddings, is read a few rows at a time where the rows of a split
        follow each other and are more than 2**26 numbers.
    predictions
        Of a model that was trained elsewhere: (n,) class indices or names, or (n, C) probabilities or logits,
        whose highest column is the predicted class. Probabilities are kept as `Split.confidences`.
    groups
        (n,) ground-truth group indices, or names; only evaluation and oracle baselines look at them.
    class_names, group_names
        Names in the order of the indices; by default "class 0", "class 1", ... and "group 0", ...
    split
        (n,) "train", "val" or "test", or 0, 1 or 2. Without it 20% of each class become val and 20%
        test; where groups are known, of each group within the class (those under 5 images together).
    name
        What the data set is called.
    seed
        Of the split, where none is given.

    Raises
    ------
    DataError
        When lengths, names or values do not fit, when there are neither images nor embeddings nor
        features, or when a split has no images.
    """
    given = {
        "labels": labels,
        "images": images,
        "embeddings": embeddings,
        "features": features,
        "predictions": predictions,
        "groups": groups,
    }
    if labels is None:
        raise DataError("labels is None; every image needs its true class, as an index or a name.")
    if all(given[part] is None for part in ("images", "embeddings", "features")):
        raise DataError(
            "Give images, embeddings or features beside the labels; labels alone cannot be looked at."
        )
    parts = _parts_by_split(given, split)
    parts["labels"], classes = indices_of(parts["labels"], class_names, "labels", "class")
    parts["predictions"], parts["confidences"] = _predictions(parts["predictions"], classes)
    parts["groups"], groups_found = indices_of(parts["groups"], group_names, "groups", "group")
    if class_names is None:
        _check_no_gaps(parts["labels"], len(classes))
    if split is None and not isinstance(labels, Mapping):
        parts = _dealt(parts, seed)
    splits = {key: _split(key, parts) for key in parts["labels"]}
    return Dataset(
        name=name,
        class_names=classes,
        train=splits["train"],
        val=splits["val"],
        test=splits.get("test"),
        group_names=groups_found if parts["groups"] else None,
    )


def read_rows(rows: npt.ArrayLike | str | os.PathLike[str] | None, name: str) -> npt.ArrayLike | None:
    """Return rows as they are, or those of a .npy file where a path is given; DataError when it is none."""
    if not isinstance(rows, (str, os.PathLike)):
        return rows
    path = Path(rows).expanduser()
    if not path.is_file():
        raise DataError(f"There is no {path} to read the {name} from.")
    try:
        array: npt.NDArray[np.generic] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{path} is not a NumPy array file: {error}.") from error
    return array


def _parts_by_split(given: Mapping[str, Any], split: Any) -> dict[str, dict[str, Any]]:
    """Return {part: {split: values}}; with arrays and no split everything is under "all"."""
    mappings = {part: isinstance(values, Mapping) for part, values in given.items() if values is not None}
    if all(mappings.values()):
        if split is not None:
            raise DataError("Give either mappings of one array a split, or arrays and split=; not both.")
        return _from_mappings(given)
    if any(mappings.values()):
        as_mapping = [part for part, is_mapping in mappings.items() if is_mapping]
        as_array = [part for part, is_mapping in mappings.items() if not is_mapping]
        raise DataError(
            f"{_listed(as_mapping)} came as a mapping of splits and {_listed(as_array)} as one array; "
            "give all of them the same way.",
        )
    columns = _columns(given)
    if split is None:
        return {part: ({} if values is None else {"all": values}) for part, values in columns.items()}
    return _rows_by_split(columns, _split_codes(split, len(columns["labels"])))


def _from_mappings(given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    parts = {part: _known_splits(part, mapping or {}) for part, mapping in given.items()}
    for required in ("train", "val"):
        if required not in parts["labels"]:
            found = _listed(list(parts["labels"])) or "none"
            raise DataError(f"labels need a {required} split; the splits given are: {found}.")
    for part, values in parts.items():
        unlabelled = [key for key in values if key not in parts["labels"]]
        if unlabelled:
            raise DataError(f"{part} has a {unlabelled[0]} split, but labels has none; give labels for it.")
    for key in parts["labels"]:
        columns = _columns({part: values.get(key) for part, values in parts.items()}, where=f"{key} ")
        for part, column in columns.items():
            if column is not None:
                parts[part][key] = column
    return parts


def _known_splits(part: str, mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mapping with its splits called train, val and test, without those that are None."""
    unknown = [key for key in mapping if split_name(key) is None]
    if unknown:
        raise DataError(f"{part} has a split {unknown[0]!r}; splits are called train, val and test.")
    return {str(split_name(key)): values for key, values in mapping.items() if values is not None}


def _columns(given: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Return every part as an array or as images, all with one row an image."""
    columns: dict[str, Any] = {
        part: None if values is None else column_of(values, where + part)
        for part, values in given.items()
        if part != "images"
    }
    length = len(columns["labels"])
    columns["images"] = _image_sequence(given["images"], length, where)
    for part, values in columns.items():
        if values is not None and len(values) != length:
            raise DataError(
                f"{where}{part} has {len(values)} rows for {length} labels; give one row an image."
            )
    return columns


def _image_sequence(images: Any, length: int, where: str) -> ImageSequence | None:
    if images is None:
        return None
    if isinstance(images, ImageSequence) and callable(images.name):  # a pandas column has a name that is text
        return images
    if callable(images) and not hasattr(images, "__len__"):
        opener: Callable[[int], Any] = images
        return ImageList(
            [partial(opener, row) for row in range(length)], [f"image {row}" for row in range(length)]
        )
    if isinstance(images, (str, bytes)):
        raise DataError(f"{where}images must be one image a label; got a single {type(images).__name__}.")
    try:
        return ImageList(list(images))
    except TypeError as error:
        raise DataError(
            f"{where}images must be a sequence of images; got {type(images).__name__}."
        ) from error


def _split_codes(split: Any, length: int) -> IntArray:
    """Return 0 train, 1 val, 2 test from names or codes."""
    column = column_of(split, "split")
    if column.shape != (length,):
        raise DataError(f"split has shape {column.shape} for {length} labels; give one entry an image.")
    if column.dtype.kind in "iufb":
        return check_labels(column, num_classes=len(SPLIT_NAMES), name="split")
    names = [split_name(value) for value in column]
    unknown = sorted({str(value) for value, known in zip(column, names, strict=True) if known is None})
    if unknown:
        raise DataError(f"split must be train, val or test (or 0, 1, 2); got {unknown[:5]}.")
    return np.array([SPLIT_NAMES.index(str(known)) for known in names], dtype=np.int64)


def _rows_by_split(columns: Mapping[str, Any], codes: IntArray) -> dict[str, dict[str, Any]]:
    rows = {key: np.flatnonzero(codes == code) for code, key in enumerate(SPLIT_NAMES)}
    for required in ("train", "val"):
        if not len(rows[required]):
            raise DataError(f"split leaves no image to {required}; train and val need images.")
    return {
        part: (
            {}
            if values is None
            else {key: rows_of(values, chosen) for key, chosen in rows.items() if len(chosen)}
        )
        for part, values in columns.items()
    }


def rows_of(values: Any, rows: IntArray) -> Any:
    """Return rows of an array or of images; those of an array that follow each other as a view."""
    if not isinstance(values, np.ndarray):
        return values.take(rows)
    if np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
        return values[rows[0] : rows[-1] + 1]  # a view: what is in a file stays there
    return values[rows]


def _dealt(parts: Mapping[str, Mapping[str, Any]], seed: int) -> dict[str, dict[str, Any]]:
    """Return the parts, so far under "all", dealt to train, val and test."""
    columns: dict[str, Any] = {part: values.get("all") for part, values in parts.items()}
    strata = _strata(columns["labels"], columns["groups"])
    codes = stratified_split(strata, val_fraction=_HELD_OUT, test_fraction=_HELD_OUT, seed=seed)
    return _rows_by_split(columns, codes)


def _strata(labels: IntArray, groups: IntArray | None) -> IntArray:
    """Return what must keep its share in each split: the groups of a class, its small ones taken together."""
    if groups is None or not len(groups):
        return labels
    cells = labels * (groups.max() + 1) + groups
    _, cell_of, sizes = np.unique(cells, return_inverse=True, return_counts=True)
    return np.where(sizes[cell_of] < _SMALL_GROUP, -1 - labels, cells)


def _predictions(
    columns: Mapping[str, Any], class_names: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return predictions of any kind as indices, and their confidences where they are known."""
    read = {key: read_predictions(column, class_names) for key, column in columns.items()}
    confidences = {key: known for key, (_, known) in read.items() if known is not None}
    return {key: classes for key, (classes, _) in read.items()}, confidences


def _check_no_gaps(labels: Mapping[str, IntArray], num_classes: int) -> None:
    found = np.unique(np.concatenate(list(labels.values())))
    if len(found) != num_classes:
        raise DataError(
            f"labels must be 0..C-1 without gaps; got {found[:10].tolist()}. "
            "Map them with numpy.unique(labels, return_inverse=True), or name every class in class_names.",
        )


def _split(key: str, parts: Mapping[str, Mapping[str, Any]]) -> Split:
    columns: dict[str, Any] = {part: values.get(key) for part, values in parts.items()}
    return Split(name=key, **columns)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
