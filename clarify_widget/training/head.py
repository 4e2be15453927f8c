"""The linear last layer, with its own normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from clarify_widget.arrays import check_rows
from clarify_widget.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from clarify_widget.arrays import Float64Array, FloatArray, IntArray


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
        rows = check_rows(features)
        if rows.shape[1] != len(self.mean):
            raise DataError(f"This head takes features of width {len(self.mean)}; got {rows.shape[1]}.")
        return unit_rows(rows) @ (self.weights / self.scale[:, None]) + self._folded_bias()

    def predict_proba(self, features: npt.ArrayLike) -> Float64Array:
        """Return (n, C) class probabilities of raw features (n, d)."""
        return softmax(self.decision_function(features))

    def predict(self, features: npt.ArrayLike) -> IntArray:
        """Return (n,) class indices of raw features (n, d)."""
        return most_likely(self.decision_function(features))

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

    def _folded_bias(self) -> Float64Array:
        folded: Float64Array = self.bias - (self.mean / self.scale) @ self.weights
        return folded


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
