from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import ks_2samp
from sklearn.metrics import balanced_accuracy_score, roc_curve

from clarify_widget.concepts import error_score, separate
from clarify_widget.errors import DataError, ScoreError

tied = st.integers(-3, 3).map(float)
free = st.floats(-1, 1, width=32)


def kolmogorov_smirnov(wrong, correct):
    with warnings.catch_warnings():
        # SciPy tells when its exact p-value rounds to just above 1; ours must not.
        warnings.filterwarnings("ignore", "ks_2samp: Exact calculation unsuccessful", RuntimeWarning)
        return ks_2samp(wrong, correct)


def samples(elements):
    return arrays(np.float64, st.integers(1, 30), elements=elements)


@settings(max_examples=150, deadline=None)
@given(wrong=samples(tied) | samples(free), correct=samples(tied) | samples(free))
def test_score_is_the_two_sample_kolmogorov_smirnov_statistic(wrong, correct):
    expected = kolmogorov_smirnov(wrong, correct)
    found = error_score(wrong, correct)
    assert found.score == pytest.approx(expected.statistic, abs=1e-12)
    assert found.p_value == pytest.approx(expected.pvalue)


def random_case(seed):
    rng = np.random.default_rng(seed)
    n_wrong, n_correct = rng.integers(1, [4, 4] if seed % 5 == 0 else [80, 400])
    wrong, correct = rng.normal(rng.normal(), 1, n_wrong), rng.normal(0, 1, n_correct)
    if seed % 3 == 0:
        wrong, correct = np.round(wrong, 1), np.round(correct, 1)
    if seed % 7 == 0:
        wrong[:] = 0.3
    if seed % 11 == 0:
        correct[:] = 0.3
    dtype = np.float32 if seed % 2 else np.float64
    return wrong.astype(dtype), correct.astype(dtype)


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_score_and_p_value_match_scipy_and_roc_curve_on_random_cases(first):
    for seed in range(first, first + 100):
        wrong, correct = random_case(seed)
        found = error_score(wrong, correct)
        expected = kolmogorov_smirnov(wrong, correct)
        assert found.score == pytest.approx(expected.statistic, abs=1e-12)
        assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
        is_wrong = np.repeat([1, 0], [len(wrong), len(correct)])
        fpr, tpr, _ = roc_curve(is_wrong, np.concatenate([wrong, correct]), drop_intermediate=False)
        assert found.score == pytest.approx(np.abs(tpr - fpr).max(), abs=1e-12)


@pytest.mark.parametrize("shift", [0.0, 0.02, 0.5])
def test_p_value_matches_scipy_on_classes_too_large_for_the_exact_one(shift):
    rng = np.random.default_rng(0)
    wrong, correct = rng.normal(shift, size=3_000), rng.normal(size=12_000)
    expected = kolmogorov_smirnov(wrong, correct)
    assert error_score(wrong, correct).p_value == pytest.approx(expected.pvalue, rel=1e-9)


@pytest.mark.parametrize("seed", range(40))
def test_threshold_and_direction_reach_the_score_with_strict_comparison(seed):
    wrong, correct = random_case(seed)
    found = separate(wrong, correct)
    gap = np.mean(wrong > found.threshold) - np.mean(correct > found.threshold)
    assert found.direction * gap == pytest.approx(found.score, abs=1e-12)
    truth = np.repeat([True, False], [len(wrong), len(correct)])
    guess = np.concatenate([wrong, correct]) > found.threshold
    accuracy = balanced_accuracy_score(truth, guess if found.direction == 1 else ~guess)
    assert found.score == pytest.approx(2 * (accuracy - 0.5), abs=1e-12)


def test_threshold_is_midpoint_between_neighbouring_similarities():
    found = separate([0.5, 0.7], [0.1, 0.25])
    assert (found.score, found.threshold, found.direction) == (1.0, 0.375, 1)


def test_direction_is_negative_when_the_right_images_are_more_similar():
    assert separate([0.1, 0.2], [0.5, 0.7]).direction == -1


