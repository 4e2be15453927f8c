from __future__ import annotations

import numpy as np
import pytest

from clarify_widget.datasets import sprites
from clarify_widget.encoders import load
from tests.datasets.stories import tell

PHRASES = {"square": "red", "oval": "blue"}


def test_groups_are_the_classes_with_each_attribute() -> None:
    dataset = sprites()
    assert dataset.class_names == ("square", "oval")
    assert dataset.group_names == ("blue square", "red square", "blue oval", "red oval")
    for split in dataset.splits():
        assert split.groups is not None
        assert np.array_equal(split.groups // 2, split.labels)


def test_the_attribute_goes_with_the_class_in_training_only() -> None:
    dataset = sprites()
    usual = {split.name: (split.groups % 2 == split.labels) for split in dataset.splits()}
    assert usual["train"].mean() == pytest.approx(0.97)
    for name in ("val", "test"):
        assert usual[name].mean() == pytest.approx(0.5)
    for split in dataset.splits():
        assert np.bincount(split.labels).tolist() == [len(split) // 2] * 2


def test_the_seed_decides_every_image() -> None:
    first, again, other = (sprites(seed).train for seed in (3, 3, 4))
    assert [first.images[i].tobytes() for i in range(4)] == [again.images[i].tobytes() for i in range(4)]
    assert [first.images[i].tobytes() for i in range(4)] != [other.images[i].tobytes() for i in range(4)]


def test_images_are_named_by_their_split_and_group() -> None:
    val = sprites().val
    assert val.images.name(7).startswith("val 7: ")
    assert val.images.name(7).endswith(sprites().group_names[val.groups[7]])


@pytest.mark.parametrize("seed", range(5))
def test_one_phrase_a_class_mends_the_worst_group(seed: int) -> None:
    story = tell(sprites(seed), load("demo"), PHRASES)
    assert story.after.worst_group >= story.before.worst_group + 0.25
    assert story.after.average >= story.before.average - 0.05
    assert story.after.adjusted_average >= story.before.adjusted_average - 0.1
    assert min(story.scores.values()) >= 0.5
