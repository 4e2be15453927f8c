from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp, permutation_test

from clarify_widget.concepts import separate
from clarify_widget.concepts.significance import best_of_random
from clarify_widget.errors import DataError, ScoreError


def class_of(seed, phrases=5, images=60, *, share_wrong=0.4, decimals=None):
    rng = np.random.default_rng(seed)
    similar = rng.normal(size=(phrases, images))
    correct = rng.random(images) > share_wrong
    correct[:2] = [True, False]
    return similar if decimals is None else np.round(similar, decimals), correct


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), decimals=st.sampled_from([None, 0, 1]), images=st.integers(4, 80))
def test_scores_are_the_error_scores_of_each_phrase(seed, decimals, images):
    similar, correct = class_of(seed, images=images, decimals=decimals)
    found = best_of_random(similar, correct, permutations=19)
    expected = [ks_2samp(row[~correct], row[correct], method="asymp").statistic for row in similar]
    np.testing.assert_allclose(found.scores, expected, atol=1e-12)
    assert found.scores.tolist() == [separate(row[~correct], row[correct]).score for row in similar]


@pytest.mark.parametrize("decimals", [None, 0])
@pytest.mark.parametrize("seed", range(4))
def test_p_value_of_one_phrase_is_the_permutation_p_value_of_scipy(seed, decimals):
    rng = np.random.default_rng(seed)
    wrong, right = rng.normal(1, 1, 6), rng.normal(0, 1, 7)
    if decimals is not None:
        wrong, right = np.round(wrong, decimals), np.round(right, decimals)
    exact = permutation_test(
        (wrong, right),
        lambda x, y: ks_2samp(x, y, method="asymp").statistic,
        alternative="greater",
        n_resamples=np.inf,
    ).pvalue
    correct = np.repeat([False, True], [6, 7])
    found = best_of_random(np.concatenate([wrong, right])[None], correct, permutations=20_000)
    assert found.p_values[0] == pytest.approx(exact, abs=4 * np.sqrt(exact / 20_000) + 1e-4)


def test_best_of_a_shuffle_is_the_maximum_over_phrases_that_scipy_finds():
    similar, correct = class_of(3, phrases=4, images=30, decimals=1)
    found = best_of_random(similar, correct, permutations=25, seed=8)
    rng = np.random.default_rng(8)
    shuffles = rng.permuted(np.tile(correct, (25, 1)), axis=1)
    # Shuffling flags and shuffling steps draws the same places from the same seed.
    best = [
        max(ks_2samp(row[~flags], row[flags], method="asymp").statistic for row in similar)
        for flags in shuffles
    ]
    np.testing.assert_allclose(found.best, np.sort(best), atol=1e-12)


def test_corrected_p_values_count_the_best_of_each_shuffle():
    similar, correct = class_of(1, phrases=7, images=50)
    found = best_of_random(similar, correct, permutations=300)
    by_hand = [(1 + np.sum(found.best >= score - 1e-12)) / 301 for score in found.scores]
    np.testing.assert_allclose(found.p_values, by_hand)


@pytest.mark.parametrize("permutations", [19, 20, 99, 200, 999, 1000])
def test_a_score_lies_above_the_noise_line_exactly_when_its_p_value_is_at_most_a_twentieth(permutations):
    rng = np.random.default_rng(permutations)
    similar, correct = class_of(permutations, phrases=60, images=40)
    similar[:20] += rng.random((20, 1)) * ~correct * 3
    found = best_of_random(similar, correct, permutations=permutations)
    np.testing.assert_array_equal(found.scores > found.noise_line, found.p_values <= 0.05)
    assert 0 < np.sum(found.p_values <= 0.05) < 60


def test_noise_on_fifty_images_reaches_what_the_exact_distribution_says():
    """One phrase: .36 one time in twenty; the best of fifty: .44, usually."""
    rng = np.random.default_rng(0)
    correct = np.arange(50) < 25
    one = best_of_random(rng.normal(size=(1, 50)), correct, permutations=4000)
    assert ks_2samp(np.arange(25), np.arange(25) + 9).pvalue > 0.05  # a score of 9/25
    assert ks_2samp(np.arange(25), np.arange(25) + 10).pvalue < 0.05
    assert one.noise_line == pytest.approx(0.36)
    fifty = best_of_random(rng.normal(size=(50, 50)), correct, permutations=1000)
    assert np.median(fifty.best) == pytest.approx(0.44, abs=0.011)


def test_without_meaning_some_phrase_is_called_clear_one_time_in_twenty():
    """400 classes of noise: the share called clear lies within three standard errors of 5 %."""
    called = [
        best_of_random(*class_of(seed, phrases=8, images=101), permutations=99, seed=seed).p_values.min()
        <= 0.05
        for seed in range(400)
    ]
    assert 0.017 <= np.mean(called) <= 0.083


def test_a_planted_phrase_is_found_among_noise():
    similar, correct = class_of(5, phrases=50, images=200)
    similar[17] += 1.5 * ~correct
    found = best_of_random(similar, correct, permutations=200)
    assert np.argmin(found.p_values) == 17
    assert found.p_values[17] == 1 / 201
    assert "1 of these does" in found.sentence


def test_phrases_that_say_the_same_count_as_one():
    similar, correct = class_of(2, phrases=1, images=80)
    one = best_of_random(similar, correct, permutations=400)
    same = best_of_random(np.repeat(similar, 30, axis=0), correct, permutations=400)
    assert same.noise_line == one.noise_line
    np.testing.assert_allclose(same.p_values, one.p_values[0])


def test_the_seed_decides_and_is_recorded():
    similar, correct = class_of(0)
    first, again, other = (best_of_random(similar, correct, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.best, again.best)
    assert (first.best != other.best).any()
    assert (first.seed, first.permutations) == (3, 1000)


def test_more_phrases_and_shuffles_than_a_block_are_the_same_as_one_by_one():
    similar, correct = class_of(0, phrases=300, images=20)
    whole = best_of_random(similar, correct, permutations=600)
    parts = [best_of_random(similar[i : i + 100], correct, permutations=600) for i in (0, 100, 200)]
    np.testing.assert_array_equal(whole.scores, np.concatenate([part.scores for part in parts]))
    assert (whole.best >= np.max([part.best for part in parts], axis=0)).all()


@pytest.mark.parametrize(
    ("similar", "correct", "error", "what"),
    [
        (np.zeros((2, 3)), [True, True, True], ScoreError, "no wrong images"),
        (np.zeros((2, 3)), [False, False, False], ScoreError, "no correct images"),
        (np.zeros((2, 3)), [True, False], DataError, "one boolean an image"),
        (np.zeros((2, 3)), [1, 0, 1], DataError, "one boolean an image"),
        (np.zeros(3), [True, False, True], DataError, "2-D"),
        (np.zeros((0, 3)), [True, False, True], DataError, "no phrases"),
        (np.full((1, 3), np.nan), [True, False, True], DataError, "NaN"),
    ],
)
def test_input_that_does_not_fit_is_one_clear_error(similar, correct, error, what):
    with pytest.raises(error, match=what):
        best_of_random(similar, correct)


def test_too_few_shuffles_to_show_anything_are_one_clear_error():
    with pytest.raises(DataError, match="at least 19"):
        best_of_random(*class_of(0), permutations=18)
