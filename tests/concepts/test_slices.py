from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarify_widget.concepts import Annotation, slice_ids, slice_names
from clarify_widget.errors import DataError, EmptySliceError, UnknownClassError

NAMES = ("square", "oval", "star")
RED = Annotation("square", "red", 0.5)
BIG = Annotation("square", "big", 0.5)
BLUE = Annotation("oval", "blue", 0.5)


def test_with_is_strictly_above_the_threshold_and_other_classes_stay_out():
    similar = np.array([0.4, 0.5, 0.6, 0.9, 0.1])
    labels = [0, 0, 0, 1, 2]
    assert slice_ids({RED: similar}, labels, NAMES, [RED]).tolist() == [0, 0, 1, -1, -1]
    assert slice_names([RED]) == ('square without "red"', 'square with "red"')


def test_slices_are_numbered_on_over_the_classes():
    similar = np.array([0, 1, 0, 1])
    ids = slice_ids({RED: similar, BLUE: similar}, [0, 0, 1, 1], NAMES, [RED, BLUE])
    assert ids.tolist() == [0, 1, 2, 3]
    assert slice_names([RED, BLUE])[2:] == ('oval without "blue"', 'oval with "blue"')


def test_several_annotations_of_a_class_make_their_product():
    red, big = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    ids = slice_ids({RED: red, BIG: big}, [0] * 4, NAMES, [RED, BIG])
    assert [slice_names([RED, BIG])[k] for k in ids] == [
        'square without "red", without "big"',
        'square without "red", with "big"',
        'square with "red", without "big"',
        'square with "red", with "big"',
    ]


@settings(max_examples=60, deadline=None)
@given(data=st.lists(st.tuples(st.integers(0, 2), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_ids_and_names_agree_with_the_definition(data):
    labels = np.array([label for label, _, _ in data])
    similar = {RED: np.array([x for _, x, _ in data]), BIG: np.array([x for _, _, x in data])}
    ids = slice_ids(similar, labels, NAMES, [RED, BIG], allow_empty=True)
    for row, (label, red, big) in enumerate(data):
        side = ["with" if x > 0.5 else "without" for x in (red, big)]
        expected = f'square {side[0]} "red", {side[1]} "big"' if label == 0 else None
        found = None if ids[row] == -1 else slice_names([RED, BIG])[ids[row]]
        assert found == expected


@pytest.mark.parametrize(("value", "empty"), [(0.0, "with"), (0.5, "with"), (1.0, "without")])
def test_an_empty_side_is_one_clear_error_with_counts(value, empty):
    with pytest.raises(EmptySliceError, match=rf'square.* is {empty} "red" at threshold 0.5 \(\d without'):
        slice_ids({RED: np.array([value, value, 0.0, 1.0])}, [0, 0, 1, 1], NAMES, [RED])


def test_a_class_without_images_has_empty_sides():
    with pytest.raises(EmptySliceError):
        slice_ids({RED: np.zeros(2)}, [1, 1], NAMES, [RED])


def test_empty_sides_pass_where_they_are_allowed():
    ids = slice_ids({RED: np.ones(2)}, [0, 1], NAMES, [RED], allow_empty=True)
    assert ids.tolist() == [1, -1]


def test_without_annotations_nothing_is_sliced():
    assert slice_ids({}, [0, 1, 2], NAMES, []).tolist() == [-1, -1, -1]
    assert slice_names([]) == ()


@pytest.mark.parametrize(
    ("similar", "annotations", "error"),
    [
        ({RED: np.ones(3)}, [RED], DataError),
        ({RED: np.array([0, np.nan])}, [RED], DataError),
        ({}, [RED], DataError),
        ({}, [Annotation("circle", "red", 0)], UnknownClassError),
    ],
)
def test_input_that_does_not_fit_is_one_clear_error(similar, annotations, error):
    with pytest.raises(error):
        slice_ids(similar, [0, 0], NAMES, annotations)