def test_score_is_unchanged_by_swapping_sides_and_direction_turns():
    wrong, correct = random_case(1)
    there, back = separate(wrong, correct), separate(correct, wrong)
    assert there.score == back.score
    assert there.direction == -back.direction


def test_equal_thresholds_choose_the_most_even_split():
    found = separate([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0])
    assert (found.score, found.threshold, found.direction) == (0.0, 2.5, 1)


def test_equal_gaps_of_both_signs_choose_the_one_with_wrong_images_above():
    found = separate([0.0, 3.0], [1.0, 2.0])
    assert (found.score, found.direction, found.threshold) == (0.5, 1, 2.5)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("low", [0.25, -0.25, 0.0, 1.0])
def test_threshold_separates_adjacent_floats_in_their_own_precision(dtype, low):
    lower = dtype(low)
    upper = np.nextafter(lower, dtype(2))
    found = separate(np.array([upper]), np.array([lower]))
    assert found.score == 1.0
    assert (np.array([lower, upper]) > found.threshold).tolist() == [False, True]


def test_one_outlier_does_not_change_the_score():
    rng = np.random.default_rng(0)
    wrong, correct = rng.normal(1, 1, 100), rng.normal(0, 1, 1000)
    correct[0] = correct.min()
    outlier = correct.copy()
    outlier[0] = -1e9
    assert separate(wrong, outlier) == separate(wrong, correct)


def test_all_similarities_equal_score_zero_at_that_value():
    found = error_score(np.full(5, 0.3), np.full(9, 0.3))
    assert (found.score, found.threshold, found.direction, found.p_value) == (0.0, 0.3, 1, 1.0)


def test_one_image_a_side_is_enough():
    found = error_score([0.9], [0.1])
    assert (found.score, found.threshold) == (1.0, 0.5)
    assert found.p_value == 1.0


@pytest.mark.parametrize(
    ("wrong", "correct", "missing"),
    [([], [0.1], "no wrong images"), ([0.1], [], "no correct images"), ([], [], "no wrong images")],
)
def test_an_empty_side_is_one_clear_error(wrong, correct, missing):
    with pytest.raises(ScoreError, match=missing):
        error_score(wrong, correct)


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ([np.nan, 0.1], "NaN"),
        ([np.inf], "infinity"),
        ([[0.1]], "1-D"),
        (0.1, "1-D"),
        (["a"], "numbers"),
        ([0.1 + 2j], "numbers"),
    ],
)
def test_unusable_similarities_are_one_clear_error(wrong, what):
    with pytest.raises(DataError, match=what):
        error_score(wrong, [0.1, 0.2])
    with pytest.raises(DataError, match=what):
        error_score([0.1, 0.2], wrong)


def test_inputs_are_left_as_they_were():
    wrong, correct = np.array([3.0, 1.0, 2.0]), np.array([9.0, 0.0])
    error_score(wrong, correct)
    assert wrong.tolist() == [3.0, 1.0, 2.0]
    assert correct.tolist() == [9.0, 0.0]


@pytest.mark.parametrize("seed", range(12))
def test_classes_with_many_wrong_images_stay_exact(seed):
    rng = np.random.default_rng(seed)
    wrong, correct = rng.normal([0.0, 0.3, -1.0][seed % 3], 1, 700), rng.normal(0, 1, 1500)
    if seed % 2:
        wrong, correct = np.round(wrong, 2), np.round(correct, 2)
    found = separate(wrong, correct)
    values = np.unique(np.concatenate([wrong, correct]))
    gaps = np.mean(wrong[:, None] > values, axis=0) - np.mean(correct[:, None] > values, axis=0)
    assert found.score == pytest.approx(np.abs(gaps).max(), abs=1e-12)
    gap = np.mean(wrong > found.threshold) - np.mean(correct > found.threshold)
    assert found.direction * gap == pytest.approx(found.score, abs=1e-12)


def test_large_classes_raise_no_warning_and_stay_exact():
    rng = np.random.default_rng(0)
    wrong, correct = rng.normal(0.02, 1, 3_000), rng.normal(0, 1, 30_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = error_score(wrong, correct)
    assert found.score == pytest.approx(kolmogorov_smirnov(wrong, correct).statistic, abs=1e-12)
