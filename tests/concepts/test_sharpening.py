from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarify_widget.concepts import Annotation, Annotations, SharpenedPhrase, sharpen
from clarify_widget.concepts.sharpening import PULL
from clarify_widget.errors import DataError

WIDTH = 6


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def world(seed, marks):
    rng = np.random.default_rng(seed)
    reference = unit(rng.normal(size=(50, WIDTH)))
    return (
        unit(rng.normal(size=WIDTH)),
        unit(rng.normal(size=(marks, WIDTH))),
        rng.random(marks) < 0.5,
        reference,
    )


@pytest.mark.parametrize("seed", range(3))
def test_direction_is_the_minimum_that_a_convex_solver_finds(seed):
    start, images, has, reference = world(seed, 9)
    centred = (images - reference.mean(0)) / (reference @ start).std()
    w, c, sign = cp.Variable(WIDTH), cp.Variable(), np.where(has, 1.0, -1.0)
    loss = cp.sum(cp.logistic(-cp.multiply(sign, centred @ w + c)))
    cp.Problem(cp.Minimize(loss + PULL / 2 * cp.sum_squares(w - start) + c**2 / 2)).solve(solver=cp.CLARABEL)
    np.testing.assert_allclose(sharpen(start, images, has, reference), unit(w.value), atol=1e-5)


@given(st.integers(0, 1000))
def test_without_marks_it_is_the_direction_of_the_words(seed):
    start, _, _, reference = world(seed, 0)
    found = sharpen(start, np.empty((0, WIDTH)), np.empty(0, bool), reference)
    np.testing.assert_array_equal(found, start)


@given(st.integers(0, 1000), st.integers(1, 12))
def test_the_order_of_marks_does_not_matter_and_the_same_marks_give_the_same_row(seed, marks):
    start, images, has, reference = world(seed, marks)
    first = sharpen(start, images, has, reference)
    np.testing.assert_array_equal(first, sharpen(start, images, has, reference))
    np.testing.assert_allclose(first, sharpen(start, images[::-1], has[::-1], reference), atol=1e-5)
    assert np.linalg.norm(first) == pytest.approx(1)


@given(st.integers(0, 1000), st.booleans())
def test_one_mark_turns_the_direction_along_its_image(seed, has):
    start, images, _, reference = world(seed, 1)
    along = unit(images[0] - reference.mean(0))
    found = sharpen(start, images, [has], reference)
    assert (1 if has else -1) * (found @ along - start @ along) >= 0


def test_arrays_that_do_not_fit_are_one_clear_error():
    start, images, has, reference = world(0, 4)
    with pytest.raises(DataError, match=r"\(m, e\)"):
        sharpen(start[:3], images, has, reference)
    with pytest.raises(DataError, match="equally similar"):
        sharpen(start, images, has, np.tile(reference[:1], (5, 1)))


def test_annotation_is_saved_with_its_examples_and_older_files_are_read(tmp_path):
    smoke = SharpenedPhrase("smoke, sharpened by 2", "smoke", "val", (3,), (8,), (0.6, 0.8))
    kept = Annotations([Annotation("square", smoke.name, 0.1, 0.5, sharpened=(smoke,))])
    kept.save(tmp_path / "kept.json")
    assert Annotations.load(tmp_path / "kept.json") == kept
    older = {**kept.to_dict(), "version": 1}
    older["annotations"] = [{"class_name": "square", "phrase": "red", "threshold": 0.2, "score": None}]
    assert Annotations.from_dict(older) == Annotations([Annotation("square", "red", 0.2)])
