"""Linear models as a solver sees them: parameters in, losses and gradients out, one pass over the rows.

Several problems over the same rows (other weights, other parameters) share the pass: their columns stand
beside each other in one matrix product, which reads the rows once for all of them. The rows come in blocks,
so neither a standardised copy nor all logits ever exist at once.

Two classes are one column: only w = W1 - W0 matters, the best split of it is W1 = w/2 = -W0, and so the
penalty is l2/4 * ||w||^2. That halves the work.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.training.distributed import ALONE
from clarify_widget.training.products import times
from clarify_widget.training.rows import blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    import torch

    from clarify_widget.arrays import Float64Array, IntArray
    from clarify_widget.training.distributed import Together
    from clarify_widget.training.rows import StandardisedFeatures

BLOCK_NUMBERS = {"cpu": 2**22, "cuda": 2**28}  # rows, logits and what is made of them, of one block
CONVERTED_NUMBERS = 2**20  # on the CPU, where rows are made wider: a block that the cache still holds
RESIDENT_SHARE = 0.6  # of the card's free memory that features may take; larger ones are sent in blocks


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What one pass over the rows says of K problems.

    Attributes
    ----------
    values
        (K,) weighted losses plus penalty.
    gradients
        (K, p) by the parameters.
    curvature
        (n,) how much each row counts in the Hessians, averaged over problems and columns; None unless asked
        for.
    residuals
        (n, K) the derivative of each loss by its score, of two classes; None unless asked for.
    """

    values: torch.Tensor
    gradients: torch.Tensor
    curvature: torch.Tensor | None
    residuals: torch.Tensor | None = None


@dataclass(frozen=True, eq=False)
class Certificate:
    """How good the parameters of K problems are.

    Attributes
    ----------
    values
        (K,) weighted losses plus penalty.
    gradients
        (K, p) by the parameters.
    lower_bounds
        (K,) what no parameters can bring the values below.
    """

    values: torch.Tensor
    gradients: torch.Tensor
    lower_bounds: torch.Tensor


@dataclass(frozen=True, eq=False)
class _Scored:
    """One block of b rows: logits turned into what the passes need."""

    losses: torch.Tensor  # (b, K) float64
    residuals: torch.Tensor  # (b, K, columns): derivative of each loss by its logits
    curvatures: torch.Tensor | None  # (b, K) mean over columns of p (1 - p)


