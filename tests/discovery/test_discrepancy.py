"""Accuracy discrepancies against counting one pair after the other."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact
from statsmodels.stats.multitest import multipletests

from clarify_widget.discovery import Attributes, accuracy_discrepancies
from clarify_widget.errors import DataError, ScoreError


def world(seed, size=200, num_classes=3, attributes=5, right=0.7):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, size)
    predictions = np.where(rng.random(size) < right, labels, rng.integers(0, num_classes, size))
    has = rng.random((size, attributes)) < rng.uniform(0.05, 0.95, attributes)
    names = tuple(f"attribute {i}" for i in range(attributes))
    return Attributes(names, has), labels, predictions, [f"class {i}" for i in range(num_classes)]


def one_by_one(attributes, labels, predictions, class_names, least):
    rows = []
    for label, class_name in enumerate(class_names):
        inside = labels == label
        correct = predictions == labels
        if not 0 < correct[inside].sum() < inside.sum():
            continue
        for i, name in enumerate(attributes.names):
            sides = inside & attributes.has[:, i], inside & ~attributes.has[:, i]
            if min(side.sum() for side in sides) < least:
                continue
            table = [[(side & correct).sum(), (side & ~correct).sum()] for side in sides]
            p_value = min(1, 2 * min(fisher_exact(table, alternative=a).pvalue for a in ("less", "greater")))
            accuracies = [correct[side].mean() for side in sides]
            worse = sides[1] if accuracies[0] >= accuracies[1] else sides[0]
            taken_for = np.bincount(predictions[worse & ~correct], minlength=len(class_names))
            rows.append((class_name, name, accuracies[0] - accuracies[1], p_value, taken_for))
    return rows


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(1, 20))
def test_counts_tests_and_confused_classes_are_those_of_one_pair_after_the_other(seed, num_classes, least):
    drawn = world(seed, num_classes=num_classes)
    expected = one_by_one(*drawn, least)
    if not expected:
        with pytest.raises(ScoreError, match="No class"):
            accuracy_discrepancies(*drawn, least=least)
        return
    found = accuracy_discrepancies(*drawn, least=least)
    rows = {(row.class_name, row.attribute): row for row in found.ranked()}
    assert len(rows) == len(found) == len(expected)
    corrected = multipletests([row[3] for row in expected], method="holm")[1]
    for (class_name, name, difference, p_value, taken_for), p_corrected in zip(
        expected, corrected, strict=True
    ):
        row = rows[class_name, name]
        assert row.difference == pytest.approx(difference)
        assert row.p_value == pytest.approx(p_value)
        assert row.corrected_p_value == pytest.approx(p_corrected)
        assert taken_for[drawn[3].index(row.confused_with)] == taken_for.max()
        assert row.interval[0] <= row.difference <= row.interval[1]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_the_order_of_images_does_not_matter_and_many_attributes_are_counted_as_few_are(seed):
    attributes, labels, predictions, names = world(seed, attributes=150)
    order = np.random.default_rng(seed).permutation(len(labels))
    there = accuracy_discrepancies(attributes, labels, predictions, names)
    again = accuracy_discrepancies(
        Attributes(attributes.names, attributes.has[order]), labels[order], predictions[order], names
    )
    assert there.ranked() == again.ranked()


def planted():
    """Class 0 is taken for class 2 where "baby" is missing; class 1 is always half right."""
    labels = np.repeat([0, 1, 2], 100)
    baby = np.tile(np.arange(100) < 40, 3)
    noise = np.tile(np.arange(100) % 2 == 0, 3)
    predictions = labels.copy()
    predictions[(labels == 0) & ~baby & (np.arange(300) % 5 > 0)] = 2
    predictions[(labels == 0) & ~baby & (np.arange(300) % 50 == 41)] = 1
    predictions[(labels == 1) & (np.arange(300) % 4 < 2)] = 0
    attributes = Attributes(("noise", "baby"), np.stack([noise, baby], axis=1), (0.3, 0.2), by_phrase=True)
    return accuracy_discrepancies(attributes, labels, predictions, ("pacifier", "eraser", "bottle"))


def test_the_planted_attribute_comes_first_with_the_class_it_is_confused_with_and_its_threshold():
    found = planted()
    best = found.ranked(most=1)[0]
    assert (best.class_name, best.attribute, best.confused_with) == ("pacifier", "baby", "bottle")
    assert best.difference == pytest.approx(0.8)
    assert best.significant
    assert best.threshold == 0.2
    assert found.significant == 1
    assert "+80.0 points" in best.sentence
    assert "taken for bottle" in best.sentence


def test_ranked_by_class_by_direction_and_few_a_class():
    found = planted()
    everything = found.ranked()
    assert [row.class_name for row in everything].count("bottle") == 0  # always right: nothing to test
    assert found.ranked("eraser") == tuple(row for row in everything if row.class_name == "eraser")
    signed = [-np.log(row.p_value) * np.sign(row.difference) for row in everything]
    assert signed == sorted(signed, reverse=True)
    turned = found.ranked(direction=-1)
    assert turned[-1] == everything[0]
    assert turned[0].difference <= 0
    few = found.ranked(most_a_class=1)
    assert [row.class_name for row in few] == ["pacifier", "eraser"]
    with pytest.raises(DataError, match="no class 'gull'"):
        found.ranked("gull")


def test_of_attributes_of_the_same_images_the_clearer_one_is_named_first():
    labels = np.repeat([0, 1], 100)
    has = np.tile(np.arange(100) < 50, 2)
    predictions = np.where(has, labels, 1 - labels)
    for gaps, first in (((0.1, 0.4), "water"), ((0.4, 0.1), "plain")):
        attributes = Attributes(("plain", "water"), np.stack([has, has], axis=1), gaps=gaps)
        found = accuracy_discrepancies(attributes, labels, predictions, ("bird", "ship"))
        assert {found.ranked(name)[0].attribute for name in ("bird", "ship")} == {first}


def test_the_table_is_shown_as_text_as_html_and_as_a_data_frame():
    found = planted()
    assert "baby" in str(found).splitlines()[1]
    assert "4 pairs" in found.sentence
    assert "1 the accuracy" in found.sentence
    assert found._repr_html_().count("<tr>") == 5
    frame = found.to_frame()
    assert isinstance(frame, pd.DataFrame)
    rows = found.ranked()
    assert frame["attribute"].tolist() == [row.attribute for row in rows]
    assert frame["difference"].tolist() == [row.difference for row in rows]
    assert list(zip(frame["low"], frame["high"], strict=True)) == [row.interval for row in rows]
    assert frame["confused_with"].tolist() == [row.confused_with for row in rows]


def test_without_effect_any_significant_pair_is_as_rare_as_stated():
    alarms = [
        accuracy_discrepancies(*world(seed, size=400, attributes=30)).significant > 0 for seed in range(200)
    ]
    assert np.mean(alarms) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / len(alarms))


def test_a_thousand_classes_and_hundreds_of_attributes_take_seconds():
    drawn = world(0, size=50_000, num_classes=1000, attributes=500)
    start = time.perf_counter()
    found = accuracy_discrepancies(*drawn)
    assert len(found) > 100_000
    found.ranked(most=20)
    assert time.perf_counter() - start < 20


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": np.zeros(199, dtype=int)}, "199 labels"),
        ({"predictions": np.zeros(199, dtype=int)}, "199 predictions"),
        ({"labels": np.full(200, 3)}, "labels must be"),
        ({"attributes": Attributes((), np.zeros((200, 0), dtype=bool))}, "no attributes"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(changed, message):
    attributes, labels, predictions, class_names = world(0)
    given_ = {"attributes": attributes, "labels": labels, "predictions": predictions}
    with pytest.raises(DataError, match=message):
        accuracy_discrepancies(**{**given_, **changed}, class_names=class_names)


def test_a_least_of_none_is_one_clear_error():
    with pytest.raises(DataError, match="least"):
        accuracy_discrepancies(*world(0), least=0)
