"""Train a last layer on frozen features, for one of the objectives that the papers compare."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from clarify_widget.errors import DataError
from clarify_widget.training.checks import check_groups, check_training_labels, need
from clarify_widget.training.distributed import Together, gather_columns
from clarify_widget.training.head import FitReport, LinearHead
from clarify_widget.training.lbfgs import minimise
from clarify_widget.training.minimax import minimise_worst_cell
from clarify_widget.training.models import LinearModel
from clarify_widget.training.risks import Cells, WeightedMeans, image_weights
from clarify_widget.training.rows import StandardisedFeatures
from clarify_widget.training.weights import balanced_weights, check_slices, sample_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    import torch

    from clarify_widget.arrays import Float64Array, IntArray
    from clarify_widget.training.distributed import Processes
    from clarify_widget.training.lbfgs import FitProgress, Minimum

WEIGHTED_OBJECTIVES = ("erm", "class_balanced", "slice_balanced", "dfr")
WORST_CELL_OBJECTIVES = ("worst_slice", "worst_class", "group_dro")
OBJECTIVES = ("erm", "class_balanced", "slice_balanced", "worst_slice", "worst_class", "dfr", "group_dro")

# Of the gradient's norm, times sqrt(l2): the duality gap is at most |gradient|^2 / (2 l2).
GRADIENT_TOLERANCE = {"torch.float64": 1e-8, "torch.float32": 1e-5}
CARD_FROM = 2**25  # numbers in the features times classes


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
    solver: Literal["exact", "reference"] = "exact",
    device: str | None = None,
    process_group: Processes = None,
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
    solver
        "exact": to convergence. "reference": the published recipe, see `train_reference`; it takes raw
        features, and neither l2, sample_weight nor initial.
    device
        "cpu" or "cuda"; a card where there is one and the problem is large, unless said otherwise.
    process_group
        The processes that hold the rows, each some of them, as torchrun starts them: "world" for all, or a
        `torch.distributed` group. All of them call with what belongs to their own rows, perhaps none, and
        the same settings; all get the same head, that of one process with all rows. None: the rows are all
        here.
    progress
        Called between iterations.
    cancelled
        Asked between iterations; one process is enough to cancel.

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
    ProcessError
        When another process of the group fails. Where it fails for a reason above, that is raised in all.

    Notes
    -----
    ERM, class-balanced, slice-balanced and worst-slice as compared in Lee et al., "Clarify" (UIST 2024),
    Table 1; group DRO of Sagawa et al. (ICLR 2020) and DFR of Kirichenko et al. (ICLR 2023) in their
    convex, last-layer form.
    """
    together = Together.of(process_group)
    together.check_same(objective=objective, l2=l2, num_classes=num_classes, solver=solver)
    if solver == "reference":
        from clarify_widget.training.reference import WEIGHT_DECAY, train_reference

        if sample_weight is not None or initial is not None or l2 != WEIGHT_DECAY:
            raise DataError(
                f"The published recipe has l2={WEIGHT_DECAY} and neither sample_weight nor initial; "
                'leave them out, or use solver="exact".'
            )
        if isinstance(features, StandardisedFeatures):
            raise DataError('solver="reference" takes raw features, not StandardisedFeatures.')
        if process_group is not None:
            raise DataError(
                'solver="reference" shuffles all rows in one process; leave process_group out, or use '
                'solver="exact".'
            )
        return train_reference(
            features,
            labels,
            objective,
            slices,
            groups,
            num_classes=num_classes,
            device=device or "cpu",
            progress=progress,
            cancelled=cancelled,
        )
    if solver != "exact":
        raise DataError(f'solver must be "exact" or "reference"; got {solver!r}.')
    prepared = StandardisedFeatures.of(features, process_group)
    labels, slices, groups, sample_weight = gather_columns(
        together,
        len(prepared),
        labels=labels,
        slices=slices,
        groups=groups,
        sample_weight=sample_weight,
    )
    classes = check_training_labels(labels, num_classes, length=together.total(len(prepared)))
    class_count = int(classes.max()) + 1
    _check_strength(l2)
    if sample_weight is not None and objective != "erm":
        raise DataError(f'sample_weight goes with objective "erm"; {objective!r} makes its own weights.')

    part = together.part(len(prepared))
    model = _model(prepared, classes[part], class_count, l2, device, together)
    start = together.of_first(lambda: _start(model, initial, prepared), model.device)
    if progress is not None:
        progress = _showing_heads(progress, prepared, model, objective, l2)
    if objective in WEIGHTED_OBJECTIVES:
        weights = _image_weights(objective, classes, slices, groups, sample_weight, class_count)
        (head,) = _weighted_heads(
            prepared, model, weights[None, part], start, objective, l2, progress, cancelled
        )
        return head
    if objective in WORST_CELL_OBJECTIVES:
        cells = Cells(_cells(objective, classes, slices, groups), part, together)
        worst = minimise_worst_cell(model, cells, start, progress=progress, cancelled=cancelled)
        return _head(prepared, model, worst.minimum, worst.lower_bound, objective, l2)
    raise DataError(f"No objective {objective!r}; choose one of {list(OBJECTIVES)}.")


