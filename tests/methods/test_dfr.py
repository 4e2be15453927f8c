from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from clarify_widget.errors import DataError
from clarify_widget.methods.dfr import subsample, train_dfr, upsample_counts
from clarify_widget.training import train_head
from tests.training.worlds import random_problem, standardised

VARIANTS = ("subsample", "upsample", "reweight")


def by_scikit_learn(rows, labels, l2):
    """Coefficients and intercept of two classes under the mean cross-entropy + l2/2 ||W||^2."""
    model = LogisticRegression(C=2 / (l2 * len(labels)), solver="newton-cholesky", tol=1e-10, max_iter=1000)
    model.fit(rows, labels)
    return np.append(model.coef_[0], model.intercept_[0])


def difference(head):
    return np.append(head.weights[:, 1] - head.weights[:, 0], head.bias[1] - head.bias[0])


def test_subsampled_heads_are_scikit_learns_on_the_drawn_rows_averaged():
    features, labels, groups = random_problem(0, n=300)
    rows, rng = standardised(features), np.random.default_rng(7)
    fits = []
    for _ in range(4):
        drawn = subsample(groups, rng)
        assert np.bincount(groups[drawn]).tolist() == [np.bincount(groups).min()] * 4
        fits.append(by_scikit_learn(rows[drawn], labels[drawn], 0.1))
    head = train_dfr(features, labels, groups, "subsample", l2=0.1, draws=4, seed=7)
    np.testing.assert_allclose(difference(head), np.mean(fits, axis=0), atol=1e-4)
    assert "4 draws (seed 7)" in head.report.stopped_because


def test_the_upsampled_head_is_scikit_learns_on_the_repeated_rows():
    features, labels, groups = random_problem(1, n=300)
    counts = upsample_counts(groups, np.random.default_rng(0)).astype(int)
    repeated = np.repeat(np.arange(300), counts)
    head = train_dfr(features, labels, groups, "upsample", l2=0.1)
    expected = by_scikit_learn(standardised(features)[repeated], labels[repeated], 0.1)
    np.testing.assert_allclose(difference(head), expected, atol=1e-4)


def test_the_reweighted_head_is_that_of_the_objective():
    features, labels, groups = random_problem(2)
    head = train_dfr(features, labels, groups, "reweight", l2=0.1)
    np.testing.assert_array_equal(
        head.weights, train_head(features, labels, "dfr", groups=groups, l2=0.1).weights
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_groups_of_one_size_make_it_erm(variant):
    features, labels, _ = random_problem(3, n=200)
    order = np.argsort(labels, kind="stable")
    features, labels = features[order][:160], np.repeat([0, 1], 80)
    groups = np.repeat([0, 1, 2, 3], 40)
    erm = train_head(features, labels, l2=0.1)
    head = train_dfr(features, labels, groups, variant, l2=0.1, draws=3)
    np.testing.assert_allclose(head.weights, erm.weights, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(groups=st.lists(st.sampled_from([0, 1, 3, 7]), min_size=1, max_size=60), seed=st.integers(0, 99))
def test_draws_make_all_groups_as_large_as_the_smallest_or_the_largest(groups, seed):
    cells, rng = np.array(groups), np.random.default_rng(seed)
    sizes = np.bincount(cells)[np.unique(cells)]
    fewer, more = subsample(cells, rng), upsample_counts(cells, rng)
    for cell in np.unique(cells):
        assert np.sum(cells[fewer] == cell) == sizes.min()
        assert more[cells == cell].sum() == sizes.max()
        assert np.ptp(more[cells == cell]) <= 1
    assert len(set(fewer)) == len(fewer)
    assert more.min() >= 1


def test_the_seed_decides_what_is_drawn():
    features, labels, groups = random_problem(0)
    first, again, other = (train_dfr(features, labels, groups, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.weights, again.weights)
    assert np.abs(first.weights - other.weights).max() > 1e-4


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"variant": "magic"}, "variant must be"),
        ({"draws": 0}, "draws must be"),
        ({"groups": [0, 1]}, "2 entries"),
        ({"groups": [-1] * 12}, "lowest is -1"),
        ({"labels": [0] * 12}, "at least two classes"),
        ({"l2": -1}, "l2 must be"),
    ],
)
def test_input_that_does_not_fit_is_one_clear_error(changed, what):
    good = {
        "features": np.random.default_rng(0).normal(size=(12, 2)),
        "labels": [0, 1] * 6,
        "groups": [0, 1, 2, 3] * 3,
    }
    with pytest.raises(DataError, match=what):
        train_dfr(**{**good, **changed})
