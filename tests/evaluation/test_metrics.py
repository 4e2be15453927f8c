from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, recall_score

from clarify_widget.errors import DataError
from clarify_widget.evaluation import evaluate, wilson_interval

cases = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 3)),
    min_size=1,
    max_size=60,
)


@settings(max_examples=80, deadline=None)
@given(rows=cases, train=st.lists(st.integers(1, 500), min_size=4, max_size=4))
def test_metrics_follow_the_benchmarks_formulas(rows, train):
    """Average, worst group and adjusted average as Sagawa et al. and WILDS compute them, by plain loops."""
    predictions, labels, groups = (np.array(part) for part in zip(*rows, strict=True))
    found = evaluate(predictions, labels, groups, train, num_classes=3)

    accuracies = {}
    for group in range(4):
        hits = [p == y for p, y, g in rows if g == group]
        if hits:
            accuracies[group] = sum(hits) / len(hits)
    weight = sum(train[group] for group in accuracies)
    adjusted = sum(accuracies[group] * train[group] for group in accuracies) / weight

    assert found.average == pytest.approx(accuracy_score(labels, predictions))
    assert found.worst_group == pytest.approx(min(accuracies.values()))
    assert found.adjusted_average == pytest.approx(adjusted)
    assert found.gap == pytest.approx(adjusted - min(accuracies.values()))
    recalls = recall_score(labels, predictions, labels=[0, 1, 2], average=None, zero_division=np.nan)
    np.testing.assert_allclose([cell.accuracy for cell in found.per_class], recalls)
    assert [cell.size for cell in found.per_group] == np.bincount(groups, minlength=4).tolist()


def test_empty_groups_are_listed_and_left_out_of_the_worst():
    found = evaluate([0, 1], [0, 0], [0, 2], group_names=["a", "b", "c"])
    assert [(cell.name, cell.size) for cell in found.per_group] == [("a", 1), ("b", 0), ("c", 1)]
    assert math.isnan(found.per_group[1].accuracy)
    assert found.worst_group == 0


def test_without_groups_only_average_and_classes_are_known():
    found = evaluate([0, 1, 1], [0, 1, 0], class_names=["square", "oval"])
    assert found.average == pytest.approx(2 / 3)
    assert found.interval == wilson_interval(2, 3)
    assert [(cell.name, cell.correct, cell.size) for cell in found.per_class] == [
        ("square", 1, 2),
        ("oval", 1, 1),
    ]
    assert (found.worst_group, found.adjusted_average, found.gap, found.per_group) == (None, None, None, ())


def test_without_train_sizes_the_adjusted_average_is_unknown():
    found = evaluate([0, 1], [0, 1], [0, 1])
    assert (found.worst_group, found.adjusted_average, found.gap) == (1.0, None, None)


def test_cells_carry_their_wilson_interval():
    cell = evaluate([0] * 10, [0] * 10).per_class[0]
    assert cell.interval == wilson_interval(10, 10)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"predictions": [0], "labels": [0, 1]}, "1 entries for 2 labels"),
        ({"predictions": [], "labels": []}, "no images"),
        ({"predictions": [0.5], "labels": [0]}, "whole numbers"),
        ({"predictions": [0, 5], "labels": [0, 1], "num_classes": 2}, "highest is 5"),
        ({"predictions": [0], "labels": [-1]}, "lowest is -1"),
        ({"predictions": [0], "labels": [0], "groups": [0, 1]}, "2 entries for 1 labels"),
        ({"predictions": [0], "labels": [0], "groups": [3], "group_names": ["a"]}, "highest is 3"),
        ({"predictions": [0], "labels": [0], "train_group_sizes": [1]}, "without groups"),
        ({"predictions": [0], "labels": [0], "groups": [0], "train_group_sizes": [-1]}, "non-negative"),
        (
            {
                "predictions": [0],
                "labels": [0],
                "groups": [0],
                "train_group_sizes": [1],
                "group_names": ["a", "b"],
            },
            "1 entries for 2 groups",
        ),
    ],
)
def test_input_that_does_not_fit_is_one_clear_error(arguments, what):
    with pytest.raises(DataError, match=what):
        evaluate(**arguments)