class LinearModel:
    """Multinomial logistic regression over standardised rows.

    A parameter vector (p,) is a (d + 1, columns) matrix, row by row: the weights and then the free bias.
    What has an entry a row, here and in the methods, is of the rows of this process; values, gradients and
    bounds are of the rows of all.

    Parameters
    ----------
    features
        n rows.
    labels
        (n,) in 0..C-1.
    num_classes
        C; the model has C columns, or one for two classes.
    l2
        Strength of the penalty l2/2 * ||W||^2 over the weights of all classes.
    device
        "cpu" or "cuda".
    together
        The processes that share the rows.
    """

    def __init__(
        self,
        features: StandardisedFeatures,
        labels: IntArray,
        num_classes: int,
        l2: float,
        device: str = "cpu",
        together: Together = ALONE,
    ) -> None:
        import torch

        self.together = together
        self.width = features.source.shape[1]
        self.columns = 1 if num_classes == 2 else num_classes
        self.strength = l2 / 2 if num_classes == 2 else l2
        self.num_parameters = (self.width + 1) * self.columns
        self.num_classes = num_classes
        self.device = device
        self._source = _resident(_as_tensor(features.source), device)
        self.dtype = together.of_first(
            lambda: torch.float64 if self._source.dtype == torch.float64 else torch.float32
        )
        self._labels = torch.from_numpy(labels).to(device)
        self._standardised = features.standardised
        self._against = 1 - 2 * self._labels[:, None].double()
        self._inverse_length = self._vector(features.inverse_length)
        self._shift, self._spread = self._vector(features.shift), self._vector(features.spread)

    def __len__(self) -> int:
        return len(self._source)

    def zeros(self) -> torch.Tensor:
        """Return the parameters (p,) of the head that knows nothing."""
        import torch

        return torch.zeros(self.num_parameters, dtype=torch.float64, device=self.device)

    def losses(self, parameters: torch.Tensor) -> torch.Tensor:
        """Return the cross-entropies (K, n) in nats at parameters (K, p)."""
        import torch

        found = torch.empty((len(parameters), len(self)), dtype=torch.float64, device=self.device)
        weights, offsets = self._folded(parameters)
        for part, rows in self._blocks(len(parameters)):
            found[:, part] = self._score(rows, part, weights, offsets).losses.T
        return found

    def evaluate(
        self,
        parameters: torch.Tensor,
        image_weights: torch.Tensor,
        *,
        curvature: bool = False,
        residuals: bool = False,
    ) -> Evaluation:
        """Return the weighted losses plus penalty and their gradients.

        Parameters
        ----------
        parameters
            (K, p).
        image_weights
            (K, n), each row with sum 1.
        curvature
            Whether the curvatures are wanted too.
        residuals
            Whether the residuals are, of two classes.
        """
        import torch

        values = torch.zeros(len(parameters), dtype=torch.float64, device=self.device)
        sums = self._no_sums(len(parameters))
        counts = torch.empty(len(self), dtype=torch.float64, device=self.device) if curvature else None
        kept = torch.empty_like(image_weights.T) if residuals else None
        weights, offsets = self._folded(parameters)
        for part, rows in self._blocks(len(parameters)):
            scored = self._score(rows, part, weights, offsets, curvature=curvature)
            if kept is not None:
                kept[part] = scored.residuals[:, :, 0]
            share = image_weights[:, part].T
            values += (scored.losses * share).sum(dim=0)
            weighted = scored.residuals.mul_(share[:, :, None].to(scored.residuals.dtype))
            self._pull_back(sums, rows, part, weighted.reshape(len(rows), -1))
            if counts is not None and scored.curvatures is not None:
                counts[part] = (scored.curvatures * share).mean(dim=1)
        self.together.sum(values, sums)
        gradients = self._by_parameters(sums)
        gradients[:, : -self.columns].add_(parameters[:, : -self.columns], alpha=self.strength)
        return Evaluation(values + self.penalty(parameters), gradients, counts, kept)

    def penalty(self, parameters: torch.Tensor) -> torch.Tensor:
        """Return l2/2 * ||W||^2 (K,) of parameters (K, p)."""
        import torch

        norms: torch.Tensor = torch.linalg.vector_norm(parameters[:, : -self.columns], dim=1)
        return self.strength / 2 * norms.square()

    def certify(self, parameters: torch.Tensor, image_weights: torch.Tensor) -> Certificate:
        """Return values, gradients and lower bounds of two classes in double precision, see `lower_bound`.

        Parameters
        ----------
        parameters
            (K, p).
        image_weights
            (K, n), each row with sum 1.
        """
        import torch

        evaluated = self._in_double_precision().evaluate(parameters, image_weights, residuals=True)
        assert evaluated.residuals is not None
        keep, common = self._mixture(image_weights, evaluated.gradients)
        zero, one = common.T
        truth, share = self._labels[:, None].double(), image_weights.T
        class_one = evaluated.residuals + truth  # (n, K) probabilities
        mixed = torch.stack([keep * (1 - class_one) + zero, keep * class_one + one])
        entropies = (torch.special.entr(mixed).sum(dim=0) * share).sum(dim=0)
        # As little as the mixture adds, single precision will do for it.
        added = self._pulled((one - (1 - keep) * truth) * share)
        self.together.sum(entropies, added)
        by_losses = evaluated.gradients[:, :-1] - self.strength * parameters[:, :-1]
        pulled = keep[:, None] * by_losses + self._by_parameters(added)[:, :-1]
        bounds = entropies - pulled.square().sum(dim=1) / (2 * self.strength)
        return Certificate(evaluated.values, evaluated.gradients, bounds)

    def _in_double_precision(self) -> LinearModel:
        """Return the same model over the same rows, each block of them made wider while it is used."""
        import torch

        wide = copy.copy(self)
        wide.dtype = torch.float64
        return wide

    def lower_bound(
        self, parameters: torch.Tensor, image_weights: torch.Tensor, gradients: torch.Tensor
    ) -> torch.Tensor:
        """Return (K,) values below which no parameters can bring the weighted losses plus penalty.

        With images weighing c_i and probabilities P (n, C) the Fenchel dual is sum_i c_i * entropy(P_i) -
        ||X^T diag(c) (P - Y)||^2 / (2 l2), a lower bound wherever the free bias is balanced:
        sum_i c_i (P_i - Y_i) = 0. Near the optimum the model's own probabilities almost are; mixing every
        P_i with one common distribution makes them so. The gradient by the bias says which.

        Parameters
        ----------
        parameters
            (K, p).
        image_weights
            (K, n), each row with sum 1.
        gradients
            (K, p) of the weighted losses plus penalty there.
        """
        import torch

        keep, common = self._mixture(image_weights, gradients)
        entropies = torch.zeros(len(parameters), dtype=torch.float64, device=self.device)
        sums = self._no_sums(len(parameters))
        weights, offsets = self._folded(parameters)
        for part, rows in self._blocks(len(parameters)):
            shares = self._probabilities(self._scores(rows, part, weights, offsets))  # (b, K, C)
            shares.mul_(keep[:, None].to(shares.dtype)).add_(common.to(shares.dtype))
            image_share = image_weights[:, part].T
            entropies += (torch.special.entr(shares).sum(dim=2) * image_share).sum(dim=0)
            true_class = self._labels[part, None, None].expand(-1, len(parameters), 1)
            shares.scatter_add_(2, true_class, torch.full_like(true_class, -1, dtype=shares.dtype))
            weighted = shares[:, :, -self.columns :].mul_(image_share[:, :, None].to(shares.dtype))
            self._pull_back(sums, rows, part, weighted.reshape(len(rows), -1))
        self.together.sum(entropies, sums)
        pulled = self._by_parameters(sums)[:, : -self.columns]
        return entropies - pulled.square().sum(dim=1) / (2 * self.strength)

    def _mixture(
        self, image_weights: torch.Tensor, gradients: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return how much (K,) of the model's probabilities to keep and what (K, C) to add to all of them."""
        import torch

        wanted = torch.zeros((len(gradients), self.num_classes), dtype=torch.float64, device=self.device)
        wanted.index_add_(1, self._labels, image_weights)
        self.together.sum(wanted)
        excess = gradients[:, -self.columns :]
        if self.columns == 1:
            excess = torch.cat([-excess, excess], dim=1)
        found = (wanted + excess).clamp_min(torch.finfo(torch.float64).tiny)
        keep = (wanted / found).amin(dim=1).clamp_max(1)
        return keep, (wanted - keep[:, None] * found).clamp_min(0)

    def _probabilities(self, scores: torch.Tensor) -> torch.Tensor:
        """Return (b, K, C) probabilities of scores (b, K * columns)."""
        import torch

        if self.columns == 1:
            return torch.stack([-scores / 2, scores / 2], dim=2).softmax(dim=2)
        return scores.reshape(len(scores), -1, self.columns).softmax(dim=2)

    def put_rows(self, indices: torch.Tensor, rows: torch.Tensor) -> None:
        """Write standardised rows into a matrix (m, d)."""
        import torch

        indices = indices.to(self._source.device)
        if self._source.dtype == rows.dtype and self._source.device == rows.device:
            torch.index_select(self._source, 0, indices, out=rows)
        else:
            rows.copy_(self._source[indices])
        if self._standardised:
            return
        rows.mul_(self._inverse_length[indices, None].to(rows.dtype))
        rows.sub_(self._shift.to(rows.dtype)).div_(self._spread.to(rows.dtype))

    def to_columns(self, parameters: torch.Tensor) -> tuple[Float64Array, Float64Array]:
        """Return weights (d, C) and a bias (C,) that sums to zero, as a constant in it changes nothing."""
        columns = parameters.reshape(self.width + 1, self.columns).cpu().numpy()
        if self.columns == 1:  # split the difference evenly over both classes
            columns = np.hstack([-columns, columns]) / 2
        return columns[:-1].copy(), columns[-1] - columns[-1].mean()

    def from_columns(self, weights: Float64Array, bias: Float64Array) -> torch.Tensor:
        """Return the parameters (p,) of weights (d, C) and bias (C,)."""
        import torch

        columns = np.vstack([weights, bias])
        if self.columns == 1:
            columns = columns[:, 1] - columns[:, 0]
        return torch.from_numpy(columns.ravel().astype(np.float64)).to(self.device)

    def _vector(self, values: Float64Array) -> torch.Tensor:
        import torch

        return torch.from_numpy(values).to(self.device)

    def _blocks(self, count: int) -> Iterator[tuple[slice, torch.Tensor]]:
        """Yield which rows, and the rows, which hold until the next block."""
        import torch

        numbers = BLOCK_NUMBERS[self.device]
        converted = None
        if self.device == "cpu" and self._source.dtype != self.dtype:
            numbers = min(numbers, CONVERTED_NUMBERS)
            # One block of memory for all of them: the system clears every page of a new one.
            converted = torch.empty(min(numbers, self._source.numel()), dtype=self.dtype)
        for part in blocks(len(self), self.width + 8 * count * self.columns, numbers):
            rows = self._source[part]
            if converted is None:
                yield part, rows.to(self.device, self.dtype, non_blocking=True)
            else:
                yield part, converted[: rows.numel()].view(rows.shape).copy_(rows)

    def _folded(self, parameters: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weights (d, K * columns) for rows as they are, and offsets (K * columns,) in float64."""
        import torch

        matrices = parameters.reshape(len(parameters), self.width + 1, self.columns)
        weights = torch.empty(
            (self.width, len(parameters), self.columns), dtype=self.dtype, device=self.device
        )
        by_width, offsets = matrices[:, :-1].permute(1, 0, 2), matrices[:, -1]
        if self._standardised:
            weights.copy_(by_width)
        else:
            torch.div(by_width, self._spread[:, None, None], out=weights)
            offsets = offsets - (self._shift / self._spread) @ matrices[:, :-1]
        return weights.reshape(self.width, -1), offsets.reshape(-1)

    def _scores(
        self, rows: torch.Tensor, part: slice, weights: torch.Tensor, offsets: torch.Tensor
    ) -> torch.Tensor:
        """Return one block's (b, K * columns) logits, or margins of two classes in float64."""
        scores = times(rows, weights)
        if self.columns == 1:  # in float64, as lengths and offsets are
            if not self._standardised:
                scores = scores * self._inverse_length[part, None]
            return scores + offsets
        if not self._standardised:
            scores.mul_(self._inverse_length[part, None].to(scores.dtype))
        return scores.add_(offsets.to(scores.dtype))

    def _score(
        self,
        rows: torch.Tensor,
        part: slice,
        weights: torch.Tensor,
        offsets: torch.Tensor,
        *,
        curvature: bool = False,
    ) -> _Scored:
        scores = self._scores(rows, part, weights, offsets)
        if self.columns == 1:
            return _score_two_classes(scores, self._against[part], curvature=curvature)
        by_class = scores.reshape(len(rows), -1, self.columns)
        return _score_classes(by_class, self._labels[part], curvature=curvature)

    def _no_sums(self, count: int) -> torch.Tensor:
        """Return zeros (d + 1, K * columns) in float64, to add residuals pulled back through the rows to."""
        import torch

        return torch.zeros((self.width + 1, count * self.columns), dtype=torch.float64, device=self.device)

    def _pull_back(self, sums: torch.Tensor, rows: torch.Tensor, part: slice, weighted: torch.Tensor) -> None:
        """Add one block's rows to sums, times its weighted residuals (b, K * columns), which are changed."""
        sums[-1].add_(weighted.sum(dim=0, dtype=sums.dtype))
        if not self._standardised:
            weighted.mul_(self._inverse_length[part, None].to(weighted.dtype))
        sums[:-1].add_(times(rows.T, weighted.to(rows.dtype)))

    def _pulled(self, weighted: torch.Tensor) -> torch.Tensor:
        """Return all rows times weights (n, K * columns) in sums (d + 1, K * columns)."""
        sums = self._no_sums(weighted.shape[1] // self.columns)
        for part, rows in self._blocks(weighted.shape[1] // self.columns):
            self._pull_back(sums, rows, part, weighted[part])
        return sums

    def _by_parameters(self, sums: torch.Tensor) -> torch.Tensor:
        """Return the gradients (K, p) that were added up."""
        if not self._standardised:
            sums[:-1].addr_(self._shift, sums[-1], alpha=-1).div_(self._spread[:, None])
        parts = sums.reshape(self.width + 1, -1, self.columns)
        return parts.permute(1, 0, 2).reshape(-1, self.num_parameters)


def _as_tensor(source: npt.NDArray[Any]) -> torch.Tensor:
    """Return a tensor over the same memory."""
    import torch

    if not source.dtype.isnative or any(step < 0 for step in source.strides):
        source = np.ascontiguousarray(source, dtype=source.dtype.newbyteorder("="))
    with warnings.catch_warnings():  # torch warns of read-only files, which nobody writes to here
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(source)


def _resident(source: torch.Tensor, device: str) -> torch.Tensor:
    """Return the rows on the card if they fit there, else where they are."""
    import torch

    if device == "cpu":
        return source
    free, _ = torch.cuda.mem_get_info()
    return source.to(device) if source.nbytes <= RESIDENT_SHARE * free else source


def _score_two_classes(
    scores: torch.Tensor,  # (b, K) float64, changed
    against: torch.Tensor,  # (b, 1): 1 where class zero is true, else -1
    *,
    curvature: bool,
) -> _Scored:
    from torch.nn.functional import softplus

    scores.mul_(against)
    losses = softplus(scores, threshold=40)
    missing = scores.sigmoid_()  # 1 - probability of the true class
    return _Scored(
        losses,
        (against * missing)[:, :, None],
        missing * (1 - missing) if curvature else None,
    )


def _score_classes(
    logits: torch.Tensor,  # (b, K, C), changed
    labels: torch.Tensor,
    *,
    curvature: bool,
) -> _Scored:
    import torch

    logits -= logits.amax(dim=2, keepdim=True)
    true_class = labels[:, None, None].expand(-1, logits.shape[1], 1)
    picked = logits.gather(2, true_class)[:, :, 0].double()
    shares = logits.exp_()
    totals = shares.sum(dim=2)
    shares /= totals[:, :, None]
    log_totals = totals.double().log()
    curvatures = (1 - shares.square().sum(dim=2).double()) / shares.shape[2] if curvature else None
    residuals = shares.scatter_add_(2, true_class, torch.full_like(true_class, -1, dtype=shares.dtype))
    return _Scored(log_totals - picked, residuals, curvatures)
