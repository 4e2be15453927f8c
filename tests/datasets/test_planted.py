from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from clarify_widget.datasets import planted
from clarify_widget.errors import DataError


@settings(max_examples=12, deadline=None)
@given(num_classes=st.integers(2, 6), strength=st.floats(0.5, 0.99), seed=st.integers(0, 99))
def test_training_has_the_strength_that_was_asked_for_and_test_has_half(num_classes, strength, seed):
    dataset = planted(num_classes, strength, seed=seed).dataset
    for split, share in ((dataset.train, strength), (dataset.val, 0.5), (dataset.test, 0.5)):
        usual = split.groups % 2 == 0
        # Six standard errors: one example in a billion is further off.
        assert usual.mean() == pytest.approx(share, abs=6 * np.sqrt(0.25 / len(usual)))
        np.testing.assert_array_equal(split.groups // 2, split.labels)
    assert len(dataset.group_names) == 2 * num_classes


def test_right_phrases_tell_the_groups_apart_and_noise_phrases_do_not():
    world = planted(3, 0.9, seed=1)
    test = world.dataset.test
    for label in range(3):
        members = test.labels == label
        usual = test.groups[members] % 2 == 0
        similar = test.embeddings[members] @ world.phrase_embeddings.T
        for phrase, column in zip(world.phrases, similar.T, strict=True):
            if phrase == f"attribute {label}":
                assert roc_auc_score(usual, column) > 0.999
            elif phrase.startswith("noise"):
                assert roc_auc_score(usual, column) == pytest.approx(0.5, abs=0.06)


def test_a_seed_draws_the_same_again_and_another_seed_draws_others():
    first, again, other = (planted(seed=seed).dataset.train for seed in (4, 4, 5))
    np.testing.assert_array_equal(first.features, again.features)
    np.testing.assert_array_equal(first.groups, again.groups)
    assert not np.array_equal(first.features, other.features)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [((1, 0.9), "two classes; got 1"), ((2, 0.4), "got 0.4"), ((2, 1.0), "got 1.0")],
)
def test_an_impossible_world_is_one_clear_error(arguments, what):
    with pytest.raises(DataError, match=what):
        planted(*arguments)
