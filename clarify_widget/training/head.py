"""The linear last layer, with its own normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from clarify_widget.arrays import check_rows, check_stored_rows, stays_in_file
from clarify_widget.errors import DataError, SavedSessionError
from clarify_widget.training.rows import blocks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt
    import torch

    from clarify_widget.arrays import Float64Array, FloatArray, IntArray

FORMAT = "clarify_widget head"
_ROWS_AT_ONCE = 1 << 22  # numbers


class Head(Protocol):
    """Anything that classifies rows of raw features."""

    def decision_function(self, features: npt.ArrayLike) -> Float64Array:
        """Return logits (n, C)."""
        ...

    def predict_proba(self, features: npt.ArrayLike) -> Float64Array:
        """Return probabilities (n, C)."""
        ...

    def predict(self, features: npt.ArrayLike) -> IntArray:
        """Return class indices (n,)."""
        ...


@dataclass(frozen=True)
class FitReport:
    """How a fit ended.

    Attributes
    ----------
    objective_value
        What was minimised, penalty included, in nats.
    gradient_norm
        Euclidean norm of its gradient; for the worst-cell objectives that of the last smooth problem.
    duality_gap
        objective_value minus a proven lower bound of the optimum: no head is better by more than this.
    iterations
        Passes of the solver.
    stopped_because
        A sentence for people.
    """

    objective_value: float
    gradient_norm: float
    duality_gap: float | None
    iterations: int
    stopped_because: str


@dataclass(frozen=True, eq=False)
class LinearHead:
    """A linear classifier of raw features: rows to unit length, standardise, then logits = x W + b.

    Attributes
    ----------
    mean, scale
        (d,) of the unit-length training rows; constant columns have scale 1.
    weights
        W (d, C).
    bias
        b (C,).
    objective
        What it was trained for, one of `OBJECTIVES`.
    l2
        Strength of the penalty l2/2 * ||W||^2.
    report
        How the fit ended.
    """

    mean: Float64Array
    scale: Float64Array
    weights: Float64Array
    bias: Float64Array
    objective: str
    l2: float
    report: FitReport

    def decision_function(self, features: npt.ArrayLike) -> Float64Array:
        """Return logits.

        Parameters
        ----------
        features
            (n, d) raw features, as `train_head` took them.

        Returns
        -------
        (n, C) float64, also for two classes.

        Raises
        ------
        DataError
            When the width differs from the training features', or a number is NaN.
        """
        parts = list(self._logits(features))
        return np.concatenate(parts) if parts else np.empty((0, len(self.bias)))

    def _logits(self, features: npt.ArrayLike) -> Iterator[Float64Array]:
        """Yield logits of a few rows after the other: features may be larger than memory."""
        rows = check_stored_rows(features)
        if rows.shape[1] != len(self.mean):
            raise DataError(f"This head takes features of width {len(self.mean)}; got {rows.shape[1]}.")
        weights, bias = self.for_unit_rows()
        for part in blocks(len(rows), rows.shape[1], _ROWS_AT_ONCE):
            some = check_rows(rows[part]) if stays_in_file(rows) else rows[part]
            yield unit_rows(some) @ weights + bias

    def predict_proba(self, features: npt.ArrayLike) -> Float64Array:
        """Return (n, C) class probabilities of raw features (n, d)."""
        return softmax(self.decision_function(features))

    def predict(self, features: npt.ArrayLike) -> IntArray:
        """Return (n,) class indices of raw features (n, d)."""
        parts = [most_likely(logits) for logits in self._logits(features)]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)

    def to_tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return every array, the report included, ready for safetensors; objective and l2 go beside them."""
        report = self.report
        gap = np.nan if report.duality_gap is None else report.duality_gap
        numbers = [report.objective_value, report.gradient_norm, gap, report.iterations]
        return {
            "mean": self.mean,
            "scale": self.scale,
            "weights": self.weights,
            "bias": self.bias,
            "report": np.array(numbers, dtype=np.float64),
            "stopped_because": np.frombuffer(report.stopped_because.encode(), dtype=np.uint8),
        }

    @classmethod
    def from_tensors(
        cls,
        tensors: Mapping[str, npt.NDArray[Any]],
        *,
        objective: str,
        l2: float,
    ) -> LinearHead:
        """Return the head that `to_tensors` wrote.

        Raises
        ------
        DataError
            When arrays are missing or do not fit together.
        """
        try:
            parts = {name: np.array(tensors[name], dtype=np.float64) for name in _ARRAYS}
            value, norm, gap, iterations = np.asarray(tensors["report"], dtype=np.float64)
            reason = np.asarray(tensors["stopped_because"], dtype=np.uint8).tobytes().decode()
        except (KeyError, ValueError) as error:
            raise DataError(f"These tensors are not a saved head: {error}.") from error
        width, classes = parts["weights"].shape if parts["weights"].ndim == 2 else (-1, -1)
        for name, shape in {"mean": (width,), "scale": (width,), "bias": (classes,)}.items():
            if parts[name].shape != shape:
                shapes = {part: array.shape for part, array in parts.items()}
                raise DataError(f"The arrays of the saved head do not fit together: {shapes}.")
        report = FitReport(value, norm, None if np.isnan(gap) else gap, int(iterations), reason)
        return cls(**parts, objective=objective, l2=l2, report=report)

    def save(self, path: str | Path) -> Path:
        """Write the head as safetensors, objective, l2 and report included; see `load`."""
        target = Path(path)
        partial = target.with_name(target.name + ".partial")
        save_file(self.to_tensors(), partial, metadata=self.metadata())
        partial.replace(target)
        return target

    @classmethod
    def load(cls, path: str | Path) -> LinearHead:
        """Read what `save` wrote.

        Raises
        ------
        SavedSessionError
            When the file is missing, damaged, or holds something else.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        except (OSError, SafetensorError) as error:
            raise SavedSessionError(f"{path} is missing or damaged: {error}.") from error
        if metadata.get("format") != FORMAT:
            raise SavedSessionError(f"{path} does not hold a head that LinearHead.save wrote.")
        try:
            return cls.from_tensors(tensors, objective=metadata["objective"], l2=float(metadata["l2"]))
        except (DataError, KeyError, ValueError) as error:
            raise SavedSessionError(f"{path} is damaged: {error}") from error

    def metadata(self) -> dict[str, str]:
        """Return what `save` writes beside the tensors."""
        return {"format": FORMAT, "objective": self.objective, "l2": repr(self.l2)}

    def to_torch(self) -> torch.nn.Sequential:
        """Return a torch module from raw features (n, d) to logits (n, C).

        It holds two modules: `UnitRows`, which scales rows to unit length, and a `torch.nn.Linear`, into
        which mean and scale are folded. Both are in double precision, as the head is, and take features of
        any precision; `.float()` makes them single.
        """
        from clarify_widget.training.export import to_torch

        return to_torch(self)

    def to_sklearn(self) -> Any:
        """Return a fitted scikit-learn pipeline over raw features (n, d); its classes are 0..C-1.

        It holds a cast to double precision, a Normalizer, a StandardScaler and a LogisticRegression. The
        Normalizer takes a row that is shorter than 2e-15 for one of zeros.

        Raises
        ------
        MissingDependencyError
            When scikit-learn is not installed.
        """
        from clarify_widget.training.export import to_sklearn

        return to_sklearn(self)

    def for_unit_rows(self) -> tuple[Float64Array, Float64Array]:
        """Return weights (d, C) and a bias (C,) for rows of unit length, mean and scale folded in."""
        bias: Float64Array = self.bias - (self.mean / self.scale) @ self.weights
        return self.weights / self.scale[:, None], bias


_ARRAYS = ("mean", "scale", "weights", "bias")


def most_likely(logits: Float64Array) -> IntArray:
    """Return (n,) class indices of logits (n, C)."""
    classes: IntArray = np.argmax(logits, axis=1)
    return classes


def unit_rows(rows: FloatArray) -> Float64Array:
    """Return rows scaled to unit length in float64; rows of zeros stay."""
    wide = rows.astype(np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    wide /= np.where(lengths > 0, lengths, 1)[:, None]
    return wide


def softmax(logits: Float64Array) -> Float64Array:
    """Return row-wise probabilities of logits (n, C)."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Float64Array = powers / powers.sum(axis=1, keepdims=True)
    return probabilities
