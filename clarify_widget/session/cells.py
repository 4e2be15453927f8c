"""Cells of a split: the slices of its annotations and, where there are none, whole classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.concepts import slice_ids, slice_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from clarify_widget.arrays import FloatArray, IntArray
    from clarify_widget.concepts import Annotations
    from clarify_widget.datasets.dataset import Split

    SimilaritiesOf = Callable[[str, str], FloatArray]  # (phrase, name of a split) -> (n,)


@dataclass(frozen=True, eq=False)
class Cells:
    """Disjoint parts of a split, such as the slices of an annotation; -1 belongs to none."""

    ids: IntArray  # (n,) -1..K-1
    names: tuple[str, ...]  # K


def slices_of(
    split: Split,
    class_names: tuple[str, ...],
    annotations: Annotations,
    similarities_of: SimilaritiesOf,
    *,
    allow_empty: bool = False,
) -> Cells:
    """Cut the annotated classes of a split; see `slice_ids` for the errors."""
    if not annotations:
        return Cells(np.full(len(split), -1, dtype=np.int64), ())
    similar = {kept: similarities_of(kept.phrase, split.name) for kept in annotations}
    ids = slice_ids(similar, split.labels, class_names, annotations, allow_empty=allow_empty)
    return Cells(ids, slice_names(annotations))


def with_whole_classes(slices: Cells, split: Split, class_names: tuple[str, ...]) -> Cells:
    """Make a class without slices one cell, so that the worst cell may be there too."""
    ids, names = slices.ids.copy(), list(slices.names)
    for label in np.unique(split.labels[ids < 0]):
        ids[(split.labels == label) & (ids < 0)] = len(names)
        names.append(class_names[label])
    return Cells(ids, tuple(names))
