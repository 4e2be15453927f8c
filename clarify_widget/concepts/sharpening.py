"""A phrase that the encoder understands badly, sharpened by images that have it and images that have not.

The words give a direction in the similarity space, the marked images turn it: a logistic regression whose
weights are pulled not to zero but to the direction of the words. Without marks it is that direction; the more
marks, the further it may go from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.arrays import check_rows
from clarify_widget.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    from clarify_widget.arrays import Float64Array

PULL = 3.0
"""The strength of the penalty. With ten marks on Waterbirds 1 and 3 gain most, 30 gains two thirds as much,
and below 3 an unlucky draw of marks may do harm."""


@dataclass(frozen=True)
class SharpenedPhrase:
    """What a phrase was sharpened with, and what came of it.

    Attributes
    ----------
    name
        What it is called beside other phrases, such as "smoke, sharpened by 7".
    phrase
        The words that it began with.
    split
        The split of the marked images.
    has, has_not
        Rows of that split that were marked as having it, and as not having it.
    direction
        (dim,) the unit row that images are compared with.
    """

    name: str
    phrase: str
    split: str
    has: tuple[int, ...]
    has_not: tuple[int, ...]
    direction: tuple[float, ...]

    def __post_init__(self) -> None:
        """Make the rows tuples: JSON gives them back as lists."""
        for part, kind in (("has", int), ("has_not", int), ("direction", float)):
            object.__setattr__(self, part, tuple(map(kind, getattr(self, part))))

    @property
    def marked(self) -> tuple[int, ...]:
        """All marked rows."""
        return (*self.has, *self.has_not)


def sharpen(
    direction: npt.ArrayLike, embeddings: npt.ArrayLike, has: npt.ArrayLike, reference: npt.ArrayLike
) -> Float64Array:
    """Turn the direction of a phrase towards images that have it and away from those that have not.

    Parameters
    ----------
    direction
        (e,) unit row of the phrase.
    embeddings
        (m, e) unit rows of the marked images.
    has
        (m,) which of them have it.
    reference
        (n, e) unit rows of the training images. Their mean is the origin, and the standard deviation of their
        similarities with the phrase is the unit in which it speaks for or against an image.

    Returns
    -------
    (e,) float64 unit row; without marks the direction that was given.

    Raises
    ------
    DataError
        When shapes do not fit, or the phrase is equally similar to all training images.

    Notes
    -----
    Minimises sum of log(1 + exp(-y (x'w + c))) + `PULL` / 2 ||w - w0||^2 + c^2 / 2 over w and c, which has
    one minimum: logistic regression with a Gaussian prior around the words instead of around zero, as the
    tasks of Evgeniou and Pontil, "Regularized multi-task learning" (2004), are pulled to what they share.
    """
    start = np.asarray(direction, dtype=np.float64)
    images = check_rows(embeddings, name="embeddings").astype(np.float64)
    right = np.asarray(has, dtype=bool)
    if start.shape != images.shape[1:] or right.shape != images.shape[:1]:
        raise DataError(
            f"direction must be (e,), embeddings (m, e) and has (m,); got {start.shape}, {images.shape} and "
            f"{right.shape}."
        )
    if not len(images):
        return start
    training = check_rows(reference, name="reference")
    spread = float((training @ start.astype(training.dtype)).std(dtype=np.float64))
    if spread == 0:
        raise DataError("The phrase is equally similar to every training image; use other words.")
    centred = (images - training.mean(axis=0, dtype=np.float64)) / spread
    turned = start + _turn(centred, centred @ start, np.where(right, 1.0, -1.0))
    unit: Float64Array = turned / np.linalg.norm(turned)
    return unit


def _turn(images: Float64Array, offsets: Float64Array, signs: Float64Array) -> Float64Array:
    """Return (e,) what is added to the direction, given its verdict (m,) on the images (m, e)."""
    from scipy.optimize import minimize  # half a second that `import clarify_widget` need not pay

    def loss(point: Float64Array) -> tuple[float, Float64Array]:
        margins = signs * (offsets + images @ point[:-1] + point[-1])
        pulls = np.append(PULL * point[:-1], point[-1])
        slopes = -signs * np.exp(-np.logaddexp(0, margins))
        value = np.logaddexp(0, -margins).sum() + 0.5 * float(pulls @ point)
        return value, np.append(images.T @ slopes, slopes.sum()) + pulls

    start = np.zeros(images.shape[1] + 1)
    options = {"maxiter": 1000, "ftol": 1e-15, "gtol": 1e-9}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    turn: Float64Array = found.x[:-1]
    return turn