def train_heads(
    features: npt.ArrayLike | StandardisedFeatures,
    labels: npt.ArrayLike,
    sample_weights: npt.ArrayLike,
    *,
    l2: float,
    num_classes: int | None = None,
    initial: LinearHead | None = None,
    process_group: Processes = None,
    progress: Callable[[FitProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[LinearHead, ...]:
    """Train one head for each of K reweightings of the same images, together.

    Parameters
    ----------
    features, labels, l2, num_classes, process_group
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
    ProcessError
        When another process of the group fails.
    """
    together = Together.of(process_group)
    together.check_same(l2=l2, num_classes=num_classes)
    prepared = StandardisedFeatures.of(features, process_group)
    labels, sample_weights = gather_columns(
        together, len(prepared), labels=labels, sample_weights=sample_weights
    )
    classes = check_training_labels(labels, num_classes, length=together.total(len(prepared)))
    class_count = int(classes.max()) + 1
    _check_strength(l2)
    rows = np.asarray(sample_weights, dtype=np.float64)
    if rows.ndim != 2:
        raise DataError(f"sample_weights must be (K, n), one row a head; got shape {rows.shape}.")
    weights = [_image_weights("erm", classes, None, None, row, class_count) for row in rows]
    if not weights:
        return ()
    part = together.part(len(prepared))
    model = _model(prepared, classes[part], class_count, l2, None, together)
    start = together.of_first(lambda: _start(model, initial, prepared), model.device)
    here = np.stack(weights)[:, part]
    return _weighted_heads(prepared, model, here, start, "erm", l2, progress, cancelled)


def _model(
    prepared: StandardisedFeatures,
    labels: IntArray,
    num_classes: int,
    l2: float,
    device: str | None,
    together: Together,
) -> LinearModel:
    with together.agreeing():
        chosen = _device(device, prepared, num_classes)
    return LinearModel(prepared, labels, num_classes, l2, chosen, together)


def _weighted_heads(
    prepared: StandardisedFeatures,
    model: LinearModel,
    weights: Float64Array,  # (K, n) of the rows of this process
    start: torch.Tensor,
    objective: str,
    l2: float,
    progress: Callable[[FitProgress], None] | None,
    cancelled: Callable[[], bool] | None,
) -> tuple[LinearHead, ...]:

    means = WeightedMeans(model, image_weights(model, weights))
    minima = minimise(
        means,
        start.expand(len(weights), -1),
        tolerance=GRADIENT_TOLERANCE[str(model.dtype)] * min(1.0, l2**0.5),
        progress=progress,
        cancelled=cancelled,
    )
    certified = _certified(model, minima, means.weights)
    return tuple(_head(prepared, model, found, bound, objective, l2) for found, bound in certified)


def _certified(
    model: LinearModel, minima: list[Minimum], weights: torch.Tensor
) -> list[tuple[Minimum, float]]:
    """Return minima with their values and gradients as they are, each with a value that none goes below.

    Of two classes in double precision: a gap may be far below what single precision can tell.
    """
    import torch

    parameters = torch.stack([found.parameters for found in minima])
    if model.columns > 1:
        gradients = torch.stack([found.gradient for found in minima])
        return list(zip(minima, model.lower_bound(parameters, weights, gradients).tolist(), strict=True))
    certificate = model.certify(parameters, weights)
    judged = [
        replace(found, value=value, gradient=gradient)
        for found, value, gradient in zip(
            minima, certificate.values.tolist(), certificate.gradients, strict=True
        )
    ]
    return list(zip(judged, certificate.lower_bounds.tolist(), strict=True))


def _head(
    prepared: StandardisedFeatures,
    model: LinearModel,
    minimum: Minimum,
    lower_bound: float,
    objective: str,
    l2: float,
) -> LinearHead:
    columns, bias = model.to_columns(minimum.parameters)
    report = FitReport(
        objective_value=minimum.value,
        gradient_norm=float(minimum.gradient.norm()),
        duality_gap=max(minimum.value - lower_bound, 0.0),
        iterations=minimum.iterations,
        stopped_because=minimum.stopped_because,
    )
    return LinearHead(prepared.mean, prepared.scale, columns, bias, objective, l2, report)


def _showing_heads(
    progress: Callable[[FitProgress], None],
    prepared: StandardisedFeatures,
    model: LinearModel,
    objective: str,
    l2: float,
) -> Callable[[FitProgress], None]:
    """Return a callback that also tells what the head would be."""

    def show(step: FitProgress) -> None:
        def head() -> LinearHead:
            assert step.parameters is not None
            columns, bias = model.to_columns(step.parameters)
            report = FitReport(step.loss, step.gradient_norm, None, step.iteration, "still being trained")
            return LinearHead(prepared.mean, prepared.scale, columns, bias, objective, l2, report)

        progress(replace(step, head=head))

    return show


def _device(wanted: str | None, prepared: StandardisedFeatures, num_classes: int) -> str:
    """Return where to solve; small problems are over before a card has its data."""
    import torch

    if wanted not in (None, "cpu", "cuda"):
        raise DataError(f'device must be "cpu" or "cuda"; got {wanted!r}.')
    if wanted == "cuda" and not torch.cuda.is_available():
        raise DataError('device is "cuda", and torch finds no card; leave device= out to solve here.')
    if wanted is not None:
        return wanted
    large = prepared.source.size * num_classes >= CARD_FROM
    return "cuda" if large and torch.cuda.is_available() else "cpu"


def _check_strength(l2: float) -> None:
    if not (np.isfinite(l2) and l2 > 0):
        raise DataError(
            f"l2 must be a positive number; got {l2}. Without a penalty there may be no best head."
        )


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
        weights = sample_weights(labels, need(slices, "slices", objective), num_classes=num_classes)
    elif objective == "dfr":
        weights = balanced_weights(check_groups(groups, labels, objective))
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
        return check_groups(groups, labels, objective)
    ids = check_slices(need(slices, "slices", objective), labels)
    return np.where(ids >= 0, ids, ids.max() + 1 + labels)


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


def _start(model: LinearModel, initial: LinearHead | None, prepared: StandardisedFeatures) -> torch.Tensor:
    if initial is None:
        return model.zeros()
    mean, scale = prepared.mean, prepared.scale
    if initial.weights.shape != (model.width, model.num_classes):
        raise DataError(
            f"initial has weights of shape {initial.weights.shape}; "
            f"these data need {(model.width, model.num_classes)}.",
        )
    raw_weights = initial.weights / initial.scale[:, None]
    return model.from_columns(
        raw_weights * scale[:, None], initial.bias + (mean - initial.mean) @ raw_weights
    )
