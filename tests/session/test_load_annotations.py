"""Annotations travel between sessions as JSON."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from clarify_widget import Annotation, Annotations, Session
from clarify_widget.errors import PhraseError, SavedSessionError, UnknownClassError
from tests.session.planted import planted_dataset, planted_encoder


@pytest.fixture
def file(session, tmp_path):
    session.annotate("square", "red")
    session.annotate("oval", "crimson", 0.125)
    session.switch("oval", "crimson", on=False)
    session.annotations.save(tmp_path / "kept.json")
    return tmp_path / "kept.json"


@pytest.fixture
def other():
    other = Session(planted_dataset(seed=1), planted_encoder())
    other.fit()
    return other


def test_loaded_annotations_are_kept_with_their_thresholds_and_scored_here(session, other, file):
    loaded = other.load_annotations(file)
    assert other.annotations == loaded
    assert [replace(kept, score=None) for kept in loaded] == [
        replace(kept, score=None) for kept in session.annotations
    ]
    for kept in loaded:
        assert kept.score == other.score(kept.class_name, kept.phrase).score
    assert {tried.phrase for tried in other.tried} == {"red", "crimson"}
    assert other.retrain("slice_balanced").objective == "slice_balanced"


def test_loading_is_one_step(other, file):
    other.annotate("square", "noise")
    other.annotate("square", "red", 0.5)
    before = other.annotations
    other.load_annotations(Annotations.load(file))
    assert [kept.phrase for kept in other.annotations] == ["noise", "red", "crimson"]
    assert other.undo() == "Load 2 annotations"
    assert other.annotations == before


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (Annotation("triangle", "red", 0.1), UnknownClassError, "no class 'triangle'"),
        (Annotation("square", "unheard of", 0.1), PhraseError, "unheard of"),
    ],
)
def test_one_that_does_not_fit_keeps_none_of_them(other, wrong, error, message):
    events = []
    other.subscribe(events.append)
    with pytest.raises(error, match=message):
        other.load_annotations(Annotations([Annotation("square", "red", 0.1), wrong]))
    assert (len(other.annotations), other.tried, other.undoable, events) == (0, (), "", [])


def test_a_class_that_the_model_gets_right_keeps_its_phrases_without_a_score():
    data = planted_dataset()
    session = Session(data, planted_encoder(), predictions={"val": data.val.labels})
    session.fit()
    (kept,) = session.load_annotations(Annotations([Annotation("square", "red", 0.25, score=0.5)]))
    assert (kept.threshold, kept.score) == (0.25, None)
    with pytest.raises(PhraseError):
        session.load_annotations(Annotations([Annotation("square", "unheard of", 0.25)]))
    slices = session.sample_weights()
    assert len(np.unique(slices)) == 3  # both sides of the squares, and the ovals


@pytest.mark.parametrize(
    ("content", "message"), [(None, "No such file"), ("{", "not JSON"), ("[]", "format")]
)
def test_a_file_that_holds_no_annotations_says_so(other, tmp_path, content, message):
    if content is not None:
        (tmp_path / "kept.json").write_text(content)
    with pytest.raises(SavedSessionError, match=message):
        other.load_annotations(tmp_path / "kept.json")
    assert other.undoable == ""


def test_nothing_is_loaded_from_an_empty_list(other):
    assert len(other.load_annotations(Annotations())) == 0
    assert other.undoable == ""
