from __future__ import annotations

import numpy as np
import pytest

from clarify_widget.datasets import companions
from clarify_widget.datasets.scenes import Scene, render
from clarify_widget.datasets.scenes.phrases import is_true


def test_groups_are_the_classes_with_each_companion() -> None:
    dataset = companions()
    assert dataset.class_names == ("duck star", "owl cross")
    assert dataset.group_names == ("star with duck", "star with owl", "cross with duck", "cross with owl")
    for split in dataset.splits():
        assert np.array_equal(split.groups // 2, split.labels)


def test_the_companion_goes_with_the_class_in_training_only() -> None:
    for split in companions().splits():
        usual = (split.groups % 2 == split.labels).mean()
        assert usual == pytest.approx(0.98 if split.name == "train" else 0.5)


def test_the_seed_decides_every_image() -> None:
    first, again, other = (companions(seed).train for seed in (3, 3, 4))
    assert [first.images[i].tobytes() for i in range(4)] == [again.images[i].tobytes() for i in range(4)]
    assert [first.images[i].tobytes() for i in range(4)] != [other.images[i].tobytes() for i in range(4)]


def test_a_companion_changes_its_own_part_of_the_picture_only() -> None:
    alone = Scene("star", "red", "plain", places=((0.25, 0.5),), size=0.25, seed=1)
    duck = Scene("duck", "white", "plain", places=((0.7, 0.5),), size=0.4)
    together = Scene("star", "red", "plain", places=((0.25, 0.5),), size=0.25, seed=1, companion=duck)
    changed = np.asarray(render(alone)) != np.asarray(render(together))
    columns = np.flatnonzero(changed.any(axis=(0, 2)))
    assert columns.min() > 0.4 * 128


def test_phrases_are_true_of_either_thing() -> None:
    duck = Scene("duck", "white", "plain", places=((0.7, 0.5),), size=0.4)
    scene = Scene("star", "red", "plain", places=((0.25, 0.5),), size=0.25, companion=duck)
    for phrase, true in (("star", True), ("duck", True), ("white", True), ("red duck", True), ("owl", False)):
        assert is_true(phrase, scene) is true
