"""The recipe of Clarify's published experiments, as a baseline to compare and time with.

Gradient descent on all images at once, stopped early on a held-out fifth, and the last net kept: what
comes out depends on the seed, the learning rate and where it happens to stop. It is here so that anyone can
see what the exact solvers change; nothing else in the package builds on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.arrays import check_rows
from clarify_widget.errors import CancelledError, DataError
from clarify_widget.training.checks import check_groups, check_training_labels, need
from clarify_widget.training.head import FitReport, LinearHead
from clarify_widget.training.lbfgs import FitProgress
from clarify_widget.training.rows import standardise
from clarify_widget.training.weights import check_slices

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    import torch

    from clarify_widget.arrays import FloatArray, IntArray

LEARNING_RATE = 0.01  # as published for Waterbirds; 0.1 for CelebA
MOMENTUM = 0.9
WEIGHT_DECAY = 0.01
MAX_STEPS = 3000
HELD_OUT_SHARE = 5  # one image in so many
PATIENCE = 20

HARDEST_CELL_OBJECTIVES = ("worst_class", "worst_slice", "group_dro")


def train_reference(
    features: npt.ArrayLike,
    labels: npt.ArrayLike,
    objective: str,
    slices: npt.ArrayLike | None = None,
    groups: npt.ArrayLike | None = None,
    *,
    learning_rate: float = LEARNING_RATE,
    seed: int = 0,
    num_classes: int | None = None,
    device: str = "cpu",
    progress: Callable[[FitProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> LinearHead:
    """Train a linear head as Clarify's published code does.

    Rows are scaled to unit length and standardised by their mean and standard deviation over all of train.
    A random fifth of train is held out; on the rest, full-batch SGD with momentum 0.9 and weight decay 0.01
    (on the bias too) takes at most 3000 steps, and stops after 21 in a row that bring the objective on the
    held-out fifth no lower than ever before. The last net is kept, not the best.

    Parameters
    ----------
    features
        (n, d) raw features; n at least 5.
    labels
        (n,) class indices 0..C-1, each class present.
    objective
        "erm": mean cross-entropy. "class_balanced", "slice_balanced", "dfr": the mean over classes, slices
        or groups of their mean cross-entropy. "worst_class", "worst_slice", "group_dro": the largest of
        these means. With the slice objectives images of classes without an annotation have no weight.
    slices
        (n,) slice ids, -1 in classes without an annotation; for the slice objectives.
    groups
        (n,) ground-truth groups; for "dfr" and "group_dro", which are the rows "DFR (ours)" and "Group DRO
        (ours)" of the paper's code: simpler than the methods they are named after.
    learning_rate
        0.01 as published for Waterbirds; CelebA had 0.1.
    seed
        Of the initial weights and then of the held-out fifth.
    num_classes
        C, where it is known.
    device
        Where torch computes, "cpu" or "cuda".
    progress
        Called after every step, with the objective and the gradient that the step was made from.
    cancelled
        Asked after every step.

    Returns
    -------
    LinearHead
        Its `l2` is the weight decay. Its report gives the objective on the fitted four fifths, weight decay
        included, the norm of its gradient, the number of steps and why they ended; there is no duality gap,
        as nothing certifies this head.

    Raises
    ------
    DataError
        When shapes, labels or settings do not fit, or the learning rate is so high that the steps diverge.
    CancelledError
        When `cancelled` says so.

    Notes
    -----
    Lee et al., "Clarify" (UIST 2024), Appendix A and its published code. Initial weights are those of
    `torch.nn.Linear`.
    """
    import torch

    raw = check_rows(features)
    classes = check_training_labels(labels, num_classes, length=len(raw))
    if len(classes) < HELD_OUT_SHARE:
        raise DataError(
            f"The reference recipe holds out a fifth of train; {len(classes)} images are too few, give 5."
        )
    if not (np.isfinite(learning_rate) and learning_rate > 0):
        raise DataError(f"learning_rate must be a positive number; got {learning_rate}.")
    cells = _cells(objective, classes, slices, groups)
    rows, mean, scale = standardise(raw)

    generator = torch.Generator().manual_seed(seed)
    net = _initial_net(rows.shape[1], int(classes.max()) + 1, generator).to(device)
    order = torch.randperm(len(rows), generator=generator).numpy()
    n_held_out = len(rows) // HELD_OUT_SHARE
    hardest = objective in HARDEST_CELL_OBJECTIVES
    held_out = _Risk.on(rows, classes, cells, order[:n_held_out], hardest=hardest, device=device)
    fitted = _Risk.on(rows, classes, cells, order[n_held_out:], hardest=hardest, device=device)

    optimiser = torch.optim.SGD(
        net.parameters(), lr=learning_rate, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY
    )
    best, without_progress, step = np.inf, 0, 0
    while step < MAX_STEPS and without_progress <= PATIENCE:
        optimiser.zero_grad()
        loss = fitted(net)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves this one without types
        before = (loss.item() + _decay(net), _gradient_norm(net)) if progress is not None else None
        optimiser.step()
        step += 1
        with torch.no_grad():
            held_out_loss = held_out(net).item()
        without_progress = 0 if held_out_loss < best else without_progress + 1
        best = min(best, held_out_loss)
        if cancelled is not None and cancelled():
            raise CancelledError("Training was cancelled; the head from before is still in place.")
        if progress is not None and before is not None:
            progress(FitProgress(step, *before, step / MAX_STEPS))
    if not all(bool(values.isfinite().all()) for values in net.parameters()):
        raise DataError(f"Training diverged at learning rate {learning_rate}; give a lower one.")

    reason = (
        f"{without_progress} steps without progress on a held-out fifth of train (seed {seed})"
        if without_progress > PATIENCE
        else f"all {MAX_STEPS} steps are done (seed {seed})"
    )
    return LinearHead(
        mean,
        scale,
        net.weight.detach().cpu().double().numpy().T.copy(),
        net.bias.detach().cpu().double().numpy(),
        objective,
        WEIGHT_DECAY,
        _report(net, fitted, step, reason),
    )


def _cells(
    objective: str, labels: IntArray, slices: npt.ArrayLike | None, groups: npt.ArrayLike | None
) -> IntArray:
    """Return the cell whose mean loss an image counts in; -1 for images without weight."""
    if objective == "erm":
        return np.zeros_like(labels)
    if objective in ("class_balanced", "worst_class"):
        return labels
    if objective in ("slice_balanced", "worst_slice"):
        ids = check_slices(need(slices, "slices", objective), labels)
        if (ids < 0).all():
            raise DataError(f"objective {objective!r} needs a slice; no class has an annotation.")
        return ids
    if objective in ("dfr", "group_dro"):
        return check_groups(groups, labels, objective)
    raise DataError(f"The reference recipe has no objective {objective!r}.")


def _initial_net(width: int, num_classes: int, generator: torch.Generator) -> torch.nn.Linear:
    """Return a layer that starts as `torch.nn.Linear` does, leaving torch's own random state alone."""
    import torch

    net = torch.nn.Linear(width, num_classes, device="meta").to_empty(device="cpu")
    bound = width**-0.5
    torch.nn.init.uniform_(net.weight, -bound, bound, generator=generator)
    torch.nn.init.uniform_(net.bias, -bound, bound, generator=generator)
    return net


