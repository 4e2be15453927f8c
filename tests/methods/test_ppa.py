from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import null_space
from scipy.special import logsumexp
from scipy.stats import ortho_group
from sklearn.linear_model import LogisticRegression

from clarify_widget.errors import CancelledError, DataError
from clarify_widget.methods.ppa import choose_ppa, infer_pseudo_groups, train_ppa
from clarify_widget.training import train_head
from tests.training.worlds import standardised


def planted(seed=0, sizes=(400, 40, 40, 400), d=6):
    """Axis 0 is the class, axis 1 a background that mostly goes with it; everything else is noise."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(4), sizes)
    labels, background = groups // 2, groups % 2
    rows = rng.normal(size=(len(groups), d))
    rows[:, 0] += 2.5 * (2 * labels - 1)
    rows[:, 1] = 0.3 * rows[:, 1] + 2 * (2 * background - 1)
    rows[:, -1] = 6  # unit rows keep the signs
    return rows, labels, groups


CLASS_NAMES = np.eye(6)[:1]


def worst(predictions, labels, groups):
    return min(np.mean((predictions == labels)[groups == group]) for group in range(4))


def test_the_pseudo_groups_are_the_planted_groups():
    rows, labels, groups = planted()
    head = train_ppa(rows, rows, labels, CLASS_NAMES, probe_l2=1.0)
    minority = np.isin(groups, [1, 2])
    np.testing.assert_array_equal(head.pseudo_groups, 2 * labels + minority)


@pytest.mark.parametrize("aggregate", ["scores", "weights"])
def test_it_comes_close_to_a_head_that_knows_the_groups(aggregate):
    rows, labels, groups = planted(sizes=(2000, 60, 60, 2000))
    test_rows, test_labels, test_groups = planted(seed=1)
    ppa = train_ppa(rows, rows, labels, CLASS_NAMES, probe_l2=1.0, aggregate=aggregate)
    oracle = train_head(rows, labels, "dfr", groups=groups)
    erm = train_head(rows, labels, l2=0.3)
    reached, best, start = (
        worst(each.predict(test_rows), test_labels, test_groups) for each in (ppa, oracle, erm)
    )
    assert reached >= best - 0.04
    assert reached > start + 0.05


def test_every_step_is_scikit_learns():
    rng = np.random.default_rng(3)
    rows, labels, _ = planted(3, sizes=(60, 20, 10, 40))
    embeddings, names = rows @ rng.normal(size=(6, 5)), rng.normal(size=(2, 5))
    kept = null_space(names)
    projected = standardised(embeddings @ kept @ kept.T)
    biased = LogisticRegression(C=2 / (0.1 * len(rows)), tol=1e-10, max_iter=5000).fit(projected, labels)
    scores = biased.decision_function(projected) - np.log(labels.mean() / (1 - labels.mean()))
    pseudo_groups = 2 * labels + ((scores > 0) != labels)
    head = train_ppa(rows, embeddings, labels, names, l2=0.05, tau=1.5, probe_l2=0.1)
    np.testing.assert_array_equal(head.pseudo_groups, pseudo_groups)

    features = standardised(rows)
    model = LogisticRegression(C=1 / (0.05 * len(rows)), tol=1e-10, max_iter=5000)
    model.fit(features, pseudo_groups)
    shares = np.bincount(pseudo_groups) / len(rows)
    logits = model.decision_function(features) - 1.5 * np.log(shares)
    expected = logsumexp(logits[:, 2:], axis=1) - logsumexp(logits[:, :2], axis=1)
    found = np.diff(head.decision_function(rows))[:, 0]
    np.testing.assert_allclose(found, expected, atol=1e-3)
    in_weights = train_ppa(
        rows, embeddings, labels, names, l2=0.05, tau=1.5, probe_l2=0.1, aggregate="weights"
    )
    expected = logits[:, 2:].mean(axis=1) - logits[:, :2].mean(axis=1)
    np.testing.assert_allclose(np.diff(in_weights.decision_function(rows))[:, 0], expected, atol=1e-3)


def test_a_probe_without_mistakes_leaves_one_pseudo_group_a_class():
    rows, labels, _ = planted(sizes=(50, 0, 0, 50))
    rows[:, 1] *= 5
    head = train_ppa(rows, rows, labels, CLASS_NAMES)
    np.testing.assert_array_equal(head.pseudo_groups, 2 * labels)
    np.testing.assert_array_equal(head.predict(rows), labels)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 99))
def test_order_of_images_and_order_and_span_of_names_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    rows, labels, _ = planted(seed % 5, sizes=(60, 20, 20, 60))
    names = rng.normal(size=(2, 6))
    order = rng.permutation(len(labels))
    plain = train_ppa(rows, rows, labels, names, l2=0.1, probe_l2=1.0)
    same_span = np.vstack([names[::-1] * 3, names.sum(axis=0)])
    moved = train_ppa(rows[order], rows[order], labels[order], same_span, l2=0.1, probe_l2=1.0)
    np.testing.assert_array_equal(moved.pseudo_groups, plain.pseudo_groups[order])
    np.testing.assert_allclose(moved.decision_function(rows), plain.decision_function(rows), atol=1e-4)


def test_three_classes_have_six_pseudo_groups_at_most():
    rng = np.random.default_rng(0)
    labels = np.arange(150) % 3
    rows = rng.normal(size=(150, 5)) + 2 * ortho_group.rvs(5, random_state=0)[labels]
    head = train_ppa(rows, rows, labels, rng.normal(size=(3, 5)))
    np.testing.assert_array_equal(head.pseudo_groups // 2, labels)
    assert head.decision_function(rows).shape == (150, 3)


def test_the_penalties_with_the_best_worst_class_on_validation_are_chosen():
    rows, labels, _ = planted(sizes=(200, 40, 20, 300))
    val_rows, val_labels, _ = planted(seed=1, sizes=(50, 50, 50, 50))
    probe_l2s, l2s = (0.01, 1.0), (0.01, 3.0)
    chosen = choose_ppa(rows, rows, labels, CLASS_NAMES, val_rows, val_labels, probe_l2s=probe_l2s, l2s=l2s)

    def worst_class(head):
        right = head.predict(val_rows) == val_labels
        return min(right[val_labels == each].mean() for each in (0, 1))

    every = [
        worst_class(train_ppa(rows, rows, labels, CLASS_NAMES, probe_l2=probe_l2, l2=l2))
        for probe_l2 in probe_l2s
        for l2 in l2s
    ]
    assert worst_class(chosen) == max(every)
    with pytest.raises(DataError, match="no setting to choose from"):
        choose_ppa(rows, rows, labels, CLASS_NAMES, val_rows, val_labels, l2s=())


def test_pseudo_groups_can_be_had_alone():
    rows, labels, _ = planted(sizes=(60, 20, 20, 60))
    alone = infer_pseudo_groups(rows, labels, CLASS_NAMES, l2=1.0)
    np.testing.assert_array_equal(
        alone, train_ppa(rows, rows, labels, CLASS_NAMES, probe_l2=1.0).pseudo_groups
    )


def test_progress_runs_once_from_start_to_end_and_cancelling_stops():
    rows, labels, _ = planted(sizes=(60, 20, 20, 60))
    steps = []
    train_ppa(rows, rows, labels, CLASS_NAMES, progress=steps.append)
    fractions = [step.fraction for step in steps]
    assert fractions == sorted(fractions)
    assert fractions[0] < 0.5 < fractions[-1] <= 1
    with pytest.raises(CancelledError):
        train_ppa(rows, rows, labels, CLASS_NAMES, cancelled=lambda: True)


GOOD = {
    "features": np.random.default_rng(0).normal(size=(8, 3)),
    "embeddings": np.random.default_rng(1).normal(size=(8, 4)),
    "labels": [0, 1] * 4,
    "class_name_embeddings": np.eye(4)[:2],
}


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"labels": [0, 1]}, "8 rows for 2 labels"),
        ({"labels": [0] * 8}, "two or more classes"),
        ({"labels": [0, 2] * 4}, r"none of \[1\]"),
        ({"embeddings": np.ones((7, 4))}, "embeddings has 7 rows for 8"),
        ({"class_name_embeddings": np.ones((2, 3))}, "width 3 and embeddings 4"),
        ({"class_name_embeddings": np.zeros((2, 4))}, "zeros"),
        ({"features": np.full((8, 3), np.nan)}, "NaN"),
        ({"tau": -1}, "tau must"),
        ({"l2": 0}, "l2 must"),
        ({"probe_l2": 0}, "l2 must"),
        ({"aggregate": "sum"}, "aggregate must"),
        ({"labels": [], "features": np.ones((0, 3)), "embeddings": np.ones((0, 4))}, "no images"),
    ],
)
def test_input_that_does_not_fit_is_one_clear_error(changed, what):
    with pytest.raises(DataError, match=what):
        train_ppa(**{**GOOD, **changed})
