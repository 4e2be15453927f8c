"""AIoU and pointing on maps made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from clarify_widget.errors import DataError
from clarify_widget.evaluation.explain import adjusted_iou, alignment, iou, mask_of_boxes, points_inside

MASK = np.zeros((4, 6), dtype=bool)
MASK[1:3, 2:5] = True

maps = arrays(np.float64, (3, 4, 6), elements=st.floats(0, 1, width=16))
masks = arrays(np.bool_, (4, 6))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (MASK.astype(float), 1.0),
        (MASK * 0.5, 0.5),
        (np.ones((4, 6)), 6 / 24),
        (1.0 - MASK, 0.0),
        (np.where(MASK, 0.5, 0.25), 3 / (6 + 18 / 4)),
        (np.zeros((4, 6)), 0.0),
    ],
)
def test_iou_of_maps_made_by_hand(values, expected):
    assert iou(values, MASK) == pytest.approx(expected)


def test_iou_of_nothing_with_nothing_is_zero():
    assert iou(np.zeros((4, 6)), np.zeros((4, 6), dtype=bool)) == 0


def test_aiou_sets_the_true_class_beside_the_best_of_the_others():
    stack = np.stack([MASK * 0.6, MASK * 0.2, MASK * 0.3])
    assert adjusted_iou(stack, MASK, 0) == pytest.approx(0.6 / (0.6 + 0.3))
    assert adjusted_iou(stack, MASK, 1) == pytest.approx(0.2 / (0.2 + 0.6))
    assert adjusted_iou(stack[:2] * 0, MASK, 0) == 0


@settings(max_examples=60, deadline=None)
@given(maps, masks, st.integers(0, 2))
def test_aiou_is_the_formula_of_the_paper(stack, mask, label):
    def overlap(one):
        smaller = larger = 0.0
        for j in range(4):
            for k in range(6):
                smaller += min(one[j, k], float(mask[j, k]))
                larger += max(one[j, k], float(mask[j, k]))
        return smaller / larger if larger else 0.0

    own, other = overlap(stack[label]), max(overlap(stack[i]) for i in range(3) if i != label)
    expected = own / (own + other) if own + other else 0
    found = adjusted_iou(stack, mask, label)
    assert found == pytest.approx(expected)
    assert 0 <= found <= 1


@settings(max_examples=40, deadline=None)
@given(maps, masks)
def test_aiou_of_two_classes_adds_up_to_one_and_turning_both_changes_nothing(stack, mask):
    both = [adjusted_iou(stack[:2], mask, label) for label in (0, 1)]
    assert sum(both) == pytest.approx(1) or both == [0, 0]
    assert adjusted_iou(stack[:2, ::-1, ::-1], mask[::-1, ::-1], 0) == pytest.approx(both[0])


def test_boxes_cover_the_pixels_whose_middle_is_in_them():
    np.testing.assert_array_equal(mask_of_boxes([(2, 1, 5, 3)], (6, 4)), MASK)
    np.testing.assert_array_equal(mask_of_boxes([(1.6, 0.6, 4.6, 3.4)], (6, 4)), MASK)
    two = mask_of_boxes([(0, 0, 1, 1), (5, 3, 6, 4)], (6, 4))
    assert two.sum() == 2
    assert mask_of_boxes([], (6, 4)).sum() == 0
    with pytest.raises(DataError, match="rising pixels"):
        mask_of_boxes([(5, 1, 2, 3)], (6, 4))


def test_a_map_points_where_it_is_highest():
    values = np.zeros((4, 6))
    assert not points_inside(values, MASK)
    assert not points_inside(values, np.ones((4, 6), dtype=bool))
    values[0, 0] = 0.5
    assert not points_inside(values, MASK)
    values[2, 4] = 0.6
    assert points_inside(values, MASK)


def test_alignment_is_the_mean_over_all_images_and_over_groups():
    own = [np.stack([MASK * 0.6, MASK * 0.2]), np.stack([1.0 - MASK, MASK * 1.0]), np.stack([MASK * 1.0] * 2)]
    found = alignment(own, [MASK] * 3, [0, 0, 1], [0, 1, 0], ["land", "water", "sky"])
    np.testing.assert_allclose(found.aiou, [0.75, 0, 0.5])
    assert found.pointing.tolist() == [True, False, True]
    assert found.average.aiou == pytest.approx(1.25 / 3)
    assert found.average.pointing_accuracy == pytest.approx(2 / 3)
    land, water, sky = found.per_group
    assert (land.size, land.aiou, land.pointing) == (2, pytest.approx(0.625), 2)
    assert (water.size, water.aiou) == (1, 0)
    assert np.isnan(sky.aiou)
    assert found.worst_group is water
    assert found.chance == pytest.approx(MASK.mean())
    assert "water" in str(found)
    assert "sky" not in str(found)
    assert alignment(own, [MASK] * 3, [0, 0, 1]).worst_group is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: iou(np.zeros((4, 5)), MASK), "as its maps are"),
        (lambda: iou(np.zeros((4, 6)), MASK.astype(float)), "booleans"),
        (lambda: iou(np.full((4, 6), 1.5), MASK), r"0\.\.1"),
        (lambda: iou(np.full((4, 6), np.nan), MASK), r"0\.\.1"),
        (lambda: adjusted_iou(MASK[None] * 1.0, MASK, 0), "at least two"),
        (lambda: adjusted_iou(np.zeros((2, 4, 6)), MASK, 2), "class 2"),
        (lambda: adjusted_iou(np.zeros((4, 6)), MASK, 0), "at least two"),
        (lambda: alignment([], [], []), "0 labels"),
        (lambda: alignment([np.zeros((2, 4, 6))], [MASK], [0, 1]), "2 labels for 1"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(call, message):
    with pytest.raises(DataError, match=message):
        call()
