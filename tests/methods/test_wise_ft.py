from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarify_widget.errors import DataError
from clarify_widget.methods.wise_ft import MIXES, choose_wise_ft, wise_ft
from clarify_widget.methods.zero_shot import ZeroShotHead
from clarify_widget.training import train_head
from tests.training.worlds import random_problem


def heads(num_classes=3, seed=0):
    features, labels, _ = random_problem(seed, num_classes=num_classes)
    prototypes = np.random.default_rng(seed).normal(size=(num_classes, features.shape[1]))
    return features, ZeroShotHead(prototypes, np.arange(num_classes)), train_head(features, labels)


@pytest.mark.parametrize("num_classes", [2, 3])
def test_the_ends_are_both_heads(num_classes):
    features, zero_shot, head = heads(num_classes)
    start, end = wise_ft(zero_shot, head, 0), wise_ft(zero_shot, head, 1)
    np.testing.assert_array_equal(start.predict(features), zero_shot.predict(features))
    np.testing.assert_array_equal(end.predict(features), head.predict(features))
    np.testing.assert_allclose(end.decision_function(features), head.decision_function(features), atol=1e-9)
    np.testing.assert_allclose(
        start.decision_function(features), 100 * zero_shot.decision_function(features), atol=1e-9
    )


@settings(max_examples=20, deadline=None)
@given(mix=st.floats(0, 1), scale=st.floats(0.1, 1000))
def test_logits_are_mixed_as_the_weights_are(mix, scale):
    features, zero_shot, head = heads()
    expected = (1 - mix) * scale * zero_shot.decision_function(features) + mix * head.decision_function(
        features
    )
    mixed = wise_ft(zero_shot, head, mix, logit_scale=scale)
    np.testing.assert_allclose(mixed.decision_function(features), expected, atol=1e-9 * max(scale, 1))


def test_prototypes_may_come_in_any_order():
    features, zero_shot, head = heads()
    order = np.array([2, 0, 1])
    shuffled = ZeroShotHead(zero_shot.prototypes[order], order)
    np.testing.assert_allclose(
        wise_ft(shuffled, head).decision_function(features),
        wise_ft(zero_shot, head).decision_function(features),
        atol=1e-9,
    )


def test_the_mix_with_the_best_worst_class_is_chosen():
    _, labels, _ = random_problem(1, num_classes=3)
    features, zero_shot, head = heads(seed=1)

    def worst_class(mixed):
        right = mixed.predict(features) == labels
        return min(right[labels == each].mean() for each in range(3))

    chosen = choose_wise_ft(zero_shot, head, features, labels)
    assert worst_class(chosen) == max(worst_class(wise_ft(zero_shot, head, mix)) for mix in MIXES)
    assert chosen.mix in MIXES
    with pytest.raises(DataError, match="no setting to choose from"):
        choose_wise_ft(zero_shot, head, features, labels, mixes=())


@pytest.mark.parametrize("mix", [-0.1, 1.1, float("nan")])
def test_a_mix_outside_0_to_1_is_one_clear_error(mix):
    _, zero_shot, head = heads()
    with pytest.raises(DataError, match="mix must be"):
        wise_ft(zero_shot, head, mix)


def test_heads_that_do_not_fit_are_one_clear_error():
    features, zero_shot, head = heads()
    with pytest.raises(DataError, match="train the head on the embeddings"):
        wise_ft(heads(2)[1], head)
    with pytest.raises(DataError, match="one prototype a class"):
        wise_ft(ZeroShotHead(np.eye(6)[:4], np.array([0, 1, 2, 2])), head)
    with pytest.raises(DataError, match="logit_scale"):
        wise_ft(zero_shot, head, logit_scale=0)
    with pytest.raises(DataError, match="width 6; got 5"):
        wise_ft(zero_shot, head).predict(features[:, :5])
