"""An estimate of the Hessian from a few rows, solved for instead of the Hessian.

The Hessian of a weighted cross-entropy is X^T diag(h) X plus the penalty, where h_i is the image's weight
times p (1 - p): images that are fitted well hardly count, and after reweighting a few hundred rows make most
of it. So the rows with the largest h are all taken, the others by chance in proportion to h and counted up
for those left out, and the Cholesky factor of that estimate turns long valleys into nearly round bowls. All
problems and all classes share one factor, of their mean h.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.training.rows import blocks

if TYPE_CHECKING:
    import torch

    from clarify_widget.arrays import Float64Array, IntArray
    from clarify_widget.training.models import LinearModel

LEAST_ROWS_PER_COLUMN = 2
MOST_ROWS_PER_COLUMN = 16
SHARE = 12  # in between, one row in so many: then the estimate costs about as much as a pass
BLOCK_NUMBERS = 2**21
LEAST_SUM = 1e-200


@dataclass(frozen=True, eq=False)
class Preconditioner:
    """The inverse of a Hessian estimate.

    Attributes
    ----------
    factor
        (d + 1, d + 1) lower Cholesky factor, the free bias last.
    columns
        Of the parameter matrix.
    """

    factor: torch.Tensor
    columns: int

    def __call__(self, gradient: torch.Tensor) -> torch.Tensor:
        """Return the Newton step (p,) of a gradient (p,), with the estimate for the Hessian."""
        import torch

        right = gradient.reshape(-1, self.columns).to(self.factor.dtype)
        return torch.cholesky_solve(right, self.factor).reshape(-1).double()


def estimate(model: LinearModel, curvature: torch.Tensor) -> Preconditioner:
    """Return a preconditioner from how much each row counts (n,), see `Evaluation.curvature`."""
    import torch

    indices, counts = sample(curvature.cpu().numpy(), _sample_size(len(model), model.width))
    roots = torch.from_numpy(np.sqrt(counts)).to(model.device, model.dtype)
    chosen = torch.from_numpy(indices).to(model.device)
    size = model.width + 1
    hessian = torch.zeros((size, size), dtype=model.dtype, device=model.device)
    for part in blocks(len(indices), size, BLOCK_NUMBERS):
        rows = torch.cat([model.rows_at(chosen[part]), torch.ones_like(roots[part, None])], dim=1)
        rows *= roots[part, None]
        hessian += rows.T @ rows
    diagonal = hessian.diagonal()
    trace = float(diagonal.sum())
    diagonal[:-1] += model.strength
    diagonal[-1] += torch.finfo(model.dtype).eps * trace
    factor, failed = torch.linalg.cholesky_ex(hessian)
    if int(failed):  # rounding made it indefinite
        diagonal += 10 * size * torch.finfo(model.dtype).eps * trace
        factor = torch.linalg.cholesky(hessian)
    return Preconditioner(factor, model.columns)


def sample(sizes: Float64Array, count: int) -> tuple[IntArray, Float64Array]:
    """Draw about `count` rows in proportion to their sizes, the largest ones surely.

    Parameters
    ----------
    sizes
        (n,) not negative.
    count
        How many rows.

    Returns
    -------
    indices
        (m,) rows, in order, each once.
    counts
        (m,) size over chance of being drawn: their sums estimate the sums of sizes without bias.

    Notes
    -----
    Systematic sampling with probability proportional to size (Madow 1949) with a fixed start, so that the
    same sizes give the same rows.
    """
    if count >= len(sizes):
        return np.arange(len(sizes)), sizes
    chance = _inclusion(sizes, count)
    ticks = np.floor(np.cumsum(chance) + 0.5)
    indices = np.flatnonzero(np.diff(ticks, prepend=0) > 0)
    return indices, sizes[indices] / chance[indices]


def _inclusion(sizes: Float64Array, count: int) -> Float64Array:
    """Return min(1, factor * size) with the factor that makes the sum `count`."""
    largest = np.sort(sizes)[::-1]
    rest = np.maximum(np.cumsum(largest[::-1])[::-1], LEAST_SUM)  # sum from each one on
    surely = np.arange(count)
    too_large = largest[:count] * (count - surely) > rest[:count]
    first = int(np.argmin(too_large)) if not too_large.all() else count - 1
    chance: Float64Array = np.minimum(1, sizes * ((count - first) / rest[first]))
    return chance


def _sample_size(n: int, width: int) -> int:
    return max(LEAST_ROWS_PER_COLUMN * width, min(MOST_ROWS_PER_COLUMN * width, n // SHARE))
