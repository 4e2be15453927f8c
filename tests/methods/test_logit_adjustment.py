from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp
from sklearn.linear_model import LogisticRegression

from clarify_widget.errors import CancelledError, DataError
from clarify_widget.methods.logit_adjustment import train_group_logit_adjustment
from clarify_widget.training import StandardisedFeatures, train_head
from tests.training.worlds import random_problem, standardised

CLASS_OF_CELL = np.array([0, 0, 1, 1])


def class_scores(logits, class_of_cell):
    classes = range(class_of_cell.max() + 1)
    return np.stack([logsumexp(logits[:, class_of_cell == each], axis=1) for each in classes], axis=1)


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("l2", [1e-3, 0.1])
def test_scores_are_scikit_learns_over_cells_less_the_log_shares(l2, tau):
    features, _, cells = random_problem(1)
    rows = standardised(features)
    model = LogisticRegression(C=1 / (l2 * len(rows)), tol=1e-10, max_iter=5000).fit(rows, cells)
    logits = model.decision_function(rows) - tau * np.log(np.bincount(cells) / len(cells))
    head = train_group_logit_adjustment(features, cells, CLASS_OF_CELL, l2=l2, tau=tau)
    found, expected = head.decision_function(features), class_scores(logits, CLASS_OF_CELL)
    np.testing.assert_allclose(np.diff(found), np.diff(expected), atol=2e-4)
    np.testing.assert_array_equal(head.predict(features), found.argmax(axis=1))


def adjusted_objective(parameters, rows, cells, offset, l2):
    columns = parameters.reshape(-1, len(offset))
    log_shares = log_softmax(rows @ columns[:-1] + columns[-1] + offset, axis=1)
    return -log_shares[np.arange(len(cells)), cells].mean() + l2 / 2 * np.sum(columns[:-1] ** 2)


def test_it_minimises_the_adjusted_cross_entropy_itself():
    features, _, cells = random_problem(2, n=120, d=3)
    rows, l2, tau = standardised(features), 0.05, 1.5
    offset = tau * np.log(np.bincount(cells) / len(cells))
    start = np.zeros((rows.shape[1] + 1) * 4)
    direct = minimize(adjusted_objective, start, args=(rows, cells, offset, l2), options={"gtol": 1e-7})
    head = train_group_logit_adjustment(features, cells, CLASS_OF_CELL, l2=l2, tau=tau)
    ours = np.vstack([head.cells.weights, head.cells.bias]).ravel()
    assert adjusted_objective(ours, rows, cells, offset, l2) <= direct.fun + 1e-9
    np.testing.assert_allclose(head.cells.weights.ravel(), direct.x[:-4], atol=1e-4)


def test_cells_of_equal_size_are_plain_training_on_cells():
    rng = np.random.default_rng(0)
    cells = np.repeat(np.arange(4), 40)
    features = rng.normal(size=(4, 5))[cells] + rng.normal(size=(160, 5))
    plain = train_head(features, cells, l2=0.02)
    head = train_group_logit_adjustment(features, cells, CLASS_OF_CELL, l2=0.02)
    np.testing.assert_allclose(
        head.cells.predict_proba(features), plain.predict_proba(features), rtol=1e-9, atol=1e-12
    )


def test_one_cell_a_class_and_tau_zero_is_erm():
    features, labels, _ = random_problem(3, num_classes=3)
    head = train_group_logit_adjustment(features, labels, [0, 1, 2], l2=0.02, tau=0)
    plain = train_head(features, labels, l2=0.02)
    np.testing.assert_allclose(head.decision_function(features), plain.decision_function(features), atol=1e-9)


