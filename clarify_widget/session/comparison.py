"""Before and after: the same images under two models, part by part."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.evaluation import Evaluation, evaluate, paired_test
from clarify_widget.evaluation.metrics import CellAccuracy
from clarify_widget.session.cells import Cells, with_whole_classes
from clarify_widget.session.results import Comparison, ComparisonRow, RowKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clarify_widget.arrays import IntArray
    from clarify_widget.datasets.dataset import Dataset, Split
    from clarify_widget.session.origin import Origin


def compare(
    dataset: Dataset,
    split: Split,
    before: IntArray,
    after: IntArray,
    *,
    origin: Origin,
    slices: Cells,
) -> Comparison:
    """Compare two sets of predictions on one split.

    The worst cell is looked for among the ground-truth groups where they are known, else among the slices.
    """
    worst_kind, cells = _cells_to_judge(dataset, split, slices)
    train_sizes = _train_sizes(dataset) if worst_kind == "group" else None
    evaluations = [
        _evaluate(dataset, split, predictions, cells, train_sizes) for predictions in (before, after)
    ]
    before_right, after_right = before == split.labels, after == split.labels
    worst = _worst(evaluations[0]).name
    members = (
        cells.ids == cells.names.index(worst) if worst in cells.names else np.ones(len(split), dtype=bool)
    )
    return Comparison(
        objective=origin.objective,
        split=split.name,
        before=evaluations[0],
        after=evaluations[1],
        rows=tuple(
            _rows(evaluations[0], evaluations[1], worst_kind, _slice_cells(split, before, after, slices))
        ),
        fixed=np.flatnonzero(~before_right & after_right),
        broken=np.flatnonzero(before_right & ~after_right),
        worst_name=worst,
        worst_kind="group" if worst_kind == "group" else "slice",
        p_value=paired_test(before_right[members], after_right[members]).p_value,
        average_p_value=paired_test(before_right, after_right).p_value,
        origin=origin,
    )


def evaluate_by_group(dataset: Dataset, split: Split, predictions: IntArray) -> Evaluation:
    """Evaluate predictions on a split, by ground-truth group where groups are known."""
    groups = None if split.groups is None or dataset.group_names is None else split.groups
    return evaluate(
        predictions,
        split.labels,
        groups,
        None if groups is None else _train_sizes(dataset),
        class_names=dataset.class_names,
        group_names=dataset.group_names,
    )


def _cells_to_judge(dataset: Dataset, split: Split, slices: Cells) -> tuple[RowKind, Cells]:
    if split.groups is not None and dataset.group_names is not None:
        return "group", Cells(split.groups, dataset.group_names)
    return "slice", with_whole_classes(slices, split, dataset.class_names)


def _train_sizes(dataset: Dataset) -> IntArray | None:
    if dataset.train.groups is None or dataset.group_names is None:
        return None
    sizes: IntArray = np.bincount(dataset.train.groups, minlength=len(dataset.group_names))
    return sizes


def _evaluate(
    dataset: Dataset,
    split: Split,
    predictions: IntArray,
    cells: Cells,
    train_sizes: IntArray | None,
) -> Evaluation:
    return evaluate(
        predictions,
        split.labels,
        cells.ids,
        train_sizes,
        class_names=dataset.class_names,
        group_names=cells.names,
    )


def _worst(evaluation: Evaluation) -> CellAccuracy:
    return min((cell for cell in evaluation.per_group if cell.size), key=lambda cell: cell.accuracy)


def _slice_cells(
    split: Split,
    before: IntArray,
    after: IntArray,
    slices: Cells,
) -> Iterator[tuple[CellAccuracy, CellAccuracy]]:
    for number, name in enumerate(slices.names):
        inside = slices.ids == number
        labels = split.labels[inside]
        yield (
            CellAccuracy(name, size=len(labels), correct=int((before[inside] == labels).sum())),
            CellAccuracy(name, size=len(labels), correct=int((after[inside] == labels).sum())),
        )


def _rows(
    before: Evaluation,
    after: Evaluation,
    worst_kind: RowKind,
    slice_cells: Iterator[tuple[CellAccuracy, CellAccuracy]],
) -> Iterator[ComparisonRow]:
    yield ComparisonRow(
        "overall",
        "average",
        sum(cell.size for cell in before.per_class),
        before.average,
        before.interval,
        after.average,
        after.interval,
    )
    yield _worst_row(before, after, worst_kind)
    for cells in zip(before.per_class, after.per_class, strict=True):
        yield _row("class", *cells)
    for cells in slice_cells:
        yield _row("slice", *cells)
    if worst_kind == "group":
        for cells in zip(before.per_group, after.per_group, strict=True):
            yield _row("group", *cells)


def _worst_row(before: Evaluation, after: Evaluation, worst_kind: RowKind) -> ComparisonRow:
    """Set the worst cell before beside the worst cell after, which may be another one."""
    worst = [_worst(evaluation) for evaluation in (before, after)]
    return ComparisonRow(
        "worst",
        f"worst {worst_kind}",
        worst[0].size,
        worst[0].accuracy,
        worst[0].interval,
        worst[1].accuracy,
        worst[1].interval,
    )


def _row(kind: RowKind, before: CellAccuracy, after: CellAccuracy) -> ComparisonRow:
    empty = before.size == 0
    unknown = (math.nan, math.nan)
    return ComparisonRow(
        kind,
        before.name,
        before.size,
        before.accuracy,
        unknown if empty else before.interval,
        after.accuracy,
        unknown if empty else after.interval,
    )
