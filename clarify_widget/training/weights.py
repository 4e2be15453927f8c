"""How much each training image counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from clarify_widget.arrays import check_labels
from clarify_widget.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    from clarify_widget.arrays import Float64Array, IntArray

Totals = Literal["paper", "preserve"]


def sample_weights(
    labels: npt.ArrayLike,
    slices: npt.ArrayLike,
    *,
    num_classes: int | None = None,
    totals: Totals = "paper",
) -> Float64Array:
    """Weight images so that the slices of each annotated class count equally.

    Parameters
    ----------
    labels
        (n,) class indices 0..C-1.
    slices
        (n,) slice ids as `slice_ids` numbers them; -1 in classes without an annotation.
    num_classes
        C, where the labels do not show every class.
    totals
        "paper": each slice sums to 1/C, so w = 1 / (C |slice|), and images of classes without an annotation
        keep 1/N. "preserve": every class keeps its share n_c/N and is only balanced inside.

    Returns
    -------
    (n,) float64. They need not sum to 1; `train_head` minimises a weighted mean.

    Raises
    ------
    DataError
        When lengths differ, indices leave their range, a slice holds images of two classes, or a class is
        sliced only in part.

    Notes
    -----
    Lee et al., "Clarify" (UIST 2024), Eq. 2.
    """
    classes = check_labels(labels, num_classes=num_classes)
    ids = check_slices(slices, classes)
    class_count = num_classes or (int(classes.max()) + 1 if len(classes) else 0)
    sliced = ids >= 0
    weights = np.full(len(classes), 1 / max(len(classes), 1))
    if not sliced.any():
        return weights
    slice_size = np.bincount(ids[sliced])
    if totals == "paper":
        weights[sliced] = 1 / (class_count * slice_size[ids[sliced]])
    elif totals == "preserve":
        class_size = np.bincount(classes, minlength=class_count)
        slices_of_class = np.zeros(class_count)
        np.add.at(slices_of_class, classes[_first_of_each(ids)], 1)
        share = class_size / len(classes) / np.maximum(slices_of_class, 1)
        weights[sliced] = share[classes[sliced]] / slice_size[ids[sliced]]
    else:
        raise DataError(f'totals must be "paper" or "preserve"; got {totals!r}.')
    return weights


def balanced_weights(cells: IntArray) -> Float64Array:
    """Return (n,) weights with which every cell that has images counts equally; they sum to 1."""
    sizes = np.bincount(cells)
    weights: Float64Array = 1 / (np.count_nonzero(sizes) * sizes[cells])
    return weights


def check_slices(slices: npt.ArrayLike, labels: IntArray) -> IntArray:
    """Return slices as (n,) int64; raises DataError unless they part whole classes."""
    array = np.asarray(slices)
    if array.shape != labels.shape:
        raise DataError(f"slices has shape {array.shape} for {len(labels)} labels; give one id an image.")
    ids = check_labels(array + 1, name="slices (plus one)") - 1
    sliced = ids >= 0
    first = _first_of_each(ids)
    class_of_slice = np.full(int(ids.max(initial=-1)) + 1, -1)
    class_of_slice[ids[first]] = labels[first]
    if (class_of_slice[ids[sliced]] != labels[sliced]).any():
        mixed = ids[sliced][class_of_slice[ids[sliced]] != labels[sliced]][0]
        raise DataError(f"Slice {mixed} holds images of two classes; a slice is a part of one class.")
    partly = np.intersect1d(labels[sliced], labels[~sliced])
    if len(partly):
        raise DataError(
            f"Class {partly[0]} has images inside and outside of slices; give all of them one, or none."
        )
    return ids


def _first_of_each(ids: IntArray) -> IntArray:
    values, first = np.unique(ids, return_index=True)
    return first[values >= 0]
