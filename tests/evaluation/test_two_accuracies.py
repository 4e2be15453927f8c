"""Intervals, exact tests and corrections of many pairs at once, against scipy and statsmodels one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

from clarify_widget.errors import DataError
from clarify_widget.evaluation import fisher_p_values, holm, newcombe_interval

side = st.integers(1, 60).flatmap(lambda size: st.tuples(st.integers(0, size), st.just(size)))
pairs = st.lists(st.tuples(side, side), min_size=1, max_size=8)


def columns(drawn):
    return np.array([(*first, *second) for first, second in drawn]).T


@settings(max_examples=50, deadline=None)
@given(pairs, st.sampled_from([0.8, 0.95, 0.99]))
def test_newcombe_interval_is_that_of_statsmodels(drawn, confidence):
    low, high = newcombe_interval(*columns(drawn), confidence)
    for i, (first, second) in enumerate(drawn):
        expected = confint_proportions_2indep(
            *first, *second, compare="diff", method="newcomb", alpha=1 - confidence
        )
        np.testing.assert_allclose((low[i], high[i]), np.clip(expected, -1, 1), atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(pairs)
def test_p_values_are_twice_the_smaller_one_sided_fisher_p(drawn):
    found = fisher_p_values(*columns(drawn))
    for p_value, ((right, size), (other_right, other_size)) in zip(found, drawn, strict=True):
        table = [[right, size - right], [other_right, other_size - other_right]]
        one_sided = [fisher_exact(table, alternative=kind).pvalue for kind in ("less", "greater")]
        assert p_value == pytest.approx(min(1, 2 * min(one_sided)), rel=1e-9)


@settings(max_examples=10, deadline=None)  # statsmodels takes a tenth of a second
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_is_that_of_statsmodels(p_values):
    np.testing.assert_allclose(holm(p_values), multipletests(p_values, method="holm")[1], atol=1e-12)


def test_false_alarms_are_no_more_often_than_stated_and_intervals_cover():
    rng = np.random.default_rng(0)
    share = rng.uniform(0.5, 0.99, 4000)
    sizes = rng.integers(10, 200, (2, 4000))
    right = rng.binomial(sizes, share)
    counts = right[0], sizes[0], right[1], sizes[1]
    assert (fisher_p_values(*counts) <= 0.05).mean() <= 0.05
    low, high = newcombe_interval(*counts)
    assert 0.94 < ((low <= 0) & (high >= 0)).mean() < 0.98


@pytest.mark.parametrize("counts", [(3, 2, 1, 4), (-1, 2, 1, 4), (1, 2, 0, 0)])
def test_impossible_counts_are_one_clear_error(counts):
    for function in (newcombe_interval, fisher_p_values):
        with pytest.raises(DataError, match="how many images are right"):
            function(*counts)


def test_p_values_beyond_one_are_one_clear_error():
    with pytest.raises(DataError, match=r"0\.\.1"):
        holm([0.5, 1.5])
