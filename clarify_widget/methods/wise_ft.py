"""WiSE-FT: part of the way from a zero-shot head to a trained one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.arrays import check_rows
from clarify_widget.errors import DataError
from clarify_widget.methods.choice import choose_by_worst_cell
from clarify_widget.methods.zero_shot import CLIP_LOGIT_SCALE
from clarify_widget.training.head import unit_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from clarify_widget.arrays import Float64Array, IntArray
    from clarify_widget.methods.zero_shot import ZeroShotHead
    from clarify_widget.training import LinearHead

MIXES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True, eq=False)
class InterpolatedHead:
    """A linear classifier of unit rows: logits = x W + b.

    Attributes
    ----------
    weights
        W (e, C).
    bias
        b (C,).
    mix
        How far it is from the zero-shot head, 0, to the trained one, 1.
    """

    weights: Float64Array
    bias: Float64Array
    mix: float

    def decision_function(self, embeddings: npt.ArrayLike) -> Float64Array:
        """Return (n, C) logits of embeddings (n, e); DataError when the width differs."""
        rows = check_rows(embeddings, name="embeddings")
        if rows.shape[1] != len(self.weights):
            raise DataError(f"This head takes embeddings of width {len(self.weights)}; got {rows.shape[1]}.")
        logits: Float64Array = unit_rows(rows) @ self.weights + self.bias
        return logits

    def predict(self, embeddings: npt.ArrayLike) -> IntArray:
        """Return (n,) class indices of embeddings (n, e)."""
        classes: IntArray = np.argmax(self.decision_function(embeddings), axis=1)
        return classes


def wise_ft(
    zero_shot: ZeroShotHead,
    head: LinearHead,
    mix: float = 0.5,
    *,
    logit_scale: float = CLIP_LOGIT_SCALE,
) -> InterpolatedHead:
    """Interpolate between the weights of a zero-shot head and of a head trained in the same space.

    Parameters
    ----------
    zero_shot
        One prototype a class; its logits are logit_scale times the cosines.
    head
        Trained by `train_head` on the image embeddings that the prototypes are compared with.
    mix
        alpha: 0 is the zero-shot head, 1 the trained one.
    logit_scale
        How sharp the zero-shot head is; CLIP's is 100.

    Raises
    ------
    DataError
        When widths or numbers of classes differ, a class has several prototypes, or mix leaves 0..1.

    Notes
    -----
    Wortsman et al., "Robust fine-tuning of zero-shot models" (CVPR 2022), section 3, of the linear
    classifier: theta = (1 - alpha) theta_zero-shot + alpha theta_fine-tuned; alpha = 0.5 where it cannot be
    chosen.
    """
    if not 0 <= mix <= 1:
        raise DataError(f"mix must be 0 (zero-shot) to 1 (trained); got {mix}.")
    if not (np.isfinite(logit_scale) and logit_scale > 0):
        raise DataError(f"logit_scale must be a positive number; got {logit_scale}.")
    prototypes, classes = zero_shot.prototypes, zero_shot.class_of
    if len(prototypes) != zero_shot.num_classes:
        raise DataError(
            f"WiSE-FT needs one prototype a class; got {len(prototypes)} for {zero_shot.num_classes} classes."
        )
    if head.weights.shape != prototypes.T.shape:
        raise DataError(
            f"The prototypes have shape {prototypes.shape} and the trained weights {head.weights.T.shape}, "
            "classes by width; train the head on the embeddings that the prototypes belong to.",
        )
    trained = head.weights / head.scale[:, None]
    zero_shot_weights = logit_scale * prototypes[np.argsort(classes)].T
    return InterpolatedHead(
        weights=(1 - mix) * zero_shot_weights + mix * trained,
        bias=mix * (head.bias - head.mean @ trained),
        mix=mix,
    )


def choose_wise_ft(
    zero_shot: ZeroShotHead,
    head: LinearHead,
    val_embeddings: npt.ArrayLike,
    val_labels: npt.ArrayLike,
    *,
    mixes: Sequence[float] = MIXES,
    logit_scale: float = CLIP_LOGIT_SCALE,
) -> InterpolatedHead:
    """Interpolate with the mix that has the best worst class on validation; groups are not looked at.

    Parameters
    ----------
    zero_shot, head, logit_scale
        As in `wise_ft`.
    val_embeddings, val_labels
        (m, e) and (m,), of validation.
    mixes
        Values to try; among equals the higher average decides, then the order.

    Raises
    ------
    DataError
        As `wise_ft`, or when there is nothing to try.
    """
    candidates = (({"mix": mix}, wise_ft(zero_shot, head, mix, logit_scale=logit_scale)) for mix in mixes)
    return choose_by_worst_cell(candidates, val_embeddings, val_labels).head
