"""What a threshold does to training and validation images, counted from the raw arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarify_widget import Session
from clarify_widget.errors import PhraseError
from clarify_widget.session.sides import FEW_IMAGES
from tests.session.planted import planted_dataset, planted_encoder


@pytest.fixture(scope="module")
def planted():
    session = Session(planted_dataset(), planted_encoder())
    session.fit()
    return session


def similarities(session, split):
    part = getattr(session.dataset, split)
    return session.similarities("red", split)[part.labels == session.class_names.index("square")]


@settings(max_examples=50, deadline=None)
@given(threshold=st.floats(-1.2, 1.2))
def test_sizes_are_those_of_the_images_and_the_grid_brackets_them(planted, threshold):
    sides = planted.sides("square", "red", threshold)
    for split, sizes in (("train", sides.train), ("val", sides.val)):
        similar = similarities(planted, split)
        assert sizes.having == np.count_nonzero(similar > threshold)
        assert sizes.without + sizes.having == len(similar)

    grid = sides.grid
    counts = np.array(grid.at_or_below)
    assert (np.diff(counts) >= 0).all()
    where = np.linspace(grid.low, grid.high, len(counts))
    assert (counts[where <= threshold] <= sides.train.without).all()
    assert (counts[where >= threshold] >= sides.train.without).all()


def test_the_threshold_is_that_of_the_score_until_another_is_kept(planted):
    scored = planted.score("square", "red")
    assert planted.sides("square", "red").threshold == scored.threshold
    planted.annotate("square", "red", 0.125)
    assert planted.sides("square", "red").threshold == 0.125
    planted.undo()


def test_few_and_no_images_on_a_side_are_said_with_numbers(planted):
    train = np.sort(similarities(planted, "train"))
    few = planted.sides("square", "red", float(train[-4]))
    assert any("Only 3 training images are with “red”" in warning for warning in few.warnings)
    assert any(f"{(len(train) - 3) / 3:,.0f} times as much" in warning for warning in few.warnings)

    none = planted.sides("square", "red", 1.0)
    assert "No training image of square is with “red”" in none.warnings[0]
    assert "Lower the threshold" in none.warnings[0]
    all_of_them = planted.sides("square", "red", -1.0)
    assert "Raise the threshold" in all_of_them.warnings[0]

    middle = planted.sides("square", "red", float(np.median(train)))
    assert min(middle.train.without, middle.train.having) >= FEW_IMAGES
    assert not any("training" in warning for warning in middle.warnings)


def test_a_score_within_noise_is_said(planted):
    noise = planted.score("square", "noise")
    assert noise.p_value > 0.05
    assert any("within noise" in warning for warning in planted.sides("square", "noise").warnings)
    assert planted.score("square", "red").p_value < 0.05
    assert not any("within noise" in warning for warning in planted.sides("square", "red").warnings)


def test_an_unknown_phrase_is_the_same_error_as_when_scoring(planted):
    with pytest.raises(PhraseError):
        planted.sides("square", "never heard of")
