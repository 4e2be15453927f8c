"""Group DRO as it was published: stochastic steps, with group weights that follow the losses.

`train_head(..., "group_dro")` solves the same problem to a certified gap. This is the algorithm itself, for
comparison: in the limit of many small steps both reach the same head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.arrays import check_rows
from clarify_widget.errors import DataError
from clarify_widget.training import FitReport, LinearHead
from clarify_widget.training.checks import check_groups, check_training_labels
from clarify_widget.training.head import softmax
from clarify_widget.training.rows import standardise

if TYPE_CHECKING:
    import numpy.typing as npt

    from clarify_widget.arrays import Float64Array, IntArray

MOMENTUM = 0.9


def train_online_group_dro(
    features: npt.ArrayLike,
    labels: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    l2: float = 1e-2,
    step_size: float = 0.01,
    adjustment: float = 0.0,
    learning_rate: float = 1e-3,
    batch_size: int = 128,
    epochs: int = 100,
    seed: int = 0,
    num_classes: int | None = None,
) -> LinearHead:
    """Train a linear head by online group DRO.

    Every step draws a batch in which all groups are equally likely, moves the group weights by
    `update_group_weights`, and takes a step of SGD (momentum 0.9) on the weighted sum of group losses with
    weight decay. Rows are normalised as in `train_head`; the head starts at zero; the last one is kept.

    Parameters
    ----------
    features
        (n, d) raw features.
    labels
        (n,) class indices 0..C-1, each class present.
    groups
        (n,) ground-truth groups.
    l2
        Weight decay, on the bias too, as torch's SGD has it; published settings are 1e-4 to 1.
    step_size
        eta_q, of the group weights; 0.01 as published.
    adjustment
        C of the generalisation adjustment C / sqrt(n_g); the publication tries 0 to 5.
    learning_rate, batch_size
        Of SGD; the publication has 1e-3 to 1e-5, and 128.
    epochs
        Passes; each draws n images with replacement.
    seed
        Of the draws.
    num_classes
        C, where it is known.

    Returns
    -------
    LinearHead
        Its report gives the largest group loss plus l2/2 * (||W||^2 + ||b||^2) over all images and the norm
        of that weighted problem's gradient at the last group weights; there is no duality gap.

    Raises
    ------
    DataError
        When shapes, labels or settings do not fit, or the steps diverge.

    Notes
    -----
    Sagawa et al., "Distributionally Robust Neural Networks for Group Shifts" (ICLR 2020), Algorithm 1, with
    the batches, the group-balanced draws and the adjustment (section 3.3) of its published code.
    """
    raw = check_rows(features)
    classes = check_training_labels(labels, num_classes, length=len(raw))
    cells = check_groups(groups, classes, "group_dro")
    _check_settings(
        {"step_size": step_size, "learning_rate": learning_rate},
        {"l2": l2, "adjustment": adjustment},
        {"batch_size": batch_size, "epochs": epochs},
    )
    rows, mean, scale = standardise(raw)
    _, dense, sizes = np.unique(cells, return_inverse=True, return_counts=True)
    one_hot = np.eye(int(classes.max()) + 1)[classes]
    parameters = np.zeros((rows.shape[1] + 1, one_hot.shape[1]))  # weights, then bias
    velocity = np.zeros_like(parameters)
    group_weights = np.full(len(sizes), 1 / len(sizes))
    draw_share = 1 / (len(sizes) * sizes[dense])
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        drawn = rng.choice(len(rows), len(rows), p=draw_share)
        for first in range(0, len(drawn), batch_size):
            batch = drawn[first : first + batch_size]
            losses, residuals = _losses(parameters, rows[batch], one_hot[batch])
            group_losses, in_batch = _group_means(losses, dense[batch], len(sizes))
            group_weights = update_group_weights(
                group_weights, group_losses, sizes, step_size=step_size, adjustment=adjustment
            )
            shares = (group_weights / np.maximum(in_batch, 1))[dense[batch]]
            gradient = _pull_back(residuals * shares[:, None], rows[batch]) + l2 * parameters
            velocity = MOMENTUM * velocity + gradient
            parameters = parameters - learning_rate * velocity
        if not np.isfinite(parameters).all():
            raise DataError(f"Training diverged at learning rate {learning_rate}; give a lower one.")

    losses, residuals = _losses(parameters, rows, one_hot)
    group_losses, in_group = _group_means(losses, dense, len(sizes))
    gradient = _pull_back(residuals * (group_weights / in_group)[dense][:, None], rows) + l2 * parameters
    report = FitReport(
        objective_value=float(group_losses.max() + l2 / 2 * np.sum(parameters**2)),
        gradient_norm=float(np.linalg.norm(gradient)),
        duality_gap=None,
        iterations=epochs * -(-len(rows) // batch_size),
        stopped_because=f"all {epochs} epochs are done (seed {seed})",
    )
    return LinearHead(mean, scale, parameters[:-1], parameters[-1], "group_dro", l2, report)


def update_group_weights(
    group_weights: Float64Array,
    group_losses: Float64Array,
    group_sizes: IntArray,
    *,
    step_size: float,
    adjustment: float = 0.0,
) -> Float64Array:
    """Return q_g * exp(step_size * (loss_g + adjustment / sqrt(n_g))), normalised to sum 1.

    Parameters
    ----------
    group_weights
        (G,) q, which sum to 1.
    group_losses
        (G,) mean loss of each group in the batch, 0 where it has none of a group.
    group_sizes
        (G,) images of each group in train.
    step_size
        eta_q.
    adjustment
        C.
    """
    raised = step_size * (group_losses + adjustment / np.sqrt(group_sizes))
    weights = group_weights * np.exp(raised - raised.max())
    normalised: Float64Array = weights / weights.sum()
    return normalised


def _losses(
    parameters: Float64Array, rows: npt.NDArray[np.floating], one_hot: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Return cross-entropies (m,) and their derivatives by the logits (m, C)."""
    probabilities = softmax(rows @ parameters[:-1] + parameters[-1])
    of_truth = np.sum(probabilities * one_hot, axis=1)
    losses: Float64Array = -np.log(np.maximum(of_truth, np.finfo(float).tiny))
    return losses, probabilities - one_hot


def _group_means(losses: Float64Array, groups: IntArray, count: int) -> tuple[Float64Array, IntArray]:
    """Return the mean loss of each group (G,), 0 without images, and how many images it has."""
    sizes = np.bincount(groups, minlength=count)
    return np.bincount(groups, weights=losses, minlength=count) / np.maximum(sizes, 1), sizes


def _pull_back(residuals: Float64Array, rows: npt.NDArray[np.floating]) -> Float64Array:
    return np.vstack([rows.T @ residuals, residuals.sum(axis=0)])


def _check_settings(
    positive: dict[str, float], not_negative: dict[str, float], counts: dict[str, int]
) -> None:
    for name, value in {**positive, **not_negative}.items():
        if not (np.isfinite(value) and value >= 0 and (value > 0 or name in not_negative)):
            least = "at least 0" if name in not_negative else "above 0"
            raise DataError(f"{name} must be a number {least}; got {value}.")
    for name, count in counts.items():
        if count < 1:
            raise DataError(f"{name} must be at least 1; got {count}.")
