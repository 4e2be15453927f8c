"""Thresholds of phrases against distributions whose cut is known, and against every cut tried in turn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm

from clarify_widget.concepts import calibrated_thresholds
from clarify_widget.concepts.calibration import LEAST
from clarify_widget.errors import DataError

rows = arrays(
    np.float64,
    st.tuples(st.integers(1, 3), st.integers(4, 60)),
    elements=st.floats(-1, 1, width=16),
)


def drawn(share, apart, size=4000, seed=0):
    """Similarities of images of which a share has the phrase, and who has it."""
    rng = np.random.default_rng(seed)
    has = rng.random(size) < share
    return (0.2 + 0.02 * (rng.normal(size=size) + apart * has)).astype(np.float32), has


@pytest.mark.parametrize("share", [0.03, 0.2, 0.5, 0.8, 0.97])
def test_two_humps_are_divided_however_few_images_have_the_phrase(share):
    similar, has = drawn(share, apart=6)
    (threshold,) = calibrated_thresholds(similar[None])
    assert ((similar > threshold) == has).mean() > 0.99


def test_one_hump_is_divided_at_its_middle():
    similar, _ = drawn(0, apart=0)
    (threshold,) = calibrated_thresholds(similar[None])
    assert 0.4 < (similar > threshold).mean() < 0.6


def _tried(values):
    """Try every cut with scipy's normal distribution, as the papers define both criteria."""
    ordered = np.sort(values)
    size = len(ordered)
    least = max(1, min(LEAST, size // 4))
    floor = 1e-6 * ordered.var()

    def fitted(part):
        spread = np.sqrt(max(part.var(), floor))
        return norm.logpdf(part.mean(), part.mean(), spread) - 0.5  # mean log-likelihood of its own fit

    curves, means = {}, {}
    for under in range(least, size - least + 1):
        if under == size or ordered[under - 1] == ordered[under]:
            continue
        sides = ordered[:under], ordered[under:]
        shares = under / size, 1 - under / size
        curves[under] = sum(
            share * (fitted(side) + np.log(share)) for share, side in zip(shares, sides, strict=True)
        )
        means[under] = np.prod(shares) * (sides[0].mean() - sides[1].mean()) ** 2
    return ordered, curves, means, fitted(ordered)


@settings(max_examples=50, deadline=None)
@given(rows)
def test_the_cut_is_the_best_of_all_cuts(similarities):
    for values, threshold in zip(similarities, calibrated_thresholds(similarities), strict=True):
        if values.var() < 1e-12:
            continue
        ordered, curves, means, one = _tried(values)
        if not curves:
            assert threshold == ordered[-1]
            continue
        cut = int((ordered <= threshold).sum())
        by_curves, by_means = max(curves.values()), max(means.values())
        best = curves[cut] >= by_curves - 1e-6 and by_curves >= one - 1e-6
        halved = means[cut] >= by_means - 1e-9 and by_curves <= one + 1e-6
        assert best or halved


@settings(max_examples=50, deadline=None)
@given(rows, st.floats(0.5, 4), st.floats(-2, 2))
def test_scale_and_origin_of_the_similarities_do_not_matter(similarities, scale, shift):
    scaled = np.round(scale * 8) / 8 * similarities + np.round(shift * 8) / 8
    here = similarities > calibrated_thresholds(similarities)[:, None]
    there = scaled > calibrated_thresholds(scaled)[:, None]
    spread = similarities.std(axis=1) > 1e-3
    np.testing.assert_array_equal(here[spread].sum(axis=1) > 0, there[spread].sum(axis=1) > 0)


def test_a_phrase_that_is_equally_similar_to_all_images_belongs_to_none():
    similarities = np.full((2, 30), 0.25, dtype=np.float32)
    assert not (similarities > calibrated_thresholds(similarities)[:, None]).any()


def test_phrases_do_not_influence_each_other():
    similarities = np.stack([drawn(share, 5, seed=seed)[0] for seed, share in enumerate((0.1, 0.5, 0.9))])
    alone = [calibrated_thresholds(row[None])[0] for row in similarities]
    np.testing.assert_array_equal(calibrated_thresholds(similarities), alone)


def test_no_images_and_nan_are_clear_errors():
    with pytest.raises(DataError, match="there are none"):
        calibrated_thresholds(np.empty((3, 0)))
    with pytest.raises(DataError, match="NaN"):
        calibrated_thresholds(np.array([[0.1, np.nan]]))
