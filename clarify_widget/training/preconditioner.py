"""An estimate of the Hessian from a few rows, solved for instead of the Hessian.

The Hessian of a weighted cross-entropy is X^T diag(h) X plus the penalty, where h_i is the image's weight
times p (1 - p): images that are fitted well hardly count, and after reweighting a few hundred rows make most
of it. So the rows with the largest h are all taken, the others by chance in proportion to h and counted up
for those left out, and the Cholesky factor of that estimate turns long valleys into nearly round bowls. All
problems and all classes share one factor, of their mean h.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from clarify_widget.training.products import COARSE, add_squares, coarse_is_quick, times
from clarify_widget.training.rows import blocks

if TYPE_CHECKING:
    import torch

    from clarify_widget.arrays import BoolArray, Float64Array, IntArray
    from clarify_widget.training.models import LinearModel

COVERED = 0.95  # share of the sum of h that the rows should hold
FEWEST_ROWS = 64
MOST_ROWS_PER_COLUMN = (4 / 3, 16)  # even when n is small, and even when it is large
SHARE = 12  # in between, one row in so many: then the estimate costs about as much as a pass
BLOCK_NUMBERS = 2**20
SHRINKAGE = 0.2  # times columns over rows
MOST_SHRINKAGE = 0.5
SURELY = 1 + 1e-9  # a row that is taken surely counts its size, but for rounding
LEAST_SUM = 1e-200


class Preconditioner(Protocol):
    """The inverse of a Hessian estimate."""

    def __call__(self, *gradients: torch.Tensor) -> list[torch.Tensor]:
        """Return the Newton step (p,) of each gradient (p,), with the estimate for the Hessian."""
        ...


@dataclass(frozen=True, eq=False)
class DenseFactor:
    """By the Cholesky factor of the estimate, where it has more rows than columns.

    Attributes
    ----------
    factor
        (d + 1, d + 1) lower, the free bias last.
    columns
        Of the parameter matrix.
    """

    factor: torch.Tensor
    columns: int

    def __call__(self, *gradients: torch.Tensor) -> list[torch.Tensor]:
        """Return the Newton steps (p,)."""
        return _vectors(_solve(self.factor, _side_by_side(gradients, self.columns)), self.columns)


@dataclass(frozen=True, eq=False)
class LowRank:
    """By Woodbury's formula, where the estimate is the penalty plus few rows.

    Attributes
    ----------
    rows
        Z (m, d + 1), so that the estimate is strength * I + Z^T Z.
    factor
        (m, m) lower Cholesky factor of strength * I + Z Z^T.
    strength
        Of the penalty.
    columns
        Of the parameter matrix.
    """

    rows: torch.Tensor
    factor: torch.Tensor
    strength: float
    columns: int

    def __call__(self, *gradients: torch.Tensor) -> list[torch.Tensor]:
        """Return the Newton steps (p,)."""
        right = _side_by_side(gradients, self.columns)
        inner = _solve(self.factor, times(self.rows, right))
        return _vectors(right.sub_(times(self.rows.T, inner)).div_(self.strength), self.columns)


def _solve(factor: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return X with factor @ factor.T @ X = right; torch.cholesky_solve copies the factor every time."""
    import torch

    # One name for two: each is as large as the gradients.
    right = torch.linalg.solve_triangular(factor, right, upper=False)
    solution: torch.Tensor = torch.linalg.solve_triangular(factor.mT, right, upper=True)
    return solution


def _side_by_side(gradients: tuple[torch.Tensor, ...], columns: int) -> torch.Tensor:
    """Return gradients (p,) each as (d + 1, columns), next to each other in a new matrix."""
    import torch

    return torch.cat([gradient.reshape(-1, columns) for gradient in gradients], dim=1)


def _vectors(matrix: torch.Tensor, columns: int) -> list[torch.Tensor]:
    """Undo `_side_by_side`."""
    return [matrix[:, i : i + columns].reshape(-1) for i in range(0, matrix.shape[1], columns)]


