"""Attributes from the user's own table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from clarify_widget.discovery import Attributes, attributes_from_table
from clarify_widget.errors import DataError


@pytest.mark.parametrize("kind", [bool, int, float, object])
def test_a_data_frame_brings_its_names_and_any_zeros_and_ones(kind):
    has = np.array([[True, False], [False, False], [True, True]])
    frame = pd.DataFrame({"water": has[:, 0].astype(kind), "boat": has[:, 1].astype(kind)})
    attributes = attributes_from_table(frame)
    assert attributes.names == ("water", "boat")
    np.testing.assert_array_equal(attributes.has, has)
    assert len(attributes) == 3
    assert attributes.size == 2


def test_an_array_needs_names():
    assert attributes_from_table(np.eye(3), ["a", "b", "c"]).names == ("a", "b", "c")
    with pytest.raises(DataError, match="names="):
        attributes_from_table(np.eye(3))


@pytest.mark.parametrize(
    ("table", "names", "message"),
    [
        (np.eye(3), ["a", "b"], r"\(n, 2\)"),
        (np.array([True, False]), ["a"], r"got \(2,\)"),
        (np.array([[2, 0]]), ["a", "b"], "got 2"),
        (np.array([[np.nan, 0]]), ["a", "b"], "got nan"),
        (pd.DataFrame({"name": ["gull"], "water": [True]}), None, "got 'gull'"),
        (np.eye(2), ["a", "a"], "more than once"),
    ],
)
def test_what_is_no_table_of_attributes_is_one_clear_error(table, names, message):
    with pytest.raises(DataError, match=message):
        attributes_from_table(table, names)


def test_thresholds_are_one_an_attribute():
    with pytest.raises(DataError, match="1 thresholds for 2"):
        Attributes(("a", "b"), np.zeros((4, 2), dtype=bool), (0.1,))
