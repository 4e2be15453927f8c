"""Water birds and land birds on water or in the forest: the story of Waterbirds, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarify_widget.datasets.scenes.correlated import Sizes, correlated
from clarify_widget.datasets.scenes.scene import LAND_BIRDS, WATER_BIRDS, WATERS, Scene

if TYPE_CHECKING:
    import numpy as np

    from clarify_widget.datasets.dataset import Dataset

_BIRDS = (WATER_BIRDS, LAND_BIRDS)
_PLACES = (WATERS, ("forest",))
_PLUMAGES = ("white", "grey", "brown")
_SIZE = (0.185, 0.265)  # small, so that the bird is harder to make out than where it is


def shorebirds(seed: int = 0) -> Dataset:
    """Water birds that are mostly on water, and land birds that are mostly in the forest.

    In training 95% of the birds are where they belong; in validation and test half of them are. A head
    trained on this learns the background, so it is wrong on water birds in the forest and on land birds over
    water.

    Parameters
    ----------
    seed
        Another seed draws other images of the same kind.

    Returns
    -------
    Dataset
        Classes "water bird" (ducks, gulls, herons) and "land bird" (finches, owls, woodpeckers); groups
        "water bird on water", "water bird on forest", "land bird on water", "land bird on forest";
        1,600 training, 400 validation and 400 test images of 128 by 128 pixels, rendered when asked for.

    Notes
    -----
    Built as Waterbirds is: Sagawa et al., "Distributionally Robust Neural Networks" (ICLR 2020), section 3.
    """
    return correlated(
        "shorebirds",
        ("water bird", "land bird"),
        ("water bird on water", "water bird on forest", "land bird on water", "land bird on forest"),
        _draw,
        train=Sizes(per_class=800, usual=760),
        held_out=Sizes(per_class=200, usual=100),
        seed=seed,
    )


def _draw(rng: np.random.Generator, label: int, attribute: int) -> Scene:
    return Scene(
        kind=_one_of(rng, _BIRDS[label]),
        colour=_one_of(rng, _PLUMAGES),
        background=_one_of(rng, _PLACES[attribute]),
        places=((float(rng.uniform(0.3, 0.7)), float(rng.uniform(0.35, 0.65))),),
        size=float(rng.uniform(*_SIZE)),
        facing=1 if rng.random() < 0.5 else -1,
        seed=int(rng.integers(2**31)),
    )


def _one_of(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]
