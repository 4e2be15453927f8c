from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, t

from clarify_widget.errors import DataError
from clarify_widget.evaluation import mean_interval, paired_test, wilson_interval


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 5000), share=st.floats(0, 1), confidence=st.sampled_from([0.8, 0.95, 0.99]))
def test_interval_solves_wilsons_quadratic(size, share, confidence):
    """At each end the observed share is z standard errors away, with the error of that end."""
    from statistics import NormalDist

    correct = round(share * size)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    for end in wilson_interval(correct, size, confidence):
        distance = (correct / size - end) ** 2
        assert distance == pytest.approx(z**2 * end * (1 - end) / size, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 5000), share=st.floats(0, 1), confidence=st.sampled_from([0.8, 0.95, 0.99]))
def test_interval_is_scipys(size, share, confidence):
    correct = round(share * size)
    oracle = binomtest(correct, size).proportion_ci(confidence, method="wilson")
    assert wilson_interval(correct, size, confidence) == pytest.approx(tuple(oracle), abs=1e-12)


def test_interval_of_all_right_ends_at_one_and_of_none_starts_at_zero():
    assert wilson_interval(7, 7)[1] == pytest.approx(1)
    assert wilson_interval(0, 7)[0] == pytest.approx(0)


def test_interval_of_no_images_is_unknown():
    assert all(math.isnan(end) for end in wilson_interval(0, 0))


@pytest.mark.parametrize(("correct", "size"), [(3, 2), (-1, 2), (0, -1)])
def test_impossible_counts_are_one_clear_error(correct, size):
    with pytest.raises(DataError, match="impossible"):
        wilson_interval(correct, size)


@pytest.mark.parametrize(("fixed", "broken"), [(0, 0), (1, 0), (3, 9), (9, 3), (40, 5), (6, 6)])
def test_paired_test_is_exact_mcnemar(fixed, broken):
    before = np.array([False] * fixed + [True] * broken + [True, True, False])
    after = np.array([True] * fixed + [False] * broken + [True, True, False])
    changed = fixed + broken
    tail = sum(math.comb(changed, k) for k in range(min(fixed, broken) + 1)) / 2**changed
    found = paired_test(before, after)
    assert (found.fixed, found.broken) == (fixed, broken)
    assert found.p_value == pytest.approx(min(2 * tail, 1.0))


def test_paired_test_of_different_images_is_one_clear_error():
    with pytest.raises(DataError, match="same images"):
        paired_test([True, False], [True])


@settings(max_examples=40, deadline=None)
@given(runs=st.lists(st.floats(0, 1), min_size=2, max_size=8), confidence=st.sampled_from([0.8, 0.95]))
def test_interval_of_a_mean_is_students(runs, confidence):
    error = np.std(runs, ddof=1) / np.sqrt(len(runs))
    expected = t.interval(confidence, len(runs) - 1, loc=np.mean(runs), scale=max(error, 1e-12))
    assert mean_interval(runs, confidence) == pytest.approx(expected, abs=1e-9)


def test_one_run_has_no_interval_and_nan_is_one_clear_error():
    assert all(math.isnan(end) for end in mean_interval([0.5]))
    with pytest.raises(DataError, match="finite"):
        mean_interval([0.5, math.nan])
