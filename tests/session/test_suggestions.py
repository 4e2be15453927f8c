"""Phrases that nobody typed, tried all at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from clarify_widget import Session
from clarify_widget.discovery import vocabulary, without_class_names
from clarify_widget.encoders import PrecomputedEncoder
from clarify_widget.errors import CancelledError, PhraseError, ScoreError
from clarify_widget.session import suggestions
from tests.session.planted import WIDTH, planted_dataset, planted_encoder


class CountingEncoder:
    """Knows every word as a direction of its own, and counts what it was asked."""

    name = "counting"
    dim = WIDTH

    def __init__(self):
        self.asked = []

    def encode_images(self, images):
        raise AssertionError(f"no images here; got {len(images)}")

    def encode_text(self, texts):
        self.asked.append(len(texts))
        rows = [np.random.default_rng(sum(text.encode())).normal(size=self.dim) for text in texts]
        return np.asarray(rows, dtype=np.float32)


def session_with(encoder):
    session = Session(planted_dataset(), encoder)
    session.fit()
    return session


def test_the_phrases_of_the_encoder_are_suggested_with_the_scores_that_they_have_alone(session):
    found = session.suggest("square")
    assert {row.scored.phrase for row in found.rows[:2]} == {"red", "crimson"}
    assert all(row.above_noise for row in found.rows[:2])
    for row in found.rows:
        assert replace(session.score("square", row.scored.phrase), best=False) == row.scored
    assert len(found.chance.scores) == 4
    assert "4 meaningless phrases" in found.sentence


def test_nothing_joins_the_history(session):
    session.suggest("square")
    assert session.history("square") == ()


def test_only_what_the_wrong_images_have_more_of_is_suggested_unless_asked_otherwise(session):
    up, down, both = (
        {row.scored.phrase: row.scored.direction for row in session.suggest("oval", direction=way).rows}
        for way in (1, -1, None)
    )
    assert set(up.values()) == {1}
    assert down["red"] == -1
    assert both == up | down
    assert len(session.suggest("oval", 1, direction=None).rows) == 1


def test_the_noise_line_is_that_of_as_many_phrases(session):
    alone = session.suggest("square", candidates=["noise"])
    rng = np.random.default_rng(0)
    many = PrecomputedEncoder([f"word {i}" for i in range(200)], rng.normal(size=(200, WIDTH)))
    crowd = session_with(many).suggest("square")
    assert crowd.chance.noise_line > alone.chance.noise_line + 0.05
    assert len(crowd.rows) == 10
    assert len(crowd.chance.scores) == 200


def test_without_a_list_of_its_own_the_phrases_of_the_package_are_tried_and_embedded_once():
    encoder = CountingEncoder()
    session = session_with(encoder)
    session.suggest("square")
    session.suggest("oval")
    assert sum(encoder.asked) == len(without_class_names(vocabulary(), session.class_names))
    assert max(encoder.asked) <= 16


def test_cancelled_between_batches_it_goes_on_where_it_was():
    encoder = CountingEncoder()
    session = session_with(encoder)
    with pytest.raises(CancelledError):
        session.suggest("square", cancelled=lambda: len(encoder.asked) == 3)
    session.suggest("square")
    assert sum(encoder.asked) == len(without_class_names(vocabulary(), session.class_names))


def test_cancelled_between_images_it_leaves_nothing_behind(session):
    asked = []
    with pytest.raises(CancelledError, match="shuffles"):
        session.suggest("square", cancelled=lambda: asked.append(1) or len(asked) > 100)
    assert session.suggested_already("square") is None


def test_what_was_found_is_remembered_until_the_model_changes(session):
    first = session.suggest("square")
    events = []
    session.subscribe(events.append)
    assert session.suggest("square") is first
    assert session.suggested_already("square") is first
    assert session.suggested_already("oval") is None
    assert events == []
    session.fit()
    assert session.suggested_already("square") is None
    session.suggest("square")
    assert events == ["fitted", "suggested"]


def test_joined_and_opposed_candidates_are_scored_as_they_are_when_typed(session):
    phrases = ["red AND round", "red, not round", "red"]
    for row in session.suggest("square", candidates=phrases, direction=None).rows:
        assert row.scored.score == pytest.approx(session.score("square", row.scored.phrase).score)


def test_nothing_to_suggest_is_one_clear_error(session):
    with pytest.raises(PhraseError, match="no phrases to suggest"):
        session.suggest("square", candidates=["squares"])
    perfect = Session(planted_dataset(), planted_encoder(), predictions=session.dataset.val.labels)
    perfect.fit()
    with pytest.raises(ScoreError, match="right on all"):
        perfect.suggest("oval")


def test_data_too_large_to_do_unasked_says_so(session, monkeypatch):
    assert session.suggests_unasked("square")
    monkeypatch.setattr(suggestions, "MOST_COMPARED", 100)
    assert not session.suggests_unasked("square")
