"""Automatic feature reweighting: a first head, then a second close to it on images that it has not seen.

Images to which the first head gives little probability count more, as exp(-gamma * probability of the true
class); on images that the first head was not trained on these are the ones that it really misjudges. The
second head pays for its distance from the first, so that a few hundred images are enough.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.arrays import check_labels, check_rows
from clarify_widget.datasets.splitting import stratified_split
from clarify_widget.errors import DataError
from clarify_widget.methods.choice import choose_by_worst_cell
from clarify_widget.training import FitReport, LinearHead, train_head
from clarify_widget.training.head import softmax, unit_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from clarify_widget.arrays import Float64Array, IntArray
    from clarify_widget.methods.choice import Choice

GAMMAS = (0.5, 1.0, 2.0, 4.0, 8.0, 14.0, 20.0)
STRENGTHS = (0.0001, 0.001, 0.01, 0.1, 1.0)
L2S = (0.01, 0.1, 1.0, 10.0)
REWEIGHTING_SHARE = 0.2
GRADIENT_TOLERANCE = 1e-6  # largest entry
MAX_ITERATIONS = 10_000


def train_afr(
    features: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    gamma: float = 4.0,
    strength: float = 0.1,
    l2: float = 1e-2,
    seed: int = 0,
    num_classes: int | None = None,
) -> LinearHead:
    """Train a head on labels alone, its second stage emphasising what the first predicts poorly.

    The first head minimises the ERM objective on four fifths of each class. The second minimises, on the
    last fifth, sum_i mu_i * cross-entropy_i + strength * (||W - W_first||^2 + ||b - b_first||^2) with
    mu_i proportional to exp(-gamma * p_i) / n_class(i) and sum 1, where p_i is the first head's probability
    of the true class and n_c the number of images of class c. Both heads use the first's normalisation.

    Parameters
    ----------
    features
        (n, d) raw features.
    labels
        (n,) class indices 0..C-1, each class with two images or more.
    gamma
        0 or more: how strongly poorly predicted images are emphasised.
    strength
        Above 0: how dear the distance from the first head is.
    l2
        Penalty of the first head.
    seed
        Of the split into four fifths and one.
    num_classes
        C, where it is known.

    Returns
    -------
    LinearHead
        Its report is that of the second stage.

    Raises
    ------
    DataError
        When shapes, labels or settings do not fit.

    Notes
    -----
    Qiu et al., "Simple and Fast Group Robustness by Automatic Feature Reweighting" (ICML 2023), section 4;
    the publication takes a fixed number of gradient steps, this is the minimum that they head for.
    """
    stage = _FirstStage.fit(features, labels, l2=l2, seed=seed, num_classes=num_classes)
    return stage.reweighted(gamma, strength)


def choose_afr(
    features: npt.ArrayLike,
    labels: npt.ArrayLike,
    val_features: npt.ArrayLike,
    val_labels: npt.ArrayLike,
    *,
    gammas: Sequence[float] = GAMMAS,
    strengths: Sequence[float] = STRENGTHS,
    l2s: Sequence[float] = L2S,
    seed: int = 0,
    num_classes: int | None = None,
) -> Choice[LinearHead]:
    """Train with every combination of settings and keep the one with the best worst class on validation.

    The publication tunes on validation groups; here labels must do, as the method claims no more.

    Parameters
    ----------
    features, labels
        Of train, as `train_afr` takes them.
    val_features, val_labels
        (m, d) and (m,), of validation.
    gammas, strengths, l2s
        Values to try.
    seed
        Of the split of train.
    num_classes
        C, where it is known.

    Raises
    ------
    DataError
        As `train_afr`, or when there is nothing to try.
    """

    def candidates() -> Iterator[tuple[dict[str, float], LinearHead]]:
        for l2 in l2s:
            stage = _FirstStage.fit(features, labels, l2=l2, seed=seed, num_classes=num_classes)
            for gamma in gammas:
                head = stage.head
                for strength in sorted(strengths, reverse=True):  # from next to the first head outwards
                    head = stage.reweighted(gamma, strength, start=head)
                    yield {"gamma": gamma, "strength": strength, "l2": l2}, head

    return choose_by_worst_cell(candidates(), val_features, val_labels)


def reweighting(true_class_probability: npt.ArrayLike, labels: npt.ArrayLike, gamma: float) -> Float64Array:
    """Return (n,) weights exp(-gamma * p) / n_class that sum to 1.

    Parameters
    ----------
    true_class_probability
        (n,) what the first head gives the true class, 0..1.
    labels
        (n,) class indices.
    gamma
        0 or more.

    Raises
    ------
    DataError
        When gamma is negative or not a number.
    """
    if not (np.isfinite(gamma) and gamma >= 0):
        raise DataError(f"gamma must be a number of at least 0; got {gamma}.")
    classes = check_labels(labels)
    weights = np.exp(-gamma * np.asarray(true_class_probability, dtype=np.float64))
    weights /= np.bincount(classes)[classes]
    normalised: Float64Array = weights / weights.sum()
    return normalised


@dataclass(frozen=True, eq=False)
class _FirstStage:
    """A first head, and the images that it has not seen as it sees them."""

    head: LinearHead
    rows: Float64Array  # (m, d) standardised as the head's training rows were
    labels: IntArray  # (m,)
    true_class_probability: Float64Array  # (m,)
    seed: int

    @classmethod
    def fit(
        cls,
        features: npt.ArrayLike,
        labels: npt.ArrayLike,
        *,
        l2: float,
        seed: int,
        num_classes: int | None,
    ) -> _FirstStage:
        raw = check_rows(features)
        classes = check_labels(labels, num_classes=num_classes)
        if len(classes) != len(raw):
            raise DataError(
                f"There are {len(raw)} rows of features for {len(classes)} labels; give one label a row."
            )
        alone = np.flatnonzero(np.bincount(classes) == 1)
        if len(alone):
            raise DataError(f"Each stage needs an image of each class; class {alone[0]} has only one.")
        unseen = stratified_split(classes, val_fraction=REWEIGHTING_SHARE, test_fraction=0, seed=seed) == 1
        head = train_head(raw[~unseen], classes[~unseen], l2=l2, num_classes=num_classes)
        rows = (unit_rows(raw[unseen]) - head.mean) / head.scale
        truth = classes[unseen]
        probabilities = softmax(rows @ head.weights + head.bias)
        return cls(head, rows, truth, probabilities[np.arange(len(truth)), truth], seed)

    def reweighted(self, gamma: float, strength: float, start: LinearHead | None = None) -> LinearHead:
        """Return the second head; `start` is where its solver begins."""
        from scipy.optimize import minimize

        if not (np.isfinite(strength) and strength > 0):
            raise DataError(f"strength must be a positive number; got {strength}.")
        weights = reweighting(self.true_class_probability, self.labels, gamma)
        first = _parameters(self.head)
        each = np.arange(len(self.labels))

        def objective(flat: Float64Array) -> tuple[float, Float64Array]:
            parameters = flat.reshape(first.shape)
            probabilities = softmax(self.rows @ parameters[:-1] + parameters[-1])
            missing = np.maximum(probabilities[each, self.labels], np.finfo(float).tiny)
            probabilities[each, self.labels] -= 1
            probabilities *= weights[:, None]
            away = parameters - first
            gradient = 2 * strength * away
            gradient[:-1] += self.rows.T @ probabilities
            gradient[-1] += probabilities.sum(axis=0)
            value = -float(weights @ np.log(missing)) + strength * float(np.sum(away**2))
            return value, gradient.ravel()

        found = minimize(
            objective,
            _parameters(start or self.head).ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"gtol": GRADIENT_TOLERANCE, "ftol": 0.0, "maxiter": MAX_ITERATIONS, "maxcor": 20},
        )
        parameters = found.x.reshape(first.shape)
        norm = float(np.linalg.norm(found.jac))
        report = FitReport(
            objective_value=float(found.fun),
            gradient_norm=norm,
            duality_gap=norm**2 / (4 * strength),  # the objective is curved by at least 2 * strength
            iterations=int(found.nit),
            stopped_because=f"{_reason(found)} (seed {self.seed})",
        )
        return replace(self.head, weights=parameters[:-1], bias=parameters[-1], report=report)


def _reason(found: Any) -> str:
    if float(np.abs(found.jac).max()) <= GRADIENT_TOLERANCE:
        return f"the gradient is below {GRADIENT_TOLERANCE:.1g}"
    if found.nit >= MAX_ITERATIONS:
        return f"{MAX_ITERATIONS} iterations were not enough"
    return "rounding leaves no better point"


def _parameters(head: LinearHead) -> Float64Array:
    """Return (d + 1, C): weights, then bias."""
    return np.vstack([head.weights, head.bias])
