"""Slices: the parts of a class with, and without, what its annotations describe."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.arrays import check_labels
from clarify_widget.errors import DataError, EmptySliceError, UnknownClassError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from clarify_widget.arrays import BoolArray, IntArray
    from clarify_widget.concepts.annotations import Annotation

UNSLICED = -1


def slice_ids(
    similarities_of: Mapping[Annotation, npt.ArrayLike],
    labels: npt.ArrayLike,
    class_names: Sequence[str],
    annotations: Iterable[Annotation],
    *,
    allow_empty: bool = False,
) -> IntArray:
    """Cut each annotated class where its annotations say.

    One annotation makes two slices: without it (similarity <= threshold), then with it (similarity >
    threshold). Several on one class make the cells of their product, of which some may hold no image. Slices
    are numbered over the whole split, class after class in the order in which the annotations first name
    them, so that a number means the same on every split; `slice_names` names them.

    Parameters
    ----------
    similarities_of
        For each annotation the (n,) similarities of the split's images with its phrase.
    labels
        (n,) class indices.
    class_names
        C names.
    annotations
        The annotations to cut by.
    allow_empty
        Whether an annotation may leave one side without images, as on a small test split.

    Returns
    -------
    (n,) int64: the slice of each image, -1 in classes without an annotation.

    Raises
    ------
    EmptySliceError
        When one side of an annotation has no image: there is nothing to balance against.
    UnknownClassError
        When an annotation names a class that is not there.
    DataError
        When lengths differ, an annotation has no similarities, or they are NaN.

    Notes
    -----
    Lee et al., "Clarify" (UIST 2024), section 4.2: D> and D<=.
    """
    classes = check_labels(labels, num_classes=len(class_names))
    ids = np.full(len(classes), UNSLICED, dtype=np.int64)
    first_id = 0
    for class_name, of_class in _by_class(annotations).items():
        if class_name not in class_names:
            raise UnknownClassError(f"No class {class_name!r}; the classes are {list(class_names)}.")
        members = np.flatnonzero(classes == list(class_names).index(class_name))
        cell = np.zeros(len(members), dtype=np.int64)
        for annotation in of_class:
            side = _has_phrase(similarities_of, annotation, len(classes))[members]
            if not allow_empty:
                _check_both_sides(annotation, side)
            cell = 2 * cell + side
        ids[members] = first_id + cell
        first_id += 2 ** len(of_class)
    return ids


def slice_names(annotations: Iterable[Annotation]) -> tuple[str, ...]:
    """Return the name of each slice that `slice_ids` numbers, such as 'square without "red"'."""
    return tuple(
        _cell_name(class_name, of_class, cell)
        for class_name, of_class in _by_class(annotations).items()
        for cell in product(["without", "with"], repeat=len(of_class))
    )


def _by_class(annotations: Iterable[Annotation]) -> dict[str, list[Annotation]]:
    by_class: dict[str, list[Annotation]] = {}
    for annotation in annotations:
        by_class.setdefault(annotation.class_name, []).append(annotation)
    return by_class


def _has_phrase(
    similarities_of: Mapping[Annotation, npt.ArrayLike], annotation: Annotation, length: int
) -> BoolArray:
    if annotation not in similarities_of:
        raise DataError(f"No similarities were given for {annotation}; embed its phrase first.")
    similarities = np.asarray(similarities_of[annotation])
    if similarities.shape != (length,):
        raise DataError(
            f"Similarities with {annotation.phrase!r} have shape {similarities.shape} for {length} labels; "
            "give one number an image.",
        )
    if not np.isfinite(similarities).all():
        raise DataError(
            f"Similarities with {annotation.phrase!r} hold NaN or infinity; embed the images again."
        )
    has: BoolArray = similarities > annotation.threshold
    return has


def _check_both_sides(annotation: Annotation, side: BoolArray) -> None:
    n_with = int(side.sum())
    if 0 < n_with < len(side):
        return
    empty = "with" if n_with == 0 else "without"
    raise EmptySliceError(
        f'No image of class {annotation.class_name!r} is {empty} "{annotation.phrase}" at threshold '
        f"{annotation.threshold:.4g} ({len(side) - n_with} without, {n_with} with); "
        f"{'lower' if empty == 'with' else 'raise'} the threshold or remove this annotation.",
    )


def _cell_name(class_name: str, annotations: Sequence[Annotation], cell: Sequence[str]) -> str:
    parts = [f'{side} "{one.phrase}"' for one, side in zip(annotations, cell, strict=True)]
    return f"{class_name} {', '.join(parts)}"
