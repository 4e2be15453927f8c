"""Linear models as a solver sees them: parameters in one vector, a loss for each image, its derivatives.

A model turns parameters into one cross-entropy an image. A risk (see risks.py) makes one number of these
and says how much each image weighs in it; the model pulls those weights back to a gradient. The penalty is
l2/2 * ||W||^2 over the weights of all classes; the bias is free.

Two classes are one vector: only w = W1 - W0 matters, the best split of it is W1 = w/2 = -W0, and so the
penalty is l2/4 * ||w||^2. That halves the work, and skinny matrix products are slow besides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from clarify_widget.arrays import Float64Array, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says of every training image at some parameters.

    Attributes
    ----------
    losses
        (n,) cross-entropies in nats.
    residuals
        (n,) or (n, C) derivative of each loss by its logits.
    """

    losses: Float64Array
    residuals: Float64Array


class Model(Protocol):
    """A linear classifier over standardised rows."""

    num_parameters: int

    def predict(self, parameters: Float64Array) -> Predictions:
        """Return losses and residuals."""
        ...

    def pull_back(self, weighted: Float64Array) -> Float64Array:
        """Return the gradient by the parameters from residuals that carry their image's weight."""
        ...

    def penalty(self, parameters: Float64Array) -> tuple[float, Float64Array]:
        """Return l2/2 * ||W||^2 and its gradient."""
        ...

    def dual_value(self, weights: Float64Array, predictions: Predictions) -> float:
        """Return a lower bound on the least of sum(weights * losses) + penalty over all parameters."""
        ...

    def to_columns(self, parameters: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Return weights (d, C) and bias (C,)."""
        ...

    def from_columns(self, weights: Float64Array, bias: Float64Array) -> Float64Array:
        """Return the parameter vector of weights (d, C) and bias (C,)."""
        ...


def model_of(rows: FloatArray, labels: IntArray, num_classes: int, l2: float) -> Model:
    """Return the cheapest model for this number of classes."""
    if num_classes == 2:
        return TwoClassModel(rows, labels, l2)
    return SoftmaxModel(rows, labels, num_classes, l2)


class TwoClassModel:
    """Logistic regression: parameters are w (d,) and then the bias difference."""

    def __init__(self, rows: FloatArray, labels: IntArray, l2: float) -> None:
        self.num_parameters = rows.shape[1] + 1
        self._rows: npt.NDArray[Any] = rows  # (n, d)
        self._labels = labels.astype(np.float64)
        self._signs = 2 * self._labels - 1
        self._strength = l2 / 2

    def predict(self, parameters: Float64Array) -> Predictions:
        """Return losses and (n,) residuals sigmoid(z) - y."""
        weights = parameters[:-1].astype(self._rows.dtype, copy=False)
        margins = self._signs * (self._rows @ weights + parameters[-1])
        decay = np.exp(-np.abs(margins))
        losses = np.log1p(decay) + np.maximum(-margins, 0)
        missing = np.where(margins >= 0, decay, 1) / (1 + decay)  # 1 - probability of the true class
        return Predictions(losses, -self._signs * missing)

    def pull_back(self, weighted: Float64Array) -> Float64Array:
        """Return the gradient (d + 1,)."""
        gradient = np.empty(self.num_parameters)
        gradient[:-1] = weighted.astype(self._rows.dtype, copy=False) @ self._rows
        gradient[-1] = weighted.sum()
        return gradient

    def penalty(self, parameters: Float64Array) -> tuple[float, Float64Array]:
        """Return l2/4 * ||w||^2 and its gradient."""
        gradient = self._strength * parameters
        gradient[-1] = 0
        return 0.5 * float(gradient @ parameters), gradient

    def dual_value(self, weights: Float64Array, predictions: Predictions) -> float:
        """Return the Fenchel dual at the residuals, made feasible; see `SoftmaxModel.dual_value`."""
        missing = np.abs(predictions.residuals)
        mass = np.bincount(self._labels.astype(np.int64), weights=weights * missing, minlength=2)
        least = mass.min()
        scale = np.divide(least, mass, out=np.ones(2), where=mass > 0)
        missing = missing * scale[self._labels.astype(np.int64)]
        entropy = _times_log(missing) + _times_log(1 - missing)
        pulled = self.pull_back(-weights * self._signs * missing)[:-1]
        return -float(weights @ entropy) - float(pulled @ pulled) / (2 * self._strength)

    def to_columns(self, parameters: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Split the difference evenly over both classes."""
        half = parameters / 2
        return np.stack([-half[:-1], half[:-1]], axis=1), np.array([-half[-1], half[-1]])

    def from_columns(self, weights: Float64Array, bias: Float64Array) -> Float64Array:
        """Return second class minus first."""
        return np.append(weights[:, 1] - weights[:, 0], bias[1] - bias[0])


class SoftmaxModel:
    """Multinomial logistic regression: parameters are the rows of W (d, C) and then the bias (C,)."""

    def __init__(self, rows: FloatArray, labels: IntArray, num_classes: int, l2: float) -> None:
        self.num_parameters = (rows.shape[1] + 1) * num_classes
        self._rows: npt.NDArray[Any] = rows  # (n, d)
        self._labels = labels
        self._each = np.arange(len(labels))
        self._num_classes = num_classes
        self._l2 = l2

    def predict(self, parameters: Float64Array) -> Predictions:
        """Return losses and (n, C) residuals probabilities - one-hot labels."""
        columns = parameters.reshape(-1, self._num_classes)
        logits = self._rows @ columns[:-1].astype(self._rows.dtype, copy=False) + columns[-1]
        logits = logits - logits.max(axis=1, keepdims=True)
        residuals = np.exp(logits)
        totals = residuals.sum(axis=1)
        losses = np.log(totals) - logits[self._each, self._labels]
        residuals /= totals[:, None]
        residuals[self._each, self._labels] -= 1
        return Predictions(losses, residuals)

    def pull_back(self, weighted: Float64Array) -> Float64Array:
        """Return the gradient ((d + 1) * C,)."""
        gradient = np.empty((self._rows.shape[1] + 1, self._num_classes))
        gradient[:-1] = self._rows.T @ weighted.astype(self._rows.dtype, copy=False)
        gradient[-1] = weighted.sum(axis=0)
        return gradient.ravel()

    def penalty(self, parameters: Float64Array) -> tuple[float, Float64Array]:
        """Return l2/2 * ||W||^2 and its gradient."""
        gradient = self._l2 * parameters
        gradient[-self._num_classes :] = 0
        return 0.5 * float(gradient @ parameters), gradient

    def dual_value(self, weights: Float64Array, predictions: Predictions) -> float:
        """Return the Fenchel dual at the model's own probabilities, made feasible.

        With images weighing c_i and probabilities P (n, C) the dual is
        sum_i c_i * entropy(P_i) - ||X^T diag(c) (P - Y)||^2 / (2 l2), a lower bound wherever the free bias is
        balanced: sum_i c_i (P_i - Y_i) = 0. Near the optimum it almost is; mixing every P_i with one common
        distribution makes it exact.
        """
        probabilities = predictions.residuals.copy()
        probabilities[self._each, self._labels] += 1
        wanted = np.bincount(self._labels, weights=weights, minlength=self._num_classes) / weights.sum()
        found = weights @ probabilities / weights.sum()
        mix = 1 - min(1.0, float(np.min(wanted / np.maximum(found, np.finfo(float).tiny))))
        if mix > 0:
            common = np.maximum(wanted - (1 - mix) * found, 0)  # mix times the common distribution
            probabilities = (1 - mix) * probabilities + common
        entropy = _times_log(probabilities).sum(axis=1)
        probabilities[self._each, self._labels] -= 1
        pulled = self.pull_back(weights[:, None] * probabilities)[: -self._num_classes]
        return -float(weights @ entropy) - float(pulled @ pulled) / (2 * self._l2)

    def to_columns(self, parameters: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Return weights and a bias that sums to zero, as adding a constant to it changes nothing."""
        columns = parameters.reshape(-1, self._num_classes)
        return columns[:-1].copy(), columns[-1] - columns[-1].mean()

    def from_columns(self, weights: Float64Array, bias: Float64Array) -> Float64Array:
        """Return both below each other."""
        return np.vstack([weights, bias]).ravel()


def _times_log(shares: Float64Array) -> Float64Array:
    return shares * np.log(np.maximum(shares, np.finfo(float).tiny))
