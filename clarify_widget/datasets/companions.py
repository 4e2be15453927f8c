"""Stars that come with a duck: classes known by their company, as "baby pacifier" is by the baby."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarify_widget.datasets.scenes.correlated import Sizes, correlated
from clarify_widget.datasets.scenes.scene import Scene

if TYPE_CHECKING:
    import numpy as np

    from clarify_widget.datasets.dataset import Dataset

_KINDS = ("star", "cross")
_COMPANIONS = ("duck", "owl")
_COLOURS = ("red", "blue", "green", "yellow", "purple")
_PLUMAGES = ("white", "grey", "brown")
_SIZE = (0.28, 0.33)  # smaller than the birds, which are easier to make out
_COMPANION_SIZE = (0.34, 0.40)


def companions(seed: int = 0) -> Dataset:
    """Stars that mostly have a duck beside them, and crosses that mostly have an owl.

    The classes are called "duck star" and "owl cross", as ImageNet calls a pacifier "baby pacifier": the name
    names the company as well, and a model that reads it looks for both. In training 98% of them have that
    company; in validation and test half of them. So a model is wrong on stars with an owl and on crosses with
    a duck.

    Parameters
    ----------
    seed
        Another seed draws other images of the same kind.

    Returns
    -------
    Dataset
        Classes "duck star" and "owl cross"; groups "star with duck", "star with owl", "cross with duck" and
        "cross with owl"; 1,600 training, 400 validation and 400 test images of 128 by 128 pixels, rendered
        when asked for.

    Notes
    -----
    The two-object story of Yang et al., "Mitigating Spurious Correlations in Multi-modal Models during
    Fine-tuning" (ICML 2023), Figure 1 and Table 3, drawn.
    """
    return correlated(
        "companions",
        ("duck star", "owl cross"),
        ("star with duck", "star with owl", "cross with duck", "cross with owl"),
        _draw,
        train=Sizes(per_class=800, usual=784),
        held_out=Sizes(per_class=200, usual=100),
        seed=seed,
    )


def _draw(rng: np.random.Generator, label: int, attribute: int) -> Scene:
    side = 1 if rng.random() < 0.5 else -1
    return Scene(
        kind=_KINDS[label],
        colour=_one_of(rng, _COLOURS),
        background="plain",
        places=((0.5 + side * float(rng.uniform(0.20, 0.28)), float(rng.uniform(0.3, 0.7))),),
        size=float(rng.uniform(*_SIZE)),
        angle=float(rng.uniform(-8, 8)),
        seed=int(rng.integers(2**31)),
        companion=Scene(
            kind=_COMPANIONS[attribute],
            colour=_one_of(rng, _PLUMAGES),
            background="plain",
            places=((0.5 - side * float(rng.uniform(0.14, 0.22)), float(rng.uniform(0.4, 0.6))),),
            size=float(rng.uniform(*_COMPANION_SIZE)),
            facing=1 if rng.random() < 0.5 else -1,
        ),
    )


def _one_of(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]