def estimate(model: LinearModel, curvature: torch.Tensor, *, rough: bool = False) -> Preconditioner:
    """Return a preconditioner from how much each row counts (n,), see `Evaluation.curvature`.

    A `rough` one, of half the rows where there are few, will do while the rows will soon count otherwise.
    """
    import torch

    sizes = model.together.gather(curvature).cpu().numpy()
    indices, counts = sample(sizes, _sample_size(sizes, model.width, rough=rough))
    counts, spread_out = _shrunk(counts, counts > sizes[indices] * SURELY, model.width)
    strength = model.strength + spread_out
    part = model.together.part(len(model))
    here = slice(*np.searchsorted(indices, (part.start, part.stop)))
    roots = torch.from_numpy(np.sqrt(counts[here])).to(model.device, model.dtype)
    chosen = torch.from_numpy(indices[here] - part.start).to(model.device)
    size = model.width + 1
    if len(indices) < size:
        rows = model.together.gather(_weighted_rows(model, chosen, roots))
        products = rows.new_zeros((len(rows), len(rows)))
        add_squares(products, rows.T)
        return LowRank(rows, _factor(products, strength), strength, model.columns)
    # Where every direction gets more than rounding takes, few digits do; with many classes a pass takes much
    # longer than an estimate does.
    coarse = model.columns == 1 and strength > COARSE * float(counts.sum()) and coarse_is_quick(roots)
    if model.together.decides(coarse):
        hessian = _hessian(model, chosen, roots, coarse=True)
        hessian.diagonal().add_(strength)
        factor, failed = torch.linalg.cholesky_ex(hessian)
        if not model.together.decides(bool(failed)):
            return DenseFactor(factor, model.columns)
    return DenseFactor(_factor(_hessian(model, chosen, roots, coarse=False), strength), model.columns)


def _hessian(model: LinearModel, chosen: torch.Tensor, roots: torch.Tensor, *, coarse: bool) -> torch.Tensor:
    """Return the lower triangle of the sum of h_i * (row_i, 1)^T (row_i, 1) over the rows of all."""
    import torch

    size = model.width + 1
    hessian = torch.zeros((size, size), dtype=model.dtype, device=model.device)
    for block in blocks(len(chosen), size, BLOCK_NUMBERS):
        add_squares(hessian, _weighted_rows(model, chosen[block], roots[block]), coarse=coarse)
    model.together.sum(hessian)
    return hessian


def _shrunk(counts: Float64Array, by_chance: BoolArray, width: int) -> tuple[Float64Array, float]:
    """Move a share of what the rows drawn by chance count to all directions alike.

    Few rows of many columns make the long axes of an estimate too long and the short ones too short; drawing
    it towards its mean undoes that (Ledoit and Wolf, "A well-conditioned estimator for large-dimensional
    covariance matrices", 2004). Standardised columns have about the same mean square.

    Returns
    -------
    counts
        (m,) what is left for each row.
    spread_out
        What each direction gets.
    """
    drawn = int(by_chance.sum())
    if not drawn:
        return counts, 0.0
    share = min(SHRINKAGE * width / drawn, MOST_SHRINKAGE)
    return np.where(by_chance, (1 - share) * counts, counts), share * float(counts[by_chance].sum())


def _weighted_rows(model: LinearModel, chosen: torch.Tensor, roots: torch.Tensor) -> torch.Tensor:
    """Return sqrt(h_i) * (row_i, 1) as (m, d + 1)."""
    import torch

    weighted = torch.empty((len(chosen), model.width + 1), dtype=model.dtype, device=model.device)
    model.put_rows(chosen, weighted[:, :-1])
    weighted[:, :-1].mul_(roots[:, None])
    weighted[:, -1] = roots
    return weighted


def _factor(products: torch.Tensor, strength: float) -> torch.Tensor:
    """Return the Cholesky factor of products + strength * I, with more where rounding asks for it."""
    import torch

    diagonal = products.diagonal()
    rounding = 10 * torch.finfo(products.dtype).eps * float(diagonal.sum())
    diagonal += strength
    factor: torch.Tensor
    factor, failed = torch.linalg.cholesky_ex(products)
    if failed:
        diagonal += rounding
        factor, failed = torch.linalg.cholesky_ex(products)
    assert not failed, "the rounding that was added is larger than what the products can be off by"
    return factor


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


def _sample_size(sizes: Float64Array, width: int, *, rough: bool) -> int:
    held = np.cumsum(np.sort(sizes)[::-1])
    wanted = max(int(np.searchsorted(held, COVERED * held[-1])) + 1, FEWEST_ROWS)
    least, most = (int(factor * width) for factor in MOST_ROWS_PER_COLUMN)
    return min(wanted, max(least // 2 if rough else least, min(most, len(sizes) // SHARE)))
