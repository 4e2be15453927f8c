"""PPA: the mistakes of a head that must do without the class names stand for groups, and are adjusted for.

Three steps. *Project*: take the directions of the class names out of the image embeddings. *Probe*: a head
trained on what is left leans on what goes along with the classes, such as backgrounds; where it is wrong the
image is likely one of a minority. So each class has two pseudo-groups, right and wrong. *Aggregate*: a head
over pseudo-groups, trained with group logit adjustment, answers with classes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from clarify_widget.arrays import check_labels, check_rows
from clarify_widget.errors import DataError
from clarify_widget.methods.choice import choose_by_worst_cell
from clarify_widget.methods.logit_adjustment import (
    GroupAdjustedHead,
    train_group_logit_adjustment,
)
from clarify_widget.methods.projection import orthogonal_projection
from clarify_widget.training import StandardisedFeatures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from clarify_widget.arrays import Float64Array, FloatArray, IntArray
    from clarify_widget.training import FitProgress, LinearHead

Aggregation = Literal["scores", "weights"]

PROBE_L2S = (0.01, 0.1, 1.0)
L2S = (0.01, 0.1, 1.0)


@dataclass(frozen=True, eq=False)
class PPAHead:
    """What PPA trains.

    Attributes
    ----------
    head
        The classifier: over pseudo-groups, or, aggregated in weight space, over classes.
    pseudo_groups
        (n,) pseudo-group of each training image: 2 * class + (1 where the biased head was wrong).
    """

    head: GroupAdjustedHead | LinearHead
    pseudo_groups: IntArray

    def decision_function(self, features: npt.ArrayLike) -> Float64Array:
        """Return (n, C) class scores of raw features (n, d)."""
        return self.head.decision_function(features)

    def predict(self, features: npt.ArrayLike) -> IntArray:
        """Return (n,) class indices of raw features (n, d)."""
        return self.head.predict(features)


def train_ppa(
    features: npt.ArrayLike,
    embeddings: npt.ArrayLike,
    labels: npt.ArrayLike,
    class_name_embeddings: npt.ArrayLike,
    *,
    l2: float = 1e-2,
    tau: float = 1.0,
    probe_l2: float = 1e-2,
    aggregate: Aggregation = "scores",
    progress: Callable[[FitProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> PPAHead:
    """Train by Project, Probe, Aggregate: labels and class names only, no groups.

    Parameters
    ----------
    features
        (n, d) raw features of the training images, what the head classifies.
    embeddings
        (n, e) their embeddings, in the space of the class names; may be the features themselves.
    labels
        (n,) class indices 0..C-1, each class present.
    class_name_embeddings
        (P, e) text embeddings of the class names, in any order; see `prompt_embeddings`.
    l2
        Strength of the penalty of the head.
    tau
        Strength of the group logit adjustment, 1 for groups that count equally.
    probe_l2
        Strength of the penalty of the biased head. The stronger, the more images it gets wrong.
    aggregate
        "scores": a class has the sum of its pseudo-groups' exp(logit), the best guess where pseudo-groups
        count equally. "weights": a class has the mean of their weights and biases, one linear head, as
        published.
    progress, cancelled
        As in `train_head`; both fits make one progress.

    Raises
    ------
    DataError
        When shapes, labels or settings do not fit.
    CancelledError
        When `cancelled` says so.

    Notes
    -----
    Zhu et al., "Project-Probe-Aggregate: Efficient fine-tuning for group robustness" (CVPR 2025): projection
    I - Z^T (Z Z^T)^-1 Z on the null space of the class names Z; a biased head with logit adjustment for the
    shares of the classes; pseudo-groups (class, right or wrong); group logit adjustment with their shares;
    w_y = sum of w_g over the pseudo-groups g of class y. Here the mean stands for the sum, which is the same
    where every class has both pseudo-groups and keeps a class without mistakes on the same scale. The paper
    starts from CLIP's features and trains by gradient steps; here both fits run to convergence.
    """
    if aggregate not in {"scores", "weights"}:
        raise DataError(f'aggregate must be "scores" or "weights"; got {aggregate!r}.')
    classes = check_labels(labels)
    rows = check_rows(features, length=len(classes))
    pseudo_groups = infer_pseudo_groups(
        embeddings,
        classes,
        class_name_embeddings,
        l2=probe_l2,
        progress=_half(progress, first=True),
        cancelled=cancelled,
    )
    adjusted = _adjust(rows, pseudo_groups, l2, tau, None, _half(progress, first=False), cancelled)
    head = adjusted if aggregate == "scores" else _mean_weights(adjusted)
    return PPAHead(head, pseudo_groups)


def choose_ppa(
    features: npt.ArrayLike,
    embeddings: npt.ArrayLike,
    labels: npt.ArrayLike,
    class_name_embeddings: npt.ArrayLike,
    val_features: npt.ArrayLike,
    val_labels: npt.ArrayLike,
    *,
    probe_l2s: Sequence[float] = PROBE_L2S,
    l2s: Sequence[float] = L2S,
    tau: float = 1.0,
) -> PPAHead:
    """Train PPA with every pair of penalties and keep the one with the best worst class on validation.

    Parameters
    ----------
    features, embeddings, labels, class_name_embeddings
        Of train, as `train_ppa` takes them.
    val_features, val_labels
        (m, d) and (m,), of validation; its groups are not looked at.
    probe_l2s, l2s
        Penalties of the biased head, and of the head, to try.
    tau
        As in `train_ppa`.

    Raises
    ------
    DataError
        As `train_ppa`, or when there is nothing to try.
    """
    classes = check_labels(labels)
    rows = StandardisedFeatures.of(check_rows(features, length=len(classes)))

    def candidates() -> Iterator[tuple[dict[str, float], PPAHead]]:
        for probe_l2 in probe_l2s:
            pseudo_groups = infer_pseudo_groups(embeddings, classes, class_name_embeddings, l2=probe_l2)
            adjusted: GroupAdjustedHead | None = None
            for l2 in l2s:
                adjusted = _adjust(rows, pseudo_groups, l2, tau, adjusted)
                yield {"probe_l2": probe_l2, "l2": l2}, PPAHead(adjusted, pseudo_groups)

    return choose_by_worst_cell(candidates(), val_features, val_labels).head


def infer_pseudo_groups(
    embeddings: npt.ArrayLike,
    labels: npt.ArrayLike,
    class_name_embeddings: npt.ArrayLike,
    *,
    l2: float = 1e-2,
    progress: Callable[[FitProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> IntArray:
    """Return (n,) pseudo-groups, 2 * class + (1 where a head without the class names is wrong).

    Parameters
    ----------
    embeddings, labels, class_name_embeddings, progress, cancelled
        As in `train_ppa`, of which this is the first half.
    l2
        Strength of the penalty of the biased head.

    Raises
    ------
    DataError
        When shapes or labels do not fit.
    CancelledError
        When `cancelled` says so.
    """
    classes = check_labels(labels)
    rows = check_rows(embeddings, length=len(classes), name="embeddings")
    names = check_rows(class_name_embeddings, name="class_name_embeddings")
    if names.shape[1] != rows.shape[1]:
        raise DataError(
            f"class_name_embeddings has width {names.shape[1]} and embeddings {rows.shape[1]}; "
            "embed both with the same encoder.",
        )
    projected = rows @ orthogonal_projection(names)
    biased = train_group_logit_adjustment(
        projected,
        classes,
        np.arange(int(classes.max(initial=-1)) + 1),
        l2=l2,
        progress=progress,
        cancelled=cancelled,
    )
    pseudo_groups: IntArray = 2 * classes + (biased.predict(projected) != classes)
    return pseudo_groups


def _adjust(
    features: FloatArray | StandardisedFeatures,
    pseudo_groups: IntArray,
    l2: float,
    tau: float,
    initial: GroupAdjustedHead | None,
    progress: Callable[[FitProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> GroupAdjustedHead:
    """Train over the pseudo-groups that have images."""
    present, cells = np.unique(pseudo_groups, return_inverse=True)
    return train_group_logit_adjustment(
        features,
        cells,
        present // 2,
        l2=l2,
        tau=tau,
        initial=initial,
        progress=progress,
        cancelled=cancelled,
    )


def _mean_weights(adjusted: GroupAdjustedHead) -> LinearHead:
    members = np.eye(int(adjusted.class_of_cell.max()) + 1)[adjusted.class_of_cell]  # (cells, classes)
    mean = members / members.sum(axis=0)
    return replace(adjusted.cells, weights=adjusted.cells.weights @ mean, bias=adjusted.cells.bias @ mean)


def _half(
    progress: Callable[[FitProgress], None] | None, *, first: bool
) -> Callable[[FitProgress], None] | None:
    if progress is None:
        return None
    return lambda step: progress(replace(step, fraction=step.fraction / 2 + (0 if first else 0.5)))
