"""What a threshold does to the images that will be trained on, and what is to be feared of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.session.results import SIGNIFICANT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clarify_widget.arrays import FloatArray
    from clarify_widget.session.results import PhraseScore
    from clarify_widget.session.session import Session

FEW_IMAGES = 20
"""Below this an accuracy is known to no better than 20 points either way (Wilson), and a few images rule."""

GRID_POINTS = 257


@dataclass(frozen=True)
class SideSizes:
    """How many images of one class lie on each side of a threshold."""

    without: int
    having: int

    @classmethod
    def of(cls, similarities: FloatArray, threshold: float) -> SideSizes:
        """Count: with the phrase where the similarity is strictly above the threshold."""
        having = int((similarities > threshold).sum())
        return cls(len(similarities) - having, having)


@dataclass(frozen=True)
class Grid:
    """How many training images lie at or below each of some thresholds, for who moves one.

    Attributes
    ----------
    low, high
        The first and the last threshold; the others are evenly spaced.
    at_or_below
        One count for each.
    """

    low: float
    high: float
    at_or_below: tuple[int, ...]


@dataclass(frozen=True)
class Sides:
    """The two sides of one phrase at one threshold.

    Attributes
    ----------
    train, val
        Sizes on the training and the validation images of the class.
    grid
        The training sizes at other thresholds.
    warnings
        Sentences for people.
    """

    class_name: str
    phrase: str
    threshold: float
    train: SideSizes
    val: SideSizes
    grid: Grid
    warnings: tuple[str, ...]


def sides_of(session: Session, scored: PhraseScore, threshold: float) -> Sides:
    """Count the images on both sides of a threshold, and say where they are too few to rely on."""
    dataset = session.dataset
    similar = {
        split.name: session.similarities_of_class(scored.class_name, scored.phrase, split.name)
        for split in (dataset.train, dataset.val)
    }
    train, val = (SideSizes.of(similar[name], threshold) for name in ("train", "val"))
    return Sides(
        scored.class_name,
        scored.phrase,
        threshold,
        train,
        val,
        _grid(similar["train"], similar["val"]),
        tuple(_warnings(scored, train, val)),
    )


def _grid(train: FloatArray, val: FloatArray) -> Grid:
    """Count over the range that thresholds can be dragged in, which is that of validation."""
    margin = 0.02 * float(np.ptp(val)) or 0.01
    low, high = float(val.min()) - margin, float(val.max()) + margin
    thresholds = np.linspace(low, high, GRID_POINTS)
    return Grid(low, high, tuple(np.searchsorted(np.sort(train), thresholds, side="right").tolist()))


def _warnings(scored: PhraseScore, train: SideSizes, val: SideSizes) -> Iterator[str]:
    if not train.without or not train.having:
        side, way = ("with", "Lower") if not train.having else ("without", "Raise")
        yield (
            f"No training image of {scored.class_name} is {side} “{scored.phrase}”, so there is nothing to "
            f"balance. {way} the threshold."
        )
    elif (fewest := min(train.without, train.having)) < FEW_IMAGES:
        side, other = ("with", "without") if train.having == fewest else ("without", "with")
        times = max(train.without, train.having) / fewest
        yield (
            f"Only {_images(fewest, 'training')} {side} “{scored.phrase}”: in retraining each would count "
            f"{times:,.0f} times as much as one {other} it."
        )
    if 0 < (fewest := min(val.without, val.having)) < FEW_IMAGES:
        side = "with" if val.having == fewest else "without"
        yield f"Only {_images(fewest, 'validation')} {side} it: the accuracy on that side is a rough guess."
    if scored.p_value > SIGNIFICANT:
        yield "The score is within noise: try other words, or look at more validation images."


def _images(count: int, kind: str) -> str:
    return f"1 {kind} image is" if count == 1 else f"{count} {kind} images are"
