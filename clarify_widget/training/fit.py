"""Train a last layer on frozen features, for one of the objectives that the papers compare."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.arrays import check_labels
from clarify_widget.errors import DataError
from clarify_widget.training.head import FitReport, LinearHead
from clarify_widget.training.lbfgs import GRADIENT_TOLERANCE, Minimum, minimise
from clarify_widget.training.minimax import minimise_worst_cell
from clarify_widget.training.models import Model, model_of
from clarify_widget.training.risks import Cells, WeightedMean
from clarify_widget.training.rows import StandardisedFeatures
from clarify_widget.training.weights import balanced_weights, check_slices, sample_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from clarify_widget.arrays import Float64Array, IntArray
    from clarify_widget.training.lbfgs import FitProgress

WEIGHTED_OBJECTIVES = ("erm", "class_balanced", "slice_balanced", "dfr")
WORST_CELL_OBJECTIVES = ("worst_slice", "worst_class", "group_dro")
OBJECTIVES = ("erm", "class_balanced", "slice_balanced", "worst_slice", "worst_class", "dfr", "group_dro")


def train_head(
    features: npt.ArrayLike | StandardisedFeatures,
    labels: npt.ArrayLike,
    objective: str = "erm",
    slices: npt.ArrayLike | None = None,
    groups: npt.ArrayLike | None = None,
    *,
    l2: float = 1e-2,
    num_classes: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
    initial: LinearHead | None = None,
    progress: Callable[[FitProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> LinearHead:
    """Train a linear head to convergence; the same data give the same head.

    Rows are scaled to unit length and standardised by their mean and standard deviation; then the objective
    plus l2/2 * ||W||^2 (bias free) is minimised.

    Parameters
    ----------
    features
        (n, d) raw features, or `StandardisedFeatures.of` them where they are used many times.
    labels
        (n,) class indices 0..C-1, each class present.
    objective
        "erm": mean cross-entropy. "class_balanced": every class counts equally. "slice_balanced": every
        slice counts equally (`sample_weights`, Eq. 2). "dfr": every group counts equally. "worst_class",
        "worst_slice", "group_dro": the largest mean loss of a class, slice or group. In "worst_slice" a
        class without slices is one cell of its own: the published code gives it no weight at all, and then
        nothing holds its accuracy up.
    slices
        (n,) slice ids, -1 in classes without an annotation; for the slice objectives.
    groups
        (n,) ground-truth groups; for "dfr" and "group_dro".
    l2
        Strength of the penalty, above 0.
    num_classes
        C, where it is known.
    sample_weight
        (n,) non-negative weights for "erm", normalised to sum 1; as scikit-learn's.
    initial
        A head to start from: fewer iterations, the same result.
    progress
        Called between iterations.
    cancelled
        Asked between iterations.

    Returns
    -------
    LinearHead
        Its report says why the solver stopped and how far from the optimum it can be at most.

    Raises
    ------
    DataError
        When shapes, labels or settings do not fit, or numbers are NaN.
    CancelledError
        When `cancelled` says so.

    Notes
    -----
    ERM, class-balanced, slice-balanced and worst-slice as compared in Lee et al., "Clarify" (UIST 2024),
    Table 1; group DRO of Sagawa et al. (ICLR 2020) and DFR of Kirichenko et al. (ICLR 2023) in their
    convex, last-layer form.
    """
    prepared = StandardisedFeatures.of(features)
    classes = _check_training_labels(labels, num_classes, length=len(prepared))
    class_count = int(classes.max()) + 1
    _check_strength(l2)
    if sample_weight is not None and objective != "erm":
        raise DataError(f'sample_weight goes with objective "erm"; {objective!r} makes its own weights.')

    rows, mean, scale = prepared.rows, prepared.mean, prepared.scale
    model = model_of(rows, classes, class_count, l2)
    start = _start(model, initial, mean, scale, class_count)
    if objective in WEIGHTED_OBJECTIVES:
        weights = _image_weights(objective, classes, slices, groups, sample_weight, class_count)
        minimum = minimise(
            model,
            WeightedMean(weights),
            start,
            tolerance=GRADIENT_TOLERANCE * min(1.0, l2**0.5),  # the gap is at most |gradient|^2 / (2 l2)
            progress=progress,
            cancelled=cancelled,
        )
        lower_bound = model.dual_value(weights, model.predict(minimum.parameters))
    elif objective in WORST_CELL_OBJECTIVES:
        cells = Cells(_cells(objective, classes, slices, groups))
        worst = minimise_worst_cell(model, cells, start, progress=progress, cancelled=cancelled)
        minimum, lower_bound = worst.minimum, worst.lower_bound
    else:
        raise DataError(f"No objective {objective!r}; choose one of {list(OBJECTIVES)}.")
    columns, bias = model.to_columns(minimum.parameters)
    return LinearHead(mean, scale, columns, bias, objective, l2, _report(minimum, lower_bound))


def train_heads(
    features: npt.ArrayLike | StandardisedFeatures,
    labels: npt.ArrayLike,
    sample_weights: npt.ArrayLike,
    *,
    l2: float,
    num_classes: int | None = None,
    initial: LinearHead | None = None,
    progress: Callable[[FitProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[LinearHead, ...]:
    """Train one head for each of K reweightings of the same images, together.

    Parameters
    ----------
    features, labels, l2, num_classes
        As `train_head` takes them.
    sample_weights
        (K, n) non-negative weights, each row normalised to sum 1.
    initial
        A head that all of them start from.
    progress
        Called between iterations; `loss` is the mean of the K objectives and `gradient_norm` the largest.
    cancelled
        Asked between iterations.

    Returns
    -------
    K heads; each is what `train_head(..., sample_weight=row)` gives, to the solver's tolerance.

    Raises
    ------
    DataError
        When shapes, labels or settings do not fit, or numbers are NaN.
    CancelledError
        When `cancelled` says so.
    """
    prepared = StandardisedFeatures.of(features)
    weights = np.asarray(sample_weights, dtype=np.float64)
    if weights.ndim != 2:
        raise DataError(f"sample_weights must be (K, n), one row a head; got shape {weights.shape}.")
    return tuple(
        train_head(
            prepared,
            labels,
            l2=l2,
            num_classes=num_classes,
            sample_weight=row,
            initial=initial,
            progress=progress,
            cancelled=cancelled,
        )
        for row in weights
    )


def _check_strength(l2: float) -> None:
    if not (np.isfinite(l2) and l2 > 0):
        raise DataError(
            f"l2 must be a positive number; got {l2}. Without a penalty there may be no best head."
        )


def _check_training_labels(labels: npt.ArrayLike, num_classes: int | None, *, length: int) -> IntArray:
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


def _image_weights(
    objective: str,
    labels: IntArray,
    slices: npt.ArrayLike | None,
    groups: npt.ArrayLike | None,
    sample_weight: npt.ArrayLike | None,
    num_classes: int,
) -> Float64Array:
    if objective == "class_balanced":
        weights = balanced_weights(labels)
    elif objective == "slice_balanced":
        weights = sample_weights(labels, _need(slices, "slices", objective), num_classes=num_classes)
    elif objective == "dfr":
        weights = balanced_weights(_check_groups(groups, labels, objective))
    elif sample_weight is None:
        weights = np.ones(len(labels))
    else:
        weights = _check_sample_weight(sample_weight, labels, num_classes)
    normalised: Float64Array = weights / weights.sum()
    return normalised


def _cells(
    objective: str,
    labels: IntArray,
    slices: npt.ArrayLike | None,
    groups: npt.ArrayLike | None,
) -> IntArray:
    if objective == "worst_class":
        return labels
    if objective == "group_dro":
        return _check_groups(groups, labels, objective)
    ids = check_slices(_need(slices, "slices", objective), labels)
    return np.where(ids >= 0, ids, ids.max() + 1 + labels)


def _check_groups(groups: npt.ArrayLike | None, labels: IntArray, objective: str) -> IntArray:
    cells = check_labels(_need(groups, "groups", objective), name="groups")
    if len(cells) != len(labels):
        raise DataError(f"groups has {len(cells)} entries for {len(labels)} labels; give one an image.")
    return cells


def _check_sample_weight(sample_weight: npt.ArrayLike, labels: IntArray, num_classes: int) -> Float64Array:
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != labels.shape:
        raise DataError(
            f"sample_weight has shape {weights.shape} for {len(labels)} labels; give one an image."
        )
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise DataError("sample_weight must be finite and not negative.")
    if not np.bincount(labels, weights=weights, minlength=num_classes).all():
        raise DataError("sample_weight leaves a class without any weight; every class needs some.")
    return weights


def _need(values: npt.ArrayLike | None, name: str, objective: str) -> npt.ArrayLike:
    if values is None:
        raise DataError(f"objective {objective!r} needs {name}=.")
    return values


def _start(
    model: Model,
    initial: LinearHead | None,
    mean: Float64Array,
    scale: Float64Array,
    num_classes: int,
) -> Float64Array:
    if initial is None:
        return np.zeros(model.num_parameters)
    if initial.weights.shape != (len(mean), num_classes):
        raise DataError(
            f"initial has weights of shape {initial.weights.shape}; "
            f"these data need {(len(mean), num_classes)}.",
        )
    raw_weights = initial.weights / initial.scale[:, None]
    return model.from_columns(
        raw_weights * scale[:, None], initial.bias + (mean - initial.mean) @ raw_weights
    )


def _report(minimum: Minimum, lower_bound: float) -> FitReport:
    return FitReport(
        objective_value=minimum.value,
        gradient_norm=minimum.gradient_norm,
        duality_gap=max(minimum.value - lower_bound, 0.0),
        iterations=minimum.iterations,
        stopped_because=minimum.stopped_because,
    )
