"""Stars that come with a duck: a class that a model knows by its company, as "baby pacifier" by the baby."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarify_widget.datasets.scenes.correlated import Sizes, correlated
from clarify_widget.datasets.scenes.scene import Scene

if TYPE_CHECKING:
    import numpy as np

    from clarify_widget.datasets.dataset import Dataset

_KINDS = ("star", "cross")
_COLOURS = ("red", "blue", "green", "yellow", "purple")
_PLUMAGES = ("white", "grey", "brown")
_SIZE = (0.22, 0.27)  # small beside the duck, which is easier to make out
_DUCK_SIZE = (0.42, 0.50)
_WITH_DUCK = 0


def companions(seed: int = 0) -> Dataset:
    """Stars that mostly have a duck beside them, and crosses that mostly stand alone.

    The first class is called "duck star", as ImageNet calls a pacifier "baby pacifier": its name names the
    company as well, and a model that reads it looks for both. In training 95 % of the stars have a duck and
    5 % of the crosses; in validation and test half of either. So a model is wrong on stars alone and on
    crosses with a duck.

    Parameters
    ----------
    seed
        Another seed draws other images of the same kind.

    Returns
    -------
    Dataset
        Classes "duck star" and "cross"; groups "star with duck", "star alone", "cross with duck" and "cross
        alone"; 1,600 training, 400 validation and 400 test images of 128 by 128 pixels, rendered when asked
        for.

    Notes
    -----
    The two-object story of Yang et al., "Mitigating Spurious Correlations in Multi-modal Models during
    Fine-tuning" (ICML 2023), Figure 1 and Table 3, drawn.
    """
    return correlated(
        "companions",
        ("duck star", "cross"),
        ("star with duck", "star alone", "cross with duck", "cross alone"),
        _draw,
        train=Sizes(per_class=800, usual=760),
        held_out=Sizes(per_class=200, usual=100),
        seed=seed,
    )


def _draw(rng: np.random.Generator, label: int, attribute: int) -> Scene:
    side = 1 if rng.random() < 0.5 else -1
    near, far = float(rng.uniform(0.20, 0.28)), float(rng.uniform(0.12, 0.20))
    return Scene(
        kind=_KINDS[label],
        colour=_one_of(rng, _COLOURS),
        background="plain",
        places=((0.5 + side * near, float(rng.uniform(0.3, 0.7))),),
        size=float(rng.uniform(*_SIZE)),
        angle=float(rng.uniform(-8, 8)),
        seed=int(rng.integers(2**31)),
        companion=_duck(rng, 0.5 - side * far) if attribute == _WITH_DUCK else None,
    )


def _duck(rng: np.random.Generator, x: float) -> Scene:
    return Scene(
        kind="duck",
        colour=_one_of(rng, _PLUMAGES),
        background="plain",
        places=((x, float(rng.uniform(0.4, 0.6))),),
        size=float(rng.uniform(*_DUCK_SIZE)),
        facing=1 if rng.random() < 0.5 else -1,
    )


def _one_of(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]
