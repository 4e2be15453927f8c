"""Checks of what a head is trained on, shared by the solvers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.arrays import check_labels
from clarify_widget.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    from clarify_widget.arrays import IntArray


def check_training_labels(labels: npt.ArrayLike, num_classes: int | None, *, length: int) -> IntArray:
    """Return labels as (length,) int64 with training images of each of at least two classes.

    Raises
    ------
    DataError
        When they are not one class index a row of features, or a class has no images.
    """
    classes = check_labels(labels, num_classes=num_classes)
    if len(classes) != length:
        raise DataError(
            f"There are {length} rows of features for {len(classes)} labels; give one label a row."
        )
    if not length:
        raise DataError("There are no images to train on.")
    sizes = np.bincount(classes, minlength=num_classes or 0)
    if len(sizes) < 2:
        raise DataError("A classifier needs at least two classes; all labels are 0.")
    if not sizes.all():
        absent = np.flatnonzero(sizes == 0).tolist()
        raise DataError(
            f"Labels must be 0..{len(sizes) - 1} with training images of each class; "
            f"there are none of {absent}.",
        )
    return classes


def check_groups(groups: npt.ArrayLike | None, labels: IntArray, objective: str) -> IntArray:
    """Return groups as int64, one an image; raises DataError when they are missing or do not fit."""
    cells = check_labels(need(groups, "groups", objective), name="groups")
    if len(cells) != len(labels):
        raise DataError(f"groups has {len(cells)} entries for {len(labels)} labels; give one an image.")
    return cells


def need(values: npt.ArrayLike | None, name: str, objective: str) -> npt.ArrayLike:
    """Return values; raises DataError when there are none."""
    if values is None:
        raise DataError(f"objective {objective!r} needs {name}=.")
    return values
