"""Just Train Twice: what a first, weak head gets wrong counts more for the second.

A head that is held back fits what most images have in common, and errs on those where that misleads. The
published method holds it back by stopping early; here a strong penalty does, which for a last layer comes to
the same and leaves no doubt where it stops.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.errors import DataError
from clarify_widget.methods.choice import choose_by_worst_cell
from clarify_widget.training import LinearHead, StandardisedFeatures, train_head, train_heads

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from clarify_widget.arrays import BoolArray, Float64Array
    from clarify_widget.methods.choice import Choice

UPWEIGHTS = (5.0, 20.0, 50.0, 100.0)
IDENTIFICATION_L2S = (1.0, 3.0, 10.0)
L2S = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


def train_jtt(
    features: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    upweight: float = 20.0,
    identification_l2: float = 3.0,
    l2: float = 1e-2,
    num_classes: int | None = None,
    initial: LinearHead | None = None,
) -> LinearHead:
    """Train a head on labels alone, with the errors of a first head counting more.

    Parameters
    ----------
    features
        (n, d) raw features.
    labels
        (n,) class indices 0..C-1, each class present.
    upweight
        How often an image that the first head gets wrong counts, at least 1; the published settings are 100
        for Waterbirds and 50 for CelebA.
    identification_l2
        Penalty of the first head; the stronger, the more it gets wrong.
    l2
        Penalty of the head that is returned.
    num_classes
        C, where it is known.
    initial
        A head to start the second fit from: fewer iterations, the same result.

    Raises
    ------
    DataError
        When shapes, labels or settings do not fit.

    Notes
    -----
    Liu et al., "Just Train Twice" (ICML 2021), Algorithm 1, in its last-layer form.
    """
    wrong = identify_errors(features, labels, l2=identification_l2, num_classes=num_classes)
    weights = error_weights(wrong, upweight)
    return train_head(
        features, labels, l2=l2, num_classes=num_classes, sample_weight=weights, initial=initial
    )


def choose_jtt(
    features: npt.ArrayLike,
    labels: npt.ArrayLike,
    val_features: npt.ArrayLike,
    val_labels: npt.ArrayLike,
    *,
    upweights: Sequence[float] = UPWEIGHTS,
    identification_l2s: Sequence[float] = IDENTIFICATION_L2S,
    l2s: Sequence[float] = L2S,
    num_classes: int | None = None,
) -> Choice[LinearHead]:
    """Train with every combination of settings and keep the one with the best worst class on validation.

    The publication tunes on validation groups; here labels must do, as the method claims no more.

    Parameters
    ----------
    features, labels
        Of train, as `train_jtt` takes them.
    val_features, val_labels
        (m, d) and (m,), of validation.
    upweights, identification_l2s, l2s
        Values to try.
    num_classes
        C, where it is known.

    Raises
    ------
    DataError
        As `train_jtt`, or when there is nothing to try.
    """
    prepared = StandardisedFeatures.of(features)

    def candidates() -> Iterator[tuple[dict[str, float], LinearHead]]:
        for first, l2 in product(identification_l2s, l2s):
            heads = train_heads(prepared, labels, weights_of(first), l2=l2, num_classes=num_classes)
            for upweight, head in zip(upweights, heads, strict=True):
                yield {"identification_l2": first, "upweight": upweight, "l2": l2}, head

    @cache
    def weights_of(first: float) -> Float64Array:
        wrong = identify_errors(features, labels, l2=first, num_classes=num_classes)
        return np.array([error_weights(wrong, upweight) for upweight in upweights]).reshape(-1, len(wrong))

    return choose_by_worst_cell(candidates(), val_features, val_labels)


def identify_errors(
    features: npt.ArrayLike, labels: npt.ArrayLike, *, l2: float, num_classes: int | None = None
) -> BoolArray:
    """Return (n,) which training images an ERM head of penalty l2 gets wrong."""
    head = train_head(features, labels, l2=l2, num_classes=num_classes)
    wrong: BoolArray = head.predict(features) != np.asarray(labels)
    return wrong


def error_weights(wrong: BoolArray, upweight: float) -> Float64Array:
    """Return (n,) `upweight` for errors and 1 for the rest; raises DataError when it is below 1."""
    if not (np.isfinite(upweight) and upweight >= 1):
        raise DataError(f"upweight must be a number of at least 1; got {upweight}.")
    return np.where(wrong, upweight, 1.0)
