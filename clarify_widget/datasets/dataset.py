"""Splits of images and labels, with whatever else is already known about them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from clarify_widget.arrays import (
    BoolArray,
    FloatArray,
    IntArray,
    check_labels,
    check_rows,
    check_stored_rows,
)
from clarify_widget.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import PIL.Image


@runtime_checkable
class ImageSequence(Protocol):
    """Images that are opened only when asked for."""

    def __len__(self) -> int:
        """Return the number of images."""
        ...

    def __getitem__(self, index: int, /) -> PIL.Image.Image:
        """Open one image as RGB; raises ImageReadError when it cannot be read."""
        ...

    def name(self, index: int) -> str:
        """Return what people call the image: its path, or a short description."""
        ...

    def take(self, rows: IntArray) -> ImageSequence:
        """Return the images of these rows, still unopened."""
        ...


@dataclass(frozen=True)
class UnreadableImage:
    """An image that was left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a data set; row i of every array belongs to image i.

    Attributes
    ----------
    name
        "train", "val" or "test".
    labels
        (n,) class indices 0..C-1.
    images
        n images, opened lazily; None when only arrays are known.
    groups
        (n,) ground-truth group indices 0..G-1; only evaluation and oracle baselines look at them.
    features
        (n, d) what the head trains on; None means the embeddings.
    embeddings
        (n, e) rows that phrases are compared with, by cosine; None means that the encoder makes them. Like
        features, they stay in the precision of their file where that is memory-mapped and large.
    predictions
        (n,) class indices from a model that was trained elsewhere.
    confidences
        (n,) the probabilities, 0..1, that it gave to what it predicted.
    masks
        n images, opened lazily, white where the thing is that the label names; only the evaluation of
        explanations looks at them.
    unreadable
        Images that were left out of this split because they cannot be read.
    """

    name: str
    labels: IntArray
    images: ImageSequence | None = None
    groups: IntArray | None = None
    features: FloatArray | None = None
    embeddings: FloatArray | None = None
    predictions: IntArray | None = None
    confidences: FloatArray | None = None
    masks: ImageSequence | None = None
    unreadable: tuple[UnreadableImage, ...] = field(default=())

    def __post_init__(self) -> None:
        """Check that every part has one row an image."""
        labels = check_labels(self.labels, name=f"{self.name} labels")
        object.__setattr__(self, "labels", labels)
        for kind in ("images", "masks"):
            sequence = getattr(self, kind)
            if sequence is not None and len(sequence) != len(labels):
                raise DataError(
                    f"{self.name} has {len(sequence)} {kind} for {len(labels)} labels; give each one label."
                )
        for part in ("groups", "predictions"):
            values = getattr(self, part)
            if values is not None:
                checked = check_labels(values, name=f"{self.name} {part}")
                _check_length(checked, len(labels), f"{self.name} {part}")
                object.__setattr__(self, part, checked)
        for part in ("features", "embeddings"):
            rows = getattr(self, part)
            if rows is not None:
                object.__setattr__(
                    self, part, check_stored_rows(rows, length=len(labels), name=f"{self.name} {part}")
                )

        if self.confidences is not None:
            object.__setattr__(
                self, "confidences", _check_confidences(self.confidences, len(labels), self.name)
            )

    def __len__(self) -> int:
        """Return the number of images, n."""
        return len(self.labels)

    def take(self, rows: IntArray | BoolArray) -> Split:
        """Return the split with only these rows, in this order."""
        indices = np.arange(len(self))[rows]
        return replace(
            self,
            labels=self.labels[indices],
            images=None if self.images is None else self.images.take(indices),
            masks=None if self.masks is None else self.masks.take(indices),
            groups=None if self.groups is None else self.groups[indices],
            features=None if self.features is None else self.features[indices],
            embeddings=None if self.embeddings is None else self.embeddings[indices],
            predictions=None if self.predictions is None else self.predictions[indices],
            confidences=None if self.confidences is None else self.confidences[indices],
        )


def _check_length(values: IntArray, length: int, name: str) -> None:
    if len(values) != length:
        raise DataError(f"{name} has {len(values)} entries for {length} labels; give one an image.")


def _check_confidences(values: FloatArray, length: int, split: str) -> FloatArray:
    confidences: FloatArray = check_rows(np.asarray(values)[None], name=f"{split} confidences")[0]
    if confidences.shape != (length,) or not ((confidences >= 0) & (confidences <= 1)).all():
        raise DataError(f"{split} confidences must be one number in 0..1 for each of {length} images.")
    return confidences


@dataclass(frozen=True, eq=False)
class Dataset:
    """Named classes and the train, validation and test splits of their images.

    Attributes
    ----------
    name
        What people call it.
    class_names
        C names; label c is class_names[c].
    train, val
        What the head trains on, and what people look at.
    test
        Where before and after are compared; None means the validation split.
    group_names
        G names; group g is group_names[g]. None when groups are not known.

    Raises
    ------
    DataError
        When labels or groups leave their names, names repeat, or a split is empty.
    """

    name: str
    class_names: tuple[str, ...]
    train: Split
    val: Split
    test: Split | None = None
    group_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Check names against labels and groups."""
        object.__setattr__(self, "class_names", tuple(str(name) for name in self.class_names))
        _check_unique(self.class_names, "class_names")
        if len(self.class_names) < 2:
            raise DataError(f"A classifier needs at least two classes; got {list(self.class_names)}.")
        if self.group_names is not None:
            object.__setattr__(self, "group_names", tuple(str(name) for name in self.group_names))
            _check_unique(self.group_names, "group_names")
        for split in self.splits():
            if len(split) == 0:
                raise DataError(f"The {split.name} split of {self.name!r} has no images.")
            for part in ("labels", "predictions"):
                values = getattr(split, part)
                if values is not None:
                    check_labels(values, num_classes=len(self.class_names), name=f"{split.name} {part}")
            if split.groups is not None:
                if self.group_names is None:
                    raise DataError(f"{split.name} has groups, but group_names is missing; name each group.")
                check_labels(split.groups, num_classes=len(self.group_names), name=f"{split.name} groups")

    def splits(self) -> Iterator[Split]:
        """Yield train, val and, where there is one, test."""
        yield self.train
        yield self.val
        if self.test is not None:
            yield self.test

    @property
    def num_classes(self) -> int:
        """C, the number of classes."""
        return len(self.class_names)

    def summary(self) -> str:
        """Return one line for people: name, classes and sizes."""
        sizes = ", ".join(f"{split.name} {len(split):,}" for split in self.splits())
        return f"{self.name}: {self.num_classes} classes, {sizes}"

    def __repr__(self) -> str:
        """Return the summary instead of the arrays."""
        return f"<{type(self).__name__} {self.summary()}>"


def _check_unique(names: tuple[str, ...], what: str) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(f"{what} must differ from each other; repeated: {repeated}.")
