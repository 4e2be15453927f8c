"""Accuracies of a model: overall, by class, by group, and of the group that it serves worst."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.arrays import check_labels
from clarify_widget.errors import DataError
from clarify_widget.evaluation.intervals import wilson_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from clarify_widget.arrays import BoolArray, Float64Array, IntArray


@dataclass(frozen=True)
class CellAccuracy:
    """How many images of one class, group or slice are right."""

    name: str
    size: int
    correct: int

    @property
    def accuracy(self) -> float:
        """Share that is right, 0..1; nan when the cell is empty."""
        return self.correct / self.size if self.size else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson 95% interval of the accuracy; (nan, nan) when the cell is empty."""
        return wilson_interval(self.correct, self.size)


@dataclass(frozen=True)
class Evaluation:
    """What one model gets right on one split.

    Attributes
    ----------
    average
        Share of all images that is right.
    interval
        Its Wilson 95% interval.
    per_class
        One cell a class.
    per_group
        One cell a group; empty groups are listed too. () when groups are not known.
    worst_group
        The lowest accuracy of a group that has images; None when groups are not known.
    adjusted_average
        Group accuracies weighted by the sizes of the groups in training; None when those are not known.
    gap
        adjusted_average - worst_group; None where either is.
    """

    average: float
    interval: tuple[float, float]
    per_class: tuple[CellAccuracy, ...]
    per_group: tuple[CellAccuracy, ...] = ()
    worst_group: float | None = None
    adjusted_average: float | None = None

    @property
    def gap(self) -> float | None:
        """adjusted_average - worst_group."""
        if self.adjusted_average is None or self.worst_group is None:
            return None
        return self.adjusted_average - self.worst_group

    def __str__(self) -> str:
        """Return the accuracies with their Wilson 95% intervals as lines of text."""
        cells = (CellAccuracy("average", *self._counts()), *self.per_class, *self.per_group)
        width = max(len(cell.name) for cell in cells)
        return "\n".join(
            f"{cell.name:{width}}  {cell.accuracy:6.1%} ({100 * low:.0f}-{100 * high:.0f}) of {cell.size:,}"
            for cell in cells
            if cell.size
            for low, high in [cell.interval]
        )

    def _counts(self) -> tuple[int, int]:
        return sum(cell.size for cell in self.per_class), sum(cell.correct for cell in self.per_class)


def evaluate(
    predictions: npt.ArrayLike,
    labels: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    train_group_sizes: npt.ArrayLike | None = None,
    *,
    class_names: Sequence[str] | None = None,
    group_names: Sequence[str] | None = None,
    num_classes: int | None = None,
) -> Evaluation:
    """Count what a model gets right.

    Parameters
    ----------
    predictions, labels
        (n,) class indices 0..C-1.
    groups
        (n,) ground-truth group indices 0..G-1.
    train_group_sizes
        (G,) numbers of training images a group, for the adjusted average. Groups without images here are
        left out of it, as they are of the worst group.
    class_names, group_names
        C and G names for the cells.
    num_classes
        C, where neither names nor labels tell it.

    Raises
    ------
    DataError
        When lengths differ, indices leave their range, or there are no images.

    Notes
    -----
    Worst-group accuracy as in Sagawa et al., "Distributionally Robust Neural Networks" (ICLR 2020); the
    average adjusted by train group sizes as there and in WILDS (Koh et al., ICML 2021).
    """
    known_classes = len(class_names) if class_names is not None else num_classes
    truth = check_labels(labels, num_classes=known_classes)
    guesses = check_labels(predictions, num_classes=known_classes, name="predictions")
    _check_length(guesses, truth, "predictions")
    if not len(truth):
        raise DataError("There are no images to evaluate.")
    correct = guesses == truth
    per_class = accuracy_by_cell(
        correct, truth, _names(class_names, known_classes or int(truth.max()) + 1, "class")
    )
    average = CellAccuracy("overall", len(correct), int(correct.sum()))
    if groups is None:
        if train_group_sizes is not None:
            raise DataError("train_group_sizes was given without groups; give the group of each image too.")
        return Evaluation(average.accuracy, average.interval, per_class)

    sizes = None if train_group_sizes is None else _check_sizes(train_group_sizes)
    known_groups = len(group_names) if group_names is not None else None if sizes is None else len(sizes)
    cells = check_labels(groups, num_classes=known_groups, name="groups")
    _check_length(cells, truth, "groups")
    names = _names(group_names, known_groups or int(cells.max()) + 1, "group")
    per_group = accuracy_by_cell(correct, cells, names)
    return Evaluation(
        average.accuracy,
        average.interval,
        per_class,
        per_group,
        worst_group=min(cell.accuracy for cell in per_group if cell.size),
        adjusted_average=None if sizes is None else _adjusted_average(per_group, sizes),
    )


def accuracy_by_cell(correct: BoolArray, cells: IntArray, names: Sequence[str]) -> tuple[CellAccuracy, ...]:
    """Count right images a cell; images with cell -1 belong to none.

    Parameters
    ----------
    correct
        (n,) booleans.
    cells
        (n,) cell indices -1..len(names)-1.
    names
        What the cells are called.
    """
    inside = cells >= 0
    size = np.bincount(cells[inside], minlength=len(names))
    right = np.bincount(cells[inside & correct], minlength=len(names))
    return tuple(CellAccuracy(name, int(n), int(k)) for name, n, k in zip(names, size, right, strict=True))


def _adjusted_average(per_group: Sequence[CellAccuracy], train_sizes: Float64Array) -> float | None:
    if len(train_sizes) != len(per_group):
        raise DataError(f"train_group_sizes has {len(train_sizes)} entries for {len(per_group)} groups.")
    filled = np.array([cell.size > 0 for cell in per_group])
    accuracies = np.array([cell.accuracy for cell in per_group])
    total = train_sizes[filled].sum()
    return float(accuracies[filled] @ train_sizes[filled] / total) if total else None


def _check_sizes(train_group_sizes: npt.ArrayLike) -> Float64Array:
    sizes = np.asarray(train_group_sizes, dtype=np.float64)
    if sizes.ndim != 1 or not np.isfinite(sizes).all() or (sizes < 0).any():
        raise DataError(
            f"train_group_sizes must be one non-negative number a group; got {train_group_sizes!r}."
        )
    return sizes


def _check_length(values: IntArray, labels: IntArray, name: str) -> None:
    if len(values) != len(labels):
        raise DataError(f"{name} has {len(values)} entries for {len(labels)} labels; give one an image.")


def _names(names: Sequence[str] | None, count: int, kind: str) -> tuple[str, ...]:
    return tuple(names) if names is not None else tuple(f"{kind} {index}" for index in range(count))
