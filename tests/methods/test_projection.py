from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import null_space, orth
from scipy.optimize import minimize
from scipy.stats import ortho_group

from clarify_widget.errors import DataError
from clarify_widget.methods.projection import (
    calibrated_projection,
    orthogonal_projection,
    pair_directions,
    roboshot,
)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_orthogonal_projection_keeps_the_null_space_and_nothing_else(k):
    spurious = np.random.default_rng(k).normal(size=(k, 7))
    projection = orthogonal_projection(spurious)
    np.testing.assert_allclose(projection, projection.T, atol=1e-12)
    np.testing.assert_allclose(projection @ projection, projection, atol=1e-12)
    np.testing.assert_allclose(projection @ spurious.T, 0, atol=1e-12)
    kept = null_space(spurious)
    np.testing.assert_allclose(projection, kept @ kept.T, atol=1e-12)
    np.testing.assert_allclose(projection, np.eye(7) - np.linalg.pinv(spurious) @ spurious, atol=1e-12)


def test_a_prompt_given_twice_counts_once():
    spurious = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
    twice = np.vstack([spurious, 3 * spurious[:1]])
    np.testing.assert_allclose(orthogonal_projection(twice), orthogonal_projection(spurious), atol=1e-6)


def calibration_loss(flat, start, first, second, strength):
    matrix = flat.reshape(start.shape)
    apart = np.sum(((first - second) @ matrix.T) ** 2, axis=1)
    return np.sum((matrix - start) ** 2) + strength * apart.mean()


@pytest.mark.parametrize("strength", [0.5, 20.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_calibrated_projection_minimises_its_objective(seed, strength):
    rng = np.random.default_rng(seed)
    spurious, pairs = unit(rng.normal(size=(2, 5))), unit(rng.normal(size=(3, 2, 5)))
    start = orthogonal_projection(spurious)
    arguments = (start, pairs[:, 0], pairs[:, 1], strength)
    direct = minimize(calibration_loss, start.ravel(), args=arguments, options={"gtol": 1e-8})
    found = calibrated_projection(spurious, pairs, strength)
    np.testing.assert_allclose(found, direct.x.reshape(5, 5), atol=1e-5)
    assert calibration_loss(found.ravel(), *arguments) <= direct.fun + 1e-12


def test_calibration_of_strength_zero_is_the_orthogonal_projection():
    rng = np.random.default_rng(0)
    spurious, pairs = rng.normal(size=(2, 5)), rng.normal(size=(3, 2, 5))
    np.testing.assert_allclose(
        calibrated_projection(spurious, pairs, 0), orthogonal_projection(spurious), atol=1e-12
    )


def test_strong_calibration_brings_positive_pairs_together():
    rng = np.random.default_rng(0)
    spurious, pairs = unit(rng.normal(size=(1, 8))), unit(rng.normal(size=(3, 2, 8)))
    projection = calibrated_projection(spurious, pairs, 1e9)
    np.testing.assert_allclose(pairs[:, 0] @ projection.T, pairs[:, 1] @ projection.T, atol=1e-6)


def stepwise_roboshot(rows, reject, accept):
    """The algorithm as the paper prints it: one orthonormal direction after the other."""
    rows = unit(rows)
    for direction in np.linalg.qr(reject.T)[0].T:
        rows = unit(rows - (rows @ direction)[:, None] * direction)
    for direction in np.linalg.qr(accept.T)[0].T:
        rows = unit(rows + (rows @ direction)[:, None] * direction)
    return rows


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), k=st.integers(1, 3), m=st.integers(1, 3))
def test_roboshot_is_the_papers_algorithm_step_by_step(seed, k, m):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(10, 9))
    reject, accept = rng.normal(size=(k, 9)), rng.normal(size=(m, 9))
    np.testing.assert_allclose(
        roboshot(images, reject, accept), stepwise_roboshot(images, reject, accept), atol=1e-9
    )


def test_roboshot_rejects_first_and_then_accepts():
    images, directions = np.random.default_rng(0).normal(size=(6, 4)), np.eye(4)
    rejected = roboshot(images, reject=directions[:2])
    np.testing.assert_allclose(rejected[:, :2], 0, atol=1e-12)
    np.testing.assert_allclose(rejected[:, 2:], unit(images[:, 2:]), atol=1e-12)
    accepted = roboshot(images, accept=directions[3:])
    np.testing.assert_allclose(accepted, unit(images * [1, 1, 1, 2]), atol=1e-12)
    np.testing.assert_allclose(roboshot(images), unit(images), atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999))
def test_rotating_everything_rotates_the_result_and_order_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    images, reject, accept = rng.normal(size=(8, 6)), rng.normal(size=(2, 6)), rng.normal(size=(2, 6))
    rotation, order = ortho_group.rvs(6, random_state=seed), rng.permutation(8)
    plain = roboshot(images, reject, accept)
    turned = roboshot(images[order] @ rotation, reject[::-1] @ rotation, accept[::-1] @ rotation)
    np.testing.assert_allclose(turned, plain[order] @ rotation, atol=1e-8)


def test_an_image_that_is_all_spurious_has_no_direction_left():
    direction = unit(np.array([[1.0, 2.0, 3.0]]))
    np.testing.assert_array_equal(roboshot(5 * direction, reject=direction), np.zeros((1, 3)))


def test_dependent_reject_directions_span_what_scipy_says():
    rng = np.random.default_rng(0)
    reject = rng.normal(size=(2, 5))
    reject = np.vstack([reject, reject.sum(axis=0)])
    images = rng.normal(size=(4, 5))
    basis = orth(reject.T, rcond=1e-9)
    expected = unit(images - images @ basis @ basis.T)
    np.testing.assert_allclose(roboshot(images, reject), expected, atol=1e-9)


def test_pair_directions_are_first_minus_second():
    pairs = np.random.default_rng(0).normal(size=(3, 2, 4))
    np.testing.assert_allclose(pair_directions(pairs), unit(pairs[:, 0] - pairs[:, 1]))


ROWS = np.eye(3)


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: roboshot(np.ones(3)), "2-D"),
        (lambda: roboshot(np.full((1, 3), np.nan)), "NaN"),
        (lambda: roboshot(ROWS, np.ones((1, 2))), "reject has width 2"),
        (lambda: roboshot(ROWS, None, np.zeros((1, 3))), "accept has rows of zeros"),
        (lambda: roboshot(ROWS, np.empty((0, 3))), "no rows"),
        (lambda: pair_directions(np.ones((2, 3))), "number of pairs"),
        (lambda: pair_directions(np.ones((1, 2, 3))), "differences of pairs has rows of zeros"),
        (lambda: orthogonal_projection(np.empty((0, 3))), "no rows"),
        (lambda: orthogonal_projection(np.zeros((1, 3))), "zeros"),
        (lambda: calibrated_projection(ROWS[:1], np.ones((1, 2, 4))), "width 3 and positive_pairs 4"),
        (lambda: calibrated_projection(ROWS[:1], np.empty((0, 2, 3))), "number of pairs"),
        (lambda: calibrated_projection(ROWS[:1], np.ones((1, 2, 3)), -1), "strength"),
        (lambda: calibrated_projection(ROWS[:1], np.full((1, 2, 3), np.inf)), "NaN or infinity"),
    ],
)
def test_input_that_does_not_fit_is_one_clear_error(call, what):
    with pytest.raises(DataError, match=what):
        call()
