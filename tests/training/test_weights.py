from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarify_widget.errors import DataError
from clarify_widget.training import sample_weights

rows = st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=40)


@settings(max_examples=80, deadline=None)
@given(rows=rows, annotated=st.sets(st.integers(0, 2)))
def test_paper_totals_give_every_slice_one_over_c_and_others_one_over_n(rows, annotated):
    labels = np.array([label for label, _ in rows])
    slices = np.array([2 * label + has if label in annotated else -1 for label, has in rows])
    weights = sample_weights(labels, slices, num_classes=3)
    for one in np.unique(slices[slices >= 0]):
        members = weights[slices == one]
        assert members.sum() == pytest.approx(1 / 3)
        assert np.ptp(members) == 0
    np.testing.assert_allclose(weights[slices == -1], 1 / len(rows))


@settings(max_examples=80, deadline=None)
@given(rows=rows, annotated=st.sets(st.integers(0, 2)))
def test_preserved_totals_keep_each_class_and_balance_inside_it(rows, annotated):
    labels = np.array([label for label, _ in rows])
    slices = np.array([2 * label + has if label in annotated else -1 for label, has in rows])
    weights = sample_weights(labels, slices, num_classes=3, totals="preserve")
    assert weights.sum() == pytest.approx(1)
    for label in np.unique(labels):
        assert weights[labels == label].sum() == pytest.approx(np.mean(labels == label))
        of_class = np.unique(slices[(labels == label) & (slices >= 0)])
        totals = [weights[slices == one].sum() for one in of_class]
        np.testing.assert_allclose(totals, np.mean(labels == label) / max(len(of_class), 1))


def test_equation_two_by_hand():
    weights = sample_weights([0, 0, 0, 0, 1, 1], [0, 1, 1, 1, -1, -1])
    np.testing.assert_allclose(weights, [1 / 2, 1 / 6, 1 / 6, 1 / 6, 1 / 6, 1 / 6])


@pytest.mark.parametrize(
    ("labels", "slices", "options", "what"),
    [
        ([0, 1], [0], {}, "shape"),
        ([0, 1], [0, 0], {}, "two classes"),
        ([0, 0], [0, -1], {}, "inside and outside"),
        ([0, 1], [0, -2], {}, "slices"),
        ([0, 1], [0.5, 1], {}, "whole numbers"),
        ([0, 5], [0, 1], {"num_classes": 2}, "highest is 5"),
        ([0, 1], [0, 1], {"totals": "half"}, "totals"),
    ],
)
def test_input_that_does_not_fit_is_one_clear_error(labels, slices, options, what):
    with pytest.raises(DataError, match=what):
        sample_weights(labels, slices, **options)
