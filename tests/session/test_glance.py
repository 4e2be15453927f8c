from __future__ import annotations

import json

import numpy as np
import pytest

from clarify_widget.session.glance import glance_json
from clarify_widget.session.sides import SideSizes


@pytest.fixture(params=[3, 80, 5000])
def similar(request):
    return np.random.default_rng(request.param).normal(0.2, 0.05, request.param).astype(np.float32)


@pytest.fixture
def correct(similar):
    return np.random.default_rng(1).random(len(similar)) < 0.8


def test_counts_are_those_of_numpy_between_edges_a_little_beyond_the_similarities(similar, correct):
    glance = glance_json(similar, correct, 0.2)

    low, high = float(similar.min()), float(similar.max())
    assert (glance["low"], glance["high"]) == (low, high)
    bins, margin = len(glance["right"]), 0.02 * (high - low)
    for side, chosen in (("right", correct), ("wrong", ~correct)):
        counts, _ = np.histogram(similar[chosen], bins, (low - margin, high + margin))
        assert glance[side] == counts.tolist()


def test_side_without_the_phrase_is_that_of_the_session(similar, correct):
    threshold = float(np.sort(similar)[1])  # exactly on an image, which is then without

    size, wrong = glance_json(similar, correct, threshold)["without"]

    assert size == SideSizes.of(similar, threshold).without
    assert wrong == SideSizes.of(similar[~correct], threshold).without


def test_threshold_between_two_neighbouring_floats_is_not_rounded_to_one_of_them():
    similar = np.array([0.5, np.nextafter(np.float32(0.5), np.float32(1))], dtype=np.float32)
    halfway = float(similar.astype(np.float64).mean())

    assert glance_json(similar, np.array([True, False]), halfway)["without"] == [1, 0]


def test_equal_similarities_fill_one_bin_and_cosines_stay_cosines():
    glance = glance_json(np.ones(4, dtype=np.float32), np.array([True, True, True, False]), 1.0)

    assert sum(glance["right"]) == max(glance["right"]) == 3
    assert glance["right"].index(3) == glance["wrong"].index(1) == len(glance["right"]) - 1
    assert glance["without"] == [4, 1]
    json.dumps(glance, allow_nan=False)


def test_bins_are_those_of_the_page():
    similar = np.array([0.1, 0.15, 0.2, 0.3], dtype=np.float32)  # as in js/test/examples.test.ts

    glance = glance_json(similar, np.array([True, True, False, True]), 0.2)

    assert [i for i, count in enumerate(glance["right"]) if count] == [0, 4, 15]
    assert glance["wrong"].index(1) == 7
