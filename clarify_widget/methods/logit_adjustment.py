"""Group logit adjustment: a classifier of cells that pays no regard to how common each of them is.

Training on the cells with every cell's logit raised by the log of its share, and testing without, makes
exp(logit) proportional to the density of an image given its cell. The class whose cells have the largest
sum of these is the best guess when every cell counts equally.

With a free bias the raise need not be trained: it is the same minimum with its bias moved. So the fit is a
plain multinomial one, and the log shares are taken off its bias.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.arrays import check_labels
from clarify_widget.errors import DataError
from clarify_widget.training import LinearHead, train_head

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from clarify_widget.arrays import Float64Array, IntArray
    from clarify_widget.training import FitProgress, StandardisedFeatures


@dataclass(frozen=True, eq=False)
class GroupAdjustedHead:
    """A head over cells that answers with classes.

    Attributes
    ----------
    cells
        The head whose outputs are the K cells, log shares already taken off its bias.
    class_of_cell
        (K,) the class that each cell is a part of.
    log_offset
        (K,) what was taken off: tau * log share. With it put back the head is the fitted minimum.
    """

    cells: LinearHead
    class_of_cell: IntArray
    log_offset: Float64Array

    def decision_function(self, features: npt.ArrayLike) -> Float64Array:
        """Return (n, C) log of the sum over a class's cells of exp(logit), of raw features (n, d)."""
        logits = self.cells.decision_function(features)
        joined = np.full((len(logits), int(self.class_of_cell.max()) + 1), -np.inf)
        np.logaddexp.at(joined.T, self.class_of_cell, logits.T)
        return joined

    def predict(self, features: npt.ArrayLike) -> IntArray:
        """Return (n,) class indices of raw features (n, d)."""
        classes: IntArray = np.argmax(self.decision_function(features), axis=1)
        return classes


def train_group_logit_adjustment(
    features: npt.ArrayLike | StandardisedFeatures,
    cells: npt.ArrayLike,
    class_of_cell: npt.ArrayLike,
    *,
    l2: float = 1e-2,
    tau: float = 1.0,
    initial: GroupAdjustedHead | None = None,
    progress: Callable[[FitProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> GroupAdjustedHead:
    """Train a head on cells (slices, groups or pseudo-groups), each counting alike whatever its size.

    Minimises the mean cross-entropy over cells of softmax(logits + tau * log share), plus l2/2 * ||W||^2, to
    convergence; rows are normalised as in `train_head`.

    Parameters
    ----------
    features
        (n, d) raw features, or `StandardisedFeatures.of` them, as `train_head` takes them.
    cells
        (n,) cell of each image, 0..K-1, each with images.
    class_of_cell
        (K,) class of each cell, 0..C-1, each with a cell.
    l2
        Strength of the penalty, above 0.
    tau
        How much of the log share to take off: 0 keeps the cells' shares in the data, 1 makes them equal,
        more favours the rare ones.
    initial
        An earlier result on the same cells to start from.
    progress, cancelled
        As in `train_head`.

    Raises
    ------
    DataError
        When shapes, cells, classes or settings do not fit.
    CancelledError
        When `cancelled` says so.

    Notes
    -----
    Zhu et al., "Project-Probe-Aggregate" (CVPR 2025), after Menon et al., "Long-tail learning via logit
    adjustment" (ICLR 2021).
    """
    ids, classes = _check_cells(cells, class_of_cell)
    if not (np.isfinite(tau) and tau >= 0):
        raise DataError(f"tau must be a number from 0 upwards; got {tau}.")
    if initial is not None and len(initial.class_of_cell) != len(classes):
        raise DataError(f"initial has {len(initial.class_of_cell)} cells; these data have {len(classes)}.")
    plain = train_head(
        features,
        ids,
        l2=l2,
        num_classes=len(classes),
        initial=None if initial is None else _shifted(initial.cells, initial.log_offset),
        progress=progress,
        cancelled=cancelled,
    )
    log_offset: Float64Array = tau * np.log(np.bincount(ids) / len(ids))
    return GroupAdjustedHead(_shifted(plain, -log_offset), classes, log_offset)


def _check_cells(cells: npt.ArrayLike, class_of_cell: npt.ArrayLike) -> tuple[IntArray, IntArray]:
    classes = check_labels(class_of_cell, name="class_of_cell")
    ids = check_labels(cells, name="cells")
    if not len(ids):
        raise DataError("There are no images to train on.")
    if len(classes) < 2 or len(np.unique(classes)) < 2:
        raise DataError(f"class_of_cell must name two or more classes; got {classes.tolist()}.")
    if ids.max() >= len(classes):
        raise DataError(f"cells go up to {ids.max()}, and class_of_cell has entries for {len(classes)}.")
    for name, seen in (
        ("cells", np.bincount(ids, minlength=len(classes))),
        ("class_of_cell", np.bincount(classes)),
    ):
        if not seen.all():
            missing = np.flatnonzero(seen == 0).tolist()
            raise DataError(
                f"{name} must be 0..{len(seen) - 1}, each at least once; there are none of {missing}."
            )
    return ids, classes


def _shifted(head: LinearHead, offset: Float64Array) -> LinearHead:
    return replace(head, bias=head.bias + offset)
