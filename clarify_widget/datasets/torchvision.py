"""A data set from torchvision, or from anything else that gives an image and a label when it is indexed."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.arrays import IntArray, check_labels
from clarify_widget.datasets.images import ImageList
from clarify_widget.datasets.parts import Columns, from_parts
from clarify_widget.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clarify_widget.datasets.dataset import Dataset


def from_torchvision(
    dataset: Any, *, class_names: Sequence[str] | None = None, name: str | None = None, seed: int = 0
) -> Dataset:
    """Make a data set of one that gives (image, label) when it is indexed, as those of torchvision do.

    Images are opened only when looked at or embedded, and before `transform`, which would leave them cropped
    or normalised; those of an ImageFolder are known by their paths. Labels come from `targets` or `labels`
    where it has them, else every item is read once.

    Parameters
    ----------
    dataset
        Any map-style data set, such as `torchvision.datasets.CIFAR10(root)`, also inside `Subset`, which is
        dealt 60:20:20 within each class; or a dictionary of them by split: train, val and test. Without
        val, 20% of each class of train become val.
    class_names
        C names; by default those of its attribute `classes`.
    name
        What the data set is called; by default as its class is.
    seed
        Of what is dealt or held out.

    Raises
    ------
    DataError
        When a data set cannot be indexed, when its items are not pairs, or as `from_arrays`.
    """
    splits = dict(dataset) if isinstance(dataset, Mapping) else {"all": dataset}
    if not splits:
        raise DataError("There are no data sets; give at least train.")
    parts = {key: _columns(part, key) for key, part in splits.items()}
    first, _ = _unwrapped(next(iter(splits.values())))
    return from_parts(
        parts,
        class_names=class_names or getattr(first, "classes", None),
        name=name or type(first).__name__,
        seed=seed,
    )


def _columns(dataset: Any, split: str) -> Columns:
    if not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")):
        raise DataError(
            f"A {type(dataset).__name__} cannot be indexed; from_torchvision takes map-style data sets, "
            "with __len__ and __getitem__.",
        )
    base, rows = _unwrapped(dataset)
    labels = _known_labels(base)
    return {
        "labels": [_pair(base, int(row))[1] for row in rows] if labels is None else labels[rows],
        "images": _images(base, split, rows),
    }


def _images(dataset: Any, split: str, rows: IntArray) -> ImageList:
    paths = _paths(dataset)
    if paths is not None:
        return ImageList([paths[row] for row in rows])
    plain = _without_transforms(dataset)
    return ImageList([partial(_image, plain, int(row)) for row in rows], [f"{split} {row}" for row in rows])


def _unwrapped(dataset: Any) -> tuple[Any, IntArray]:
    """Return the data set inside any number of `torch.utils.data.Subset`, and which rows of it are meant."""
    rows = np.arange(len(dataset))
    while hasattr(dataset, "dataset") and hasattr(dataset, "indices"):
        rows = np.asarray(dataset.indices, dtype=np.int64)[rows]
        dataset = dataset.dataset
    return dataset, rows


def _without_transforms(dataset: Any) -> Any:
    """Return the same data set without what is done to its images."""
    if not (hasattr(dataset, "transform") and hasattr(dataset, "transforms")):
        return dataset
    plain = copy.copy(dataset)
    plain.transform = plain.transforms = None
    return plain


def _known_labels(dataset: Any) -> IntArray | None:
    """Return (n,) labels that can be had without opening images, if any."""
    for attribute in ("targets", "labels", "_labels"):
        values = getattr(dataset, attribute, None)
        if values is not None and np.ndim(values) == 1 and len(values) == len(dataset):
            target_transform = getattr(dataset, "target_transform", None)
            if target_transform is not None:
                values = [target_transform(value) for value in values]
            return check_labels(values, name=attribute)
    return None


def _image(dataset: Any, row: int) -> Any:
    return _pair(dataset, row)[0]


def _pair(dataset: Any, row: int) -> tuple[Any, Any]:
    item = dataset[row]
    if not isinstance(item, (tuple, list)) or len(item) < 2:
        raise DataError(
            f"Item {row} of the {type(dataset).__name__} is a {type(item).__name__}; expected (image, label)."
            " For other items use from_arrays with a function: images=lambda row: dataset[row][...].",
        )
    return item[0], item[1]


def _paths(dataset: Any) -> list[str] | None:
    """Return where the images of a folder lie; None for other data sets, and for files of a special kind."""
    samples, loader = getattr(dataset, "samples", None), getattr(dataset, "loader", None)
    if not isinstance(samples, list) or getattr(loader, "__name__", "") != "default_loader":
        return None
    return [path for path, _ in samples]