def test_gaussian_groups_meet_the_boundary_of_equal_priors():
    rng = np.random.default_rng(0)
    sizes = np.array([9000, 100, 100, 9000])
    cells = np.repeat(np.arange(4), sizes)
    core, background = cells // 2 * 2 - 1, cells % 2 * 2 - 1
    clean = np.stack([core, 3 * background, 20 * np.ones(len(cells))], axis=1)
    features = clean + np.stack([*rng.normal(size=(2, len(cells))), np.zeros(len(cells))], axis=1)
    head = train_group_logit_adjustment(features, cells, CLASS_OF_CELL, l2=1e-5)
    erm = train_head(features, core > 0, l2=1e-5)

    def worst(predictions):
        return min(np.mean(predictions[cells == cell] == cell // 2) for cell in range(4))

    assert worst(head.predict(features)) > 0.78  # the best rule, sign(core), reaches 0.841
    assert worst(erm.predict(features)) < 0.6


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 99), tau=st.floats(0, 3))
def test_order_of_images_and_numbering_of_cells_do_not_matter(seed, tau):
    rng = np.random.default_rng(seed)
    features, _, cells = random_problem(seed % 10, n=80, d=3)
    order, renumbered = rng.permutation(len(cells)), rng.permutation(4)
    class_of_cell = np.empty(4, dtype=int)
    class_of_cell[renumbered] = CLASS_OF_CELL
    first = train_group_logit_adjustment(features, cells, CLASS_OF_CELL, l2=0.05, tau=tau)
    second = train_group_logit_adjustment(
        features[order], renumbered[cells[order]], class_of_cell, l2=0.05, tau=tau
    )
    np.testing.assert_allclose(
        second.decision_function(features), first.decision_function(features), atol=1e-4
    )


def test_features_may_be_standardised_before():
    features, _, cells = random_problem(0)
    plain = train_group_logit_adjustment(features, cells, CLASS_OF_CELL)
    prepared = train_group_logit_adjustment(StandardisedFeatures.of(features), cells, CLASS_OF_CELL)
    np.testing.assert_allclose(prepared.decision_function(features), plain.decision_function(features))


def test_scores_of_hopeless_classes_stay_finite_and_exact():
    features, _, cells = random_problem(0)
    head = train_group_logit_adjustment(features, cells, CLASS_OF_CELL)
    steep = replace(head, cells=replace(head.cells, weights=1e4 * head.cells.weights))
    expected = class_scores(steep.cells.decision_function(features), CLASS_OF_CELL)
    np.testing.assert_allclose(steep.decision_function(features), expected)


def test_starting_at_the_optimum_takes_next_to_no_iterations():
    features, _, cells = random_problem(0)
    first = train_group_logit_adjustment(features, cells, CLASS_OF_CELL, tau=1)
    warm = train_group_logit_adjustment(features, cells, CLASS_OF_CELL, tau=2, initial=first)
    assert warm.cells.report.iterations <= 2


def test_progress_is_reported_and_cancelling_stops():
    features, _, cells = random_problem(0)
    steps = []
    train_group_logit_adjustment(features, cells, CLASS_OF_CELL, progress=steps.append)
    assert [step.iteration for step in steps] == list(range(1, len(steps) + 1))
    with pytest.raises(CancelledError):
        train_group_logit_adjustment(features, cells, CLASS_OF_CELL, cancelled=lambda: True)


GOOD = {
    "features": np.random.default_rng(0).normal(size=(8, 2)),
    "cells": [0, 1, 2, 3] * 2,
    "class_of_cell": [0, 0, 1, 1],
}


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"cells": [0, 1, 2, 3]}, "8 rows of features for 4 labels"),
        ({"cells": [0, 1, 2, 4] * 2}, "cells go up to 4"),
        ({"cells": [0, 1, 2, 2] * 2}, r"none of \[3\]"),
        ({"cells": [], "features": np.ones((0, 2))}, "no images"),
        ({"cells": [0.5] * 8}, "whole numbers"),
        ({"class_of_cell": [0, 0, 0, 0]}, "two or more classes"),
        ({"class_of_cell": [0, 0, 2, 2]}, r"none of \[1\]"),
        ({"class_of_cell": [[0, 1]]}, "1-D"),
        ({"features": np.full((8, 2), np.nan)}, "NaN"),
        ({"tau": -1}, "tau must"),
        ({"tau": float("nan")}, "tau must"),
        ({"l2": 0}, "l2 must"),
    ],
)
def test_input_that_does_not_fit_is_one_clear_error(changed, what):
    with pytest.raises(DataError, match=what):
        train_group_logit_adjustment(**{**GOOD, **changed})


def test_a_start_with_other_cells_is_one_clear_error():
    start = train_group_logit_adjustment(**GOOD)
    with pytest.raises(DataError, match="initial has 4 cells"):
        train_group_logit_adjustment(GOOD["features"], [0, 1, 2, 2] * 2, [0, 1, 1], initial=start)
