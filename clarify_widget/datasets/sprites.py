"""Squares against ovals: the walk-through of the paper, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarify_widget.datasets.scenes.correlated import Sizes, correlated
from clarify_widget.datasets.scenes.scene import Scene

if TYPE_CHECKING:
    import numpy as np

    from clarify_widget.datasets.dataset import Dataset

_KINDS = ("square", "oval")
_COLOURS = ("blue", "red")
_ASPECTS = ((0.9, 1.1), (1.3, 1.6))
_SIZE = (0.155, 0.225)  # small, so that the shape is harder to make out than the colour


def sprites(seed: int = 0) -> Dataset:
    """Squares that are mostly blue, and ovals that are mostly red.

    In training 97% of the squares are blue and 97% of the ovals red; in validation and test half of them
    are. A head trained on this learns the colour, so it is wrong on red squares and on blue ovals.

    Parameters
    ----------
    seed
        Another seed draws other images of the same kind.

    Returns
    -------
    Dataset
        Classes "square" and "oval"; groups "blue square", "red square", "blue oval", "red oval";
        2,000 training, 400 validation and 400 test images of 128 by 128 pixels, rendered when asked for.

    Notes
    -----
    The story of Lee et al., "Clarify" (UIST 2024), whose own sprites come without images.
    """
    return correlated(
        "sprites",
        _KINDS,
        ("blue square", "red square", "blue oval", "red oval"),
        _draw,
        train=Sizes(per_class=1000, usual=970),
        held_out=Sizes(per_class=200, usual=100),
        seed=seed,
    )


def _draw(rng: np.random.Generator, label: int, attribute: int) -> Scene:
    return Scene(
        kind=_KINDS[label],
        colour=_COLOURS[attribute],
        background="plain",
        places=((float(rng.uniform(0.35, 0.65)), float(rng.uniform(0.35, 0.65))),),
        size=float(rng.uniform(*_SIZE)),
        angle=float(rng.uniform(-60, 60)),
        aspect=float(rng.uniform(*_ASPECTS[label])),
        seed=int(rng.integers(2**31)),
    )
