from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from clarify_widget.errors import DataError
from clarify_widget.evaluation import evaluate
from clarify_widget.methods.jtt import choose_jtt, identify_errors, train_jtt
from clarify_widget.training import train_head
from tests.training.worlds import random_problem, standardised


def by_scikit_learn(features, labels, l2, sample_weight=None):
    """Coefficients of the second class against the first under l2/2 ||W||^2 over two rows."""
    weights = np.ones(len(labels)) if sample_weight is None else sample_weight
    model = LogisticRegression(C=2 / l2, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    return model.fit(standardised(features), labels, sample_weight=weights / weights.sum())


@pytest.mark.parametrize("seed", range(3))
def test_both_stages_are_those_of_scikit_learn(seed):
    features, labels, _ = random_problem(seed, n=250)
    first = by_scikit_learn(features, labels, 1.0)
    wrong = first.predict(standardised(features)) != labels
    assert 0 < wrong.sum() < 250
    np.testing.assert_array_equal(identify_errors(features, labels, l2=1.0), wrong)
    second = by_scikit_learn(features, labels, 0.05, np.where(wrong, 30.0, 1.0))
    head = train_jtt(features, labels, upweight=30, identification_l2=1.0, l2=0.05)
    np.testing.assert_allclose(head.weights[:, 1] - head.weights[:, 0], second.coef_[0], atol=1e-4)
    np.testing.assert_allclose(head.bias[1] - head.bias[0], second.intercept_[0], atol=1e-4)


def test_without_upweighting_or_without_errors_it_is_erm():
    features, labels, _ = random_problem(0)
    erm = train_head(features, labels, l2=0.1)
    plain = train_jtt(features, labels, upweight=1, l2=0.1)
    np.testing.assert_allclose(plain.weights, erm.weights, atol=1e-6)
    clear = features.copy()
    clear[:, 0] = np.where(labels == 0, -50, 50)
    assert not identify_errors(clear, labels, l2=0.01).any()
    np.testing.assert_allclose(
        train_jtt(clear, labels, upweight=50, identification_l2=0.01).weights,
        train_head(clear, labels).weights,
        atol=1e-6,
    )


def test_upweighting_the_errors_lifts_the_group_that_a_shortcut_fails():
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=1000)
    with_shortcut = rng.random(1000) < 0.95
    shortcut = np.where(with_shortcut, labels, 1 - labels)
    features = rng.normal(size=(1000, 5))
    features[:, 0] += 1.2 * (2 * labels - 1)
    features[:, 1] += 4 * (2 * shortcut - 1)
    groups = 2 * labels + with_shortcut
    erm = train_head(features, labels, l2=0.1)
    jtt = train_jtt(features, labels, upweight=20, identification_l2=1, l2=0.1)
    before, after = (evaluate(head.predict(features), labels, groups).worst_group for head in (erm, jtt))
    assert after > before + 0.2


def test_settings_are_chosen_by_the_worst_class_of_validation():
    features, labels, _ = random_problem(1, n=300)
    val_features, val_labels, _ = random_problem(1, n=200)
    grid = {"upweights": (1.0, 10.0), "identification_l2s": (0.5, 2.0), "l2s": (0.01, 0.3)}
    found = choose_jtt(features, labels, val_features, val_labels, **grid)
    worst = {}
    for first in grid["identification_l2s"]:
        for l2 in grid["l2s"]:
            for upweight in grid["upweights"]:
                head = train_jtt(features, labels, upweight=upweight, identification_l2=first, l2=l2)
                right = head.predict(val_features) == val_labels
                worst[first, upweight, l2] = min(right[val_labels == label].mean() for label in (0, 1))
    assert len(found.trials) == len(worst)
    assert found.chosen.worst_cell == pytest.approx(max(worst.values()))
    chosen = found.chosen.settings
    assert worst[chosen["identification_l2"], chosen["upweight"], chosen["l2"]] == max(worst.values())
    again = choose_jtt(features, labels, val_features, val_labels, **grid)
    assert again.chosen == found.chosen
    np.testing.assert_array_equal(again.predict(val_features), found.head.predict(val_features))


@pytest.mark.parametrize("upweight", [0, 0.5, -1, float("nan"), float("inf")])
def test_an_impossible_upweight_is_one_clear_error(upweight):
    features, labels, _ = random_problem(0)
    with pytest.raises(DataError, match="upweight must be"):
        train_jtt(features, labels, upweight=upweight)


def test_an_empty_grid_is_one_clear_error():
    features, labels, _ = random_problem(0)
    with pytest.raises(DataError, match="no setting"):
        choose_jtt(features, labels, features, labels, upweights=())