@dataclass(frozen=True, eq=False)
class _Risk:
    """The mean, or the largest, of the cells' mean cross-entropies over some images."""

    rows: torch.Tensor  # (m, d) float32
    labels: torch.Tensor  # (m,)
    cells: torch.Tensor  # (m,) 0..K-1
    sizes: torch.Tensor  # (K,)
    hardest: bool

    @classmethod
    def on(
        cls,
        rows: FloatArray,
        labels: IntArray,
        cells: IntArray,
        chosen: IntArray,
        *,
        hardest: bool,
        device: str,
    ) -> _Risk:
        import torch

        counted = chosen[cells[chosen] >= 0]
        if not len(counted):
            raise DataError(
                "By chance none of the images that count came to one side of the split; give another seed."
            )
        _, dense, sizes = np.unique(cells[counted], return_inverse=True, return_counts=True)
        return cls(
            torch.from_numpy(rows[counted].astype(np.float32, copy=False)).to(device),
            torch.from_numpy(labels[counted]).to(device),
            torch.from_numpy(dense).to(device),
            torch.from_numpy(sizes.astype(np.float32)).to(device),
            hardest,
        )

    def __call__(self, net: torch.nn.Linear) -> torch.Tensor:
        import torch

        losses = torch.nn.functional.cross_entropy(net(self.rows), self.labels, reduction="none")
        means = torch.zeros_like(self.sizes).index_add(0, self.cells, losses) / self.sizes
        return means.max() if self.hardest else means.mean()


def _decay(net: torch.nn.Linear) -> float:
    return WEIGHT_DECAY / 2 * sum(values.square().sum().item() for values in net.parameters())


def _gradient_norm(net: torch.nn.Linear) -> float:
    """Return the norm of the gradient of risk + weight decay, of which torch's `grad` holds the risk's."""
    squares = 0.0
    for values in net.parameters():
        assert values.grad is not None
        squares += (values.grad + WEIGHT_DECAY * values).square().sum().item()
    return float(np.sqrt(squares))


def _report(net: torch.nn.Linear, fitted: _Risk, steps: int, reason: str) -> FitReport:
    net.zero_grad()
    loss = fitted(net)
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves this one without types
    return FitReport(loss.item() + _decay(net), _gradient_norm(net), None, steps, reason)
