from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from clarify_widget.datasets.splitting import stratified_split
from clarify_widget.errors import DataError
from clarify_widget.methods.afr import choose_afr, reweighting, train_afr
from clarify_widget.training import train_head
from tests.training.worlds import random_problem


def stages(features, labels, l2, seed=0):
    """The first head, and the rows and labels of the fifth that it has not seen."""
    unseen = stratified_split(labels, val_fraction=0.2, test_fraction=0, seed=seed) == 1
    first = train_head(features[~unseen], labels[~unseen], l2=l2)
    unit = features[unseen] / np.linalg.norm(features[unseen], axis=1, keepdims=True)
    return first, (unit - first.mean) / first.scale, labels[unseen]


def published_weights(first, rows, labels, gamma):
    probabilities = softmax(rows @ first.weights + first.bias, axis=1)[np.arange(len(labels)), labels]
    weights = np.array(
        [np.exp(-gamma * p) / np.sum(labels == y) for p, y in zip(probabilities, labels, strict=True)]
    )
    return weights / weights.sum()


def objective(weights, bias, first, rows, labels, mu, strength):
    losses = -log_softmax(rows @ weights + bias, axis=1)[np.arange(len(labels)), labels]
    away = np.sum((weights - first.weights) ** 2) + np.sum((bias - first.bias) ** 2)
    return mu @ losses + strength * away


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize(("gamma", "strength"), [(0.0, 0.1), (4.0, 0.01), (20.0, 1.0)])
def test_second_stage_is_the_minimum_that_an_interior_point_solver_finds(gamma, strength, num_classes):
    features, labels, _ = random_problem(num_classes, n=300, d=4, num_classes=num_classes)
    first, rows, truth = stages(features, labels, 0.1)
    mu = published_weights(first, rows, truth, gamma)
    weights, bias = cp.Variable(first.weights.shape), cp.Variable((1, num_classes))
    logits = rows @ weights + np.ones((len(rows), 1)) @ bias
    losses = cp.log_sum_exp(logits, axis=1) - cp.sum(cp.multiply(logits, np.eye(num_classes)[truth]), axis=1)
    away = cp.sum_squares(weights - first.weights) + cp.sum_squares(bias - first.bias[None])
    optimum = cp.Problem(cp.Minimize(mu @ losses + strength * away)).solve(solver=cp.CLARABEL)

    head = train_afr(features, labels, gamma=gamma, strength=strength, l2=0.1)
    own = objective(head.weights, head.bias, first, rows, truth, mu, strength)
    assert own == pytest.approx(optimum, rel=1e-6)
    assert head.report.objective_value == pytest.approx(own, rel=1e-9)
    assert head.report.duality_gap <= 1e-9 * own


def test_second_stage_is_the_minimum_that_a_general_optimiser_finds():
    features, labels, _ = random_problem(5, n=200, d=3)
    first, rows, truth = stages(features, labels, 0.05, seed=3)
    mu = published_weights(first, rows, truth, 2.0)

    def flat(parameters):
        table = parameters.reshape(-1, 2)
        return objective(table[:-1], table[-1], first, rows, truth, mu, 0.05)

    found = minimize(flat, np.zeros(8), method="BFGS", options={"gtol": 1e-7})
    head = train_afr(features, labels, gamma=2.0, strength=0.05, l2=0.05, seed=3)
    np.testing.assert_allclose(np.vstack([head.weights, head.bias]).ravel(), found.x, atol=1e-4)


def test_weights_follow_the_formula_and_classes_without_emphasis_are_balanced():
    labels = np.array([0, 0, 0, 1])
    weights = reweighting([0.9, 0.5, 0.1, 0.5], labels, 3.0)
    raw = np.exp([-2.7, -1.5, -0.3, -1.5]) / [3, 3, 3, 1]
    np.testing.assert_allclose(weights, raw / raw.sum())
    np.testing.assert_allclose(reweighting([0.9, 0.5, 0.1, 0.5], labels, 0), [1 / 6, 1 / 6, 1 / 6, 1 / 2])


def test_a_dear_distance_keeps_the_first_head():
    features, labels, _ = random_problem(1)
    first, _, _ = stages(features, labels, 0.1)
    head = train_afr(features, labels, strength=1e6, l2=0.1)
    np.testing.assert_allclose(head.weights, first.weights, atol=1e-5)
    np.testing.assert_array_equal(head.mean, first.mean)


def test_the_seed_decides_the_split_and_is_recorded():
    features, labels, _ = random_problem(1)
    first, again, other = (train_afr(features, labels, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.weights, again.weights)
    assert np.abs(first.weights - other.weights).max() > 1e-4
    assert "seed 1" in other.report.stopped_because


def test_settings_are_chosen_by_the_worst_class_of_validation():
    features, labels, _ = random_problem(1, n=300)
    val_features, val_labels, _ = random_problem(1, n=200)
    grid = {"gammas": (1.0, 8.0), "strengths": (0.01, 1.0), "l2s": (0.01, 0.3)}
    found = choose_afr(features, labels, val_features, val_labels, **grid)
    worst = {}
    for gamma in grid["gammas"]:
        for strength in grid["strengths"]:
            for l2 in grid["l2s"]:
                head = train_afr(features, labels, gamma=gamma, strength=strength, l2=l2)
                right = head.predict(val_features) == val_labels
                worst[gamma, strength, l2] = min(right[val_labels == label].mean() for label in (0, 1))
    assert len(found.trials) == len(worst)
    assert found.chosen.worst_cell == pytest.approx(max(worst.values()))
    chosen = found.chosen.settings
    assert worst[chosen["gamma"], chosen["strength"], chosen["l2"]] == max(worst.values())


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"gamma": -1}, "gamma must be"),
        ({"gamma": float("nan")}, "gamma must be"),
        ({"strength": 0}, "strength must be"),
        ({"strength": float("inf")}, "strength must be"),
        ({"labels": [0, 1]}, "one label a row"),
        ({"labels": [0] * 11 + [1]}, "class 1 has only one"),
        ({"labels": [0] * 12}, "at least two classes"),
        ({"l2": 0}, "l2 must be"),
    ],
)
def test_input_that_does_not_fit_is_one_clear_error(changed, what):
    good = {"features": np.random.default_rng(0).normal(size=(12, 2)), "labels": [0, 1] * 6}
    with pytest.raises(DataError, match=what):
        train_afr(**{**good, **changed})
