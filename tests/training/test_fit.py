from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from clarify_widget.errors import CancelledError, DataError
from clarify_widget.training import OBJECTIVES, sample_weights, train_head
from tests.training.worlds import losses, penalty, random_problem, standardised, worst_mean


def sklearn_optimum(features, labels, weights, l2, num_classes):
    """The least weighted mean cross-entropy + l2/2 ||W||^2, by scikit-learn's own solver."""
    # One row of coefficients stands for two classes: half each in the two-row softmax, so half the penalty.
    strength = l2 / 2 if num_classes == 2 else l2
    model = LogisticRegression(C=1 / strength, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    rows = standardised(features)
    model.fit(rows, labels, sample_weight=weights / weights.sum())
    coefficients, intercept = model.coef_, model.intercept_
    if num_classes == 2:
        coefficients = np.vstack([-coefficients, coefficients]) / 2
        intercept = np.array([-intercept[0], intercept[0]]) / 2
    log_shares = log_softmax(rows @ coefficients.T + intercept, axis=1)
    mean_loss = -np.average(log_shares[np.arange(len(labels)), labels], weights=weights)
    return mean_loss + l2 / 2 * np.sum(coefficients**2)


@pytest.mark.parametrize("num_classes", [2, 3, 5])
@pytest.mark.parametrize("l2", [1e-3, 0.3])
@pytest.mark.parametrize("seed", [0, 1])
def test_erm_and_slice_balanced_reach_the_optimum_of_scikit_learn(seed, l2, num_classes):
    features, labels, groups = random_problem(seed, num_classes=num_classes)
    for objective, weights in {
        "erm": np.ones(len(labels)),
        "slice_balanced": sample_weights(labels, groups),
    }.items():
        head = train_head(features, labels, objective, slices=groups, l2=l2)
        optimum = sklearn_optimum(features, labels, weights, l2, num_classes)
        own = np.average(losses(head, features, labels), weights=weights) + penalty(head)
        assert head.report.objective_value == pytest.approx(own, rel=1e-9)
        assert own <= optimum * (1 + 1e-9)
        assert own >= optimum - head.report.duality_gap - 1e-12
        assert own == pytest.approx(optimum, rel=1e-6)


def test_sample_weight_is_taken_as_scikit_learn_takes_it():
    features, labels, _ = random_problem(3)
    weights = np.random.default_rng(0).exponential(size=len(labels))
    head = train_head(features, labels, l2=0.05, sample_weight=7 * weights)
    optimum = sklearn_optimum(features, labels, weights, 0.05, 2)
    assert head.report.objective_value == pytest.approx(optimum, rel=1e-6)


def convex_optimum(features, labels, cells, l2, num_classes):
    """The least worst-cell mean cross-entropy + penalty, by an interior-point solver."""
    rows = standardised(features)
    weights, bias = cp.Variable((rows.shape[1], num_classes)), cp.Variable((1, num_classes))
    logits = rows @ weights + np.ones((len(rows), 1)) @ bias
    each = cp.log_sum_exp(logits, axis=1) - cp.sum(cp.multiply(logits, np.eye(num_classes)[labels]), axis=1)
    means = [cp.sum(each[np.flatnonzero(cells == cell)]) / np.sum(cells == cell) for cell in np.unique(cells)]
    problem = cp.Problem(cp.Minimize(cp.max(cp.hstack(means)) + l2 / 2 * cp.sum_squares(weights)))
    return problem.solve(solver=cp.CLARABEL)


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("objective", ["worst_slice", "worst_class", "group_dro"])
def test_worst_cell_objectives_reach_the_optimum_of_an_independent_convex_solver(objective, num_classes):
    features, labels, groups = random_problem(num_classes, n=70, d=4, num_classes=num_classes)
    cells = labels if objective == "worst_class" else groups
    head = train_head(features, labels, objective, slices=groups, groups=groups, l2=0.02)
    optimum = convex_optimum(features, labels, cells, 0.02, num_classes)
    own = worst_mean(losses(head, features, labels), cells) + penalty(head)
    assert own == pytest.approx(optimum, rel=1e-5)
    assert own == pytest.approx(head.report.objective_value, rel=1e-9)
    assert 0 <= head.report.duality_gap <= 1e-5 * own


def test_a_class_without_slices_is_one_cell_of_worst_slice():
    features, labels, groups = random_problem(5, n=90, d=3, num_classes=3)
    slices = np.where(labels == 0, groups, -1)
    head = train_head(features, labels, "worst_slice", slices=slices, l2=0.05)
    cells = np.where(labels == 0, groups, 10 + labels)
    assert head.report.objective_value == pytest.approx(
        convex_optimum(features, labels, cells, 0.05, 3), rel=1e-5
    )


@pytest.mark.parametrize("seed", range(6))
def test_worst_cells_of_very_different_sizes_and_difficulty_still_converge(seed):
    rng = np.random.default_rng(seed)
    features, labels, _ = random_problem(seed, n=600, d=10)
    cells = 2 * labels + (rng.random(600) < 0.01 + 0.1 * (labels == 1))
    cells[:4], labels[:4] = [0, 1, 2, 3], [0, 0, 1, 1]
    report = train_head(features, labels, "group_dro", groups=cells, l2=10.0 ** rng.integers(-4, 1)).report
    assert report.duality_gap <= 1e-5 * report.objective_value


def test_reweighted_objectives_are_erm_with_their_weights():
    features, labels, groups = random_problem(7)
    for objective, cells in {"class_balanced": labels, "dfr": groups}.items():
        weights = 1 / np.bincount(cells)[cells]
        direct = train_head(features, labels, sample_weight=weights)
        named = train_head(features, labels, objective, groups=groups)
        np.testing.assert_allclose(named.weights, direct.weights, atol=1e-6)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_gives_the_same_head_twice_and_from_another_start(objective):
    features, labels, groups = random_problem(2, num_classes=3)
    first = train_head(features, labels, objective, slices=groups, groups=groups)
    again = train_head(features, labels, objective, slices=groups, groups=groups)
    np.testing.assert_array_equal(first.weights, again.weights)
    warm = train_head(features, labels, objective, slices=groups, groups=groups, initial=first)
    value = first.report.objective_value
    assert warm.report.objective_value == pytest.approx(value, rel=2e-6)
    assert first.report.stopped_because


def test_starting_at_the_optimum_takes_next_to_no_iterations():
    features, labels, _ = random_problem(2)
    first = train_head(features, labels)
    assert train_head(features, labels, initial=first).report.iterations <= 2


def test_order_of_images_does_not_matter():
    features, labels, groups = random_problem(4)
    order = np.random.default_rng(0).permutation(len(labels))
    head = train_head(features, labels, "slice_balanced", slices=groups)
    shuffled = train_head(features[order], labels[order], "slice_balanced", slices=groups[order])
    np.testing.assert_allclose(shuffled.weights, head.weights, atol=1e-6)


def test_constant_columns_and_rows_of_zeros_are_harmless():
    features, labels, _ = random_problem(0)
    features = np.hstack([features, np.zeros((len(features), 1))])
    features[5] = 0
    head = train_head(features, labels)
    assert head.scale[-1] == 1
    assert np.isfinite(head.predict_proba(features)).all()


def test_progress_rises_to_the_end_and_counts_iterations():
    features, labels, groups = random_problem(0)
    for objective in ("erm", "group_dro"):
        steps = []
        head = train_head(features, labels, objective, groups=groups, progress=steps.append)
        fractions = [step.fraction for step in steps]
        assert fractions == sorted(fractions)
        assert 0 <= fractions[0] < 0.5 < fractions[-1] <= 1
        assert [step.iteration for step in steps] == list(range(1, head.report.iterations + 1))


@pytest.mark.parametrize("objective", ["erm", "worst_class"])
def test_cancelling_stops_between_iterations(objective):
    features, labels, _ = random_problem(0)
    asked = []

    def cancelled():
        asked.append(True)
        return len(asked) == 3

    with pytest.raises(CancelledError):
        train_head(features, labels, objective, cancelled=cancelled)
    assert len(asked) == 3


def test_single_precision_solving_reaches_the_same_optimum(monkeypatch):
    features, labels, _ = random_problem(0, n=500, d=20)
    exact = train_head(features, labels).report.objective_value
    monkeypatch.setattr("clarify_widget.training.rows.DOUBLE_PRECISION_LIMIT", 0)
    assert train_head(features, labels).report.objective_value == pytest.approx(exact, rel=1e-6)


GOOD = {"features": np.random.default_rng(0).normal(size=(6, 2)), "labels": [0, 1, 0, 1, 0, 1]}


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"labels": [0, 1]}, "6 rows of features for 2 labels"),
        ({"labels": [0, 1, 0, 1, 0, 3]}, r"none of \[2\]"),
        ({"labels": [1, 2, 1, 2, 1, 2]}, r"none of \[0\]"),
        ({"labels": [0] * 6}, "at least two classes"),
        ({"labels": [0, 1, 0, 1, 0, -1]}, "lowest is -1"),
        ({"labels": ["a", "b"] * 3}, "class indices"),
        ({"num_classes": 3}, r"none of \[2\]"),
        ({"features": np.full((6, 2), np.nan)}, "NaN"),
        ({"features": np.ones(6)}, "2-D"),
        ({"features": np.ones((0, 2)), "labels": []}, "no images"),
        ({"objective": "magic"}, "choose one of"),
        ({"objective": "slice_balanced"}, "needs slices="),
        ({"objective": "group_dro"}, "needs groups="),
        ({"objective": "dfr", "groups": [0, 1]}, "2 entries for 6 labels"),
        ({"l2": 0}, "l2 must be"),
        ({"l2": float("nan")}, "l2 must be"),
        ({"sample_weight": [1, 2]}, "shape"),
        ({"sample_weight": [1, -1, 1, 1, 1, 1]}, "not negative"),
        ({"sample_weight": [1, 0, 1, 0, 1, 0]}, "without any weight"),
        ({"sample_weight": [1] * 6, "objective": "class_balanced"}, "makes its own weights"),
    ],
)
def test_input_that_does_not_fit_is_one_clear_error(changed, what):
    with pytest.raises(DataError, match=what):
        train_head(**{**GOOD, **changed})


def test_a_start_of_another_shape_is_one_clear_error():
    start = train_head(**GOOD)
    with pytest.raises(DataError, match="initial"):
        train_head(np.ones((4, 3)) * np.arange(4)[:, None], [0, 1, 0, 1], initial=start)
