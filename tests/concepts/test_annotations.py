from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarify_widget.concepts import Annotation, Annotations
from clarify_widget.errors import DataError, PhraseError, SavedSessionError

RED = Annotation("square", "red", 0.21, 0.7)
DARK = Annotation("square", "dark", 0.3, 0.4)
BLUE = Annotation("oval", "blue", 0.18, 0.5)

one_annotation = st.builds(
    Annotation,
    class_name=st.text(max_size=5),
    phrase=st.text(min_size=1, max_size=8).filter(str.strip),
    threshold=st.floats(allow_nan=False, allow_infinity=False),
    score=st.none() | st.floats(0, 1),
)


def test_add_keeps_the_order_and_leaves_the_original_alone():
    before = Annotations([RED])
    assert list(before.add(BLUE)) == [RED, BLUE]
    assert list(before) == [RED]


def test_add_replaces_the_same_class_and_phrase_in_place():
    moved = Annotation("square", "red", 0.25, 0.6)
    assert list(Annotations([RED, BLUE]).add(moved)) == [moved, BLUE]


def test_remove_takes_one_out_and_names_what_is_there_when_it_cannot():
    kept = Annotations([RED, DARK, BLUE])
    assert list(kept.remove("square", "red")) == [DARK, BLUE]
    with pytest.raises(DataError, match=r"green.*red.*dark"):
        kept.remove("square", "green")


def test_best_per_class_is_the_highest_score_then_the_latest():
    again = Annotation("square", "crimson", 0.2, 0.7)
    unscored = Annotation("oval", "round", 0.2)
    assert list(Annotations([unscored, RED, DARK, BLUE, again]).best_per_class()) == [BLUE, again]


def test_of_class_keeps_the_order():
    assert list(Annotations([RED, BLUE, DARK]).of_class("square")) == [RED, DARK]


@settings(max_examples=50, deadline=None)
@given(kept=st.lists(one_annotation, max_size=4).map(Annotations))
def test_what_is_saved_is_loaded_whatever_people_typed(kept, tmp_path_factory):
    path = tmp_path_factory.mktemp("annotations") / "kept.json"
    kept.save(path)
    assert Annotations.load(path) == kept


def test_numpy_thresholds_are_saved_as_numbers(tmp_path):
    Annotations([Annotation("square", "<b>🟥</b>", np.float32(0.25))]).save(tmp_path / "kept.json")
    saved = json.loads((tmp_path / "kept.json").read_text(encoding="utf-8"))
    assert saved["annotations"][0]["threshold"] == 0.25


@pytest.mark.parametrize(
    "content",
    [
        "not json",
        "[]",
        "{}",
        '{"format": "clarify_widget annotations", "version": 99, "annotations": []}',
        '{"format": "clarify_widget annotations", "version": 1}',
        '{"format": "clarify_widget annotations", "version": 1, "annotations": [{"class_name": "a"}]}',
        (
            '{"format": "clarify_widget annotations", "version": 1, '
            '"annotations": [{"class_name": "a", "phrase": " ", "threshold": 0}]}'
        ),
    ],
)
def test_a_file_that_is_not_annotations_is_one_clear_error(content, tmp_path):
    path = tmp_path / "kept.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SavedSessionError):
        Annotations.load(path)


def test_a_missing_file_is_one_clear_error(tmp_path):
    with pytest.raises(SavedSessionError, match="absent"):
        Annotations.load(tmp_path / "absent.json")


@pytest.mark.parametrize("phrase", ["", "   ", "\n", None, 3])
def test_an_annotation_without_a_phrase_is_an_error(phrase):
    with pytest.raises(PhraseError):
        Annotation("square", phrase, 0.1)


@pytest.mark.parametrize("threshold", [np.nan, np.inf, None, "0.2", True])
def test_an_annotation_without_a_finite_threshold_is_an_error(threshold):
    with pytest.raises(DataError, match="threshold"):
        Annotation("square", "red", threshold)


@pytest.mark.parametrize("score", [-0.1, 1.1, np.nan])
def test_a_score_outside_its_range_is_an_error(score):
    with pytest.raises(DataError, match=r"(?i)score"):
        Annotation("square", "red", 0.1, score)


def test_annotations_of_the_first_version_are_read_as_switched_on():
    entry = {"class_name": "square", "phrase": "red", "threshold": 0.25, "score": 0.5}
    old = {"format": "clarify_widget annotations", "version": 1, "annotations": [entry]}
    assert list(Annotations.from_dict(old)) == [Annotation("square", "red", 0.25, score=0.5)]


def test_the_best_of_a_class_is_looked_for_among_those_that_are_switched_on():
    best, other = Annotation("a", "x", 0.1, 0.9, active=False), Annotation("a", "y", 0.1, 0.2)
    assert list(Annotations([best, other]).best_per_class()) == [other]
    assert not Annotations([best]).best_per_class()
