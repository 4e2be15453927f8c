"""A planted bias: numbers instead of images, every group known, and which phrases are right known too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.datasets.dataset import Dataset, Split
from clarify_widget.errors import DataError

if TYPE_CHECKING:
    from clarify_widget.arrays import Float32Array, FloatArray, IntArray

NOISE_PHRASES = 8

_SIZES = {"train": 2000, "val": 600, "test": 1500}  # images a class
_CLASS_SIGNAL = 2.4  # in standard deviations of the noise on each feature
_ATTRIBUTE_SIGNAL = 4.0
_NOISE_WIDTH = 8
_PHRASE_SIGNAL = 8.0


@dataclass(frozen=True, eq=False)
class PlantedBias:
    """A data set with a planted spurious correlation, and the words for it.

    Attributes
    ----------
    dataset
        C classes; groups 2c ("class c with attribute c") and 2c + 1 ("class c with another attribute").
    phrases
        "attribute 0".."attribute C-1", which are right, then "noise 0".., which mean nothing.
    phrase_embeddings
        (C + 8, e) unit rows; `PrecomputedEncoder(phrases, phrase_embeddings)` is an encoder over them.
    """

    dataset: Dataset
    phrases: tuple[str, ...]
    phrase_embeddings: Float32Array


def planted(num_classes: int = 2, strength: float = 0.95, *, seed: int = 0) -> PlantedBias:
    """Draw a data set whose classes go with attributes in training, and less so in validation and test.

    Every image has one of C attributes. In training, class c has attribute c with probability `strength` and
    otherwise any other; in validation and test with probability one half. The features show the attribute
    more clearly than the class, so a head that minimises the mean loss leans on it.

    Parameters
    ----------
    num_classes
        C, at least 2.
    strength
        The correlation in training, from 1/2 (as in the test split: no bias to correct for two classes) to
        below 1.
    seed
        Another seed draws other images of the same kind.

    Returns
    -------
    PlantedBias
        2,000 training, 600 validation and 1,500 test rows a class; features (n, 2C + 8), embeddings
        (n, C + 8) in which an attribute is unmistakable.

    Raises
    ------
    DataError
        When there are fewer than two classes, or the strength is out of range.
    """
    if num_classes < 2:
        raise DataError(f"A classifier needs at least two classes; got {num_classes}.")
    if not 0.5 <= strength < 1:
        raise DataError(f"strength must be in 0.5..1, below 1; got {strength}.")
    rng = np.random.default_rng(seed)
    splits = {
        name: _draw_split(name, num_classes, size, strength if name == "train" else 0.5, rng)
        for name, size in _SIZES.items()
    }
    names = tuple(f"class {label}" for label in range(num_classes))
    dataset = Dataset(
        f"planted bias of {strength:g}",
        names,
        splits["train"],
        splits["val"],
        splits["test"],
        group_names=tuple(
            f"{name} with {'attribute ' + str(label) if usual else 'another'}"
            for label, name in enumerate(names)
            for usual in (True, False)
        ),
    )
    phrases = (
        *(f"attribute {label}" for label in range(num_classes)),
        *(f"noise {number}" for number in range(NOISE_PHRASES)),
    )
    return PlantedBias(dataset, phrases, np.eye(num_classes + NOISE_PHRASES, dtype=np.float32))


def _draw_split(name: str, num_classes: int, size: int, strength: float, rng: np.random.Generator) -> Split:
    labels = np.repeat(np.arange(num_classes), size)
    usual = rng.random(len(labels)) < strength
    attributes = np.where(usual, labels, _another(labels, num_classes, rng))
    class_signs = _CLASS_SIGNAL * np.eye(num_classes)[labels]
    attribute_signs = _ATTRIBUTE_SIGNAL * np.eye(num_classes)[attributes]
    phrase_signs = _PHRASE_SIGNAL * np.eye(num_classes)[attributes]
    return Split(
        name,
        labels,
        groups=2 * labels + ~usual,
        features=_noisy(np.hstack([class_signs, attribute_signs]), _NOISE_WIDTH, rng),
        embeddings=_unit(_noisy(phrase_signs, NOISE_PHRASES, rng)),
    )


def _another(labels: IntArray, num_classes: int, rng: np.random.Generator) -> IntArray:
    shifted: IntArray = (labels + rng.integers(1, num_classes, len(labels))) % num_classes
    return shifted


def _noisy(signs: FloatArray, extra: int, rng: np.random.Generator) -> Float32Array:
    rows = rng.normal(size=(len(signs), signs.shape[1] + extra))
    rows[:, : signs.shape[1]] += signs
    return rows.astype(np.float32)


def _unit(rows: Float32Array) -> Float32Array:
    unit: Float32Array = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
