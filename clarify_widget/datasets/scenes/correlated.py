"""Data sets of drawn scenes in which an attribute goes with the class in training, and not outside."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from clarify_widget.datasets.dataset import Dataset, Split
from clarify_widget.datasets.images import ImageList
from clarify_widget.datasets.scenes.render import mask, render

if TYPE_CHECKING:
    from collections.abc import Callable

    from clarify_widget.arrays import IntArray
    from clarify_widget.datasets.scenes.scene import Scene

Draw: TypeAlias = "Callable[[np.random.Generator, int, int], Scene]"
"""From a source of chance, a class and an attribute to a scene."""


@dataclass(frozen=True)
class Sizes:
    """How many images of each class a split has, and in how many the attribute is the class's usual one."""

    per_class: int
    usual: int


def correlated(
    name: str,
    class_names: tuple[str, str],
    group_names: tuple[str, str, str, str],
    draw: Draw,
    *,
    train: Sizes,
    held_out: Sizes,
    seed: int,
) -> Dataset:
    """Draw train, validation and test splits of two classes and two attributes.

    Group ``2 * class + attribute`` is the class with that attribute; attribute ``c`` is the usual one of
    class ``c``. Images are rendered when they are asked for.
    """

    def split(number: int, split_name: str, sizes: Sizes) -> Split:
        return _split(split_name, sizes, draw, group_names, np.random.default_rng([seed, number]))

    return Dataset(
        name,
        class_names,
        train=split(0, "train", train),
        val=split(1, "val", held_out),
        test=split(2, "test", held_out),
        group_names=group_names,
    )


def _split(
    name: str, sizes: Sizes, draw: Draw, group_names: tuple[str, ...], rng: np.random.Generator
) -> Split:
    labels = np.repeat(np.array([0, 1]), sizes.per_class)
    usual = np.tile(np.arange(sizes.per_class) < sizes.usual, 2)
    attributes = np.where(usual, labels, 1 - labels)
    order = rng.permutation(len(labels))
    labels, attributes = labels[order], attributes[order]
    groups: IntArray = (2 * labels + attributes).astype(np.int64)
    scenes = [
        draw(rng, int(label), int(attribute)) for label, attribute in zip(labels, attributes, strict=True)
    ]
    names = [f"{name} {i}: {group_names[group]}" for i, group in enumerate(groups)]
    return Split(
        name,
        labels=labels.astype(np.int64),
        images=ImageList([partial(render, scene) for scene in scenes], names),
        groups=groups,
        masks=ImageList([partial(mask, scene) for scene in scenes], names),
    )
