"""Attributes that the model of a session leans on, and what people say of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import clarify_widget as cw
from clarify_widget import Session
from clarify_widget.discovery import Attributes, attributes_from_table
from clarify_widget.errors import (
    CancelledError,
    DataError,
    NotFittedError,
    PhraseError,
    ScoreError,
    UnknownClassError,
)
from clarify_widget.methods.zero_shot import ZeroShotHead
from clarify_widget.session import Judgement
from tests.session.planted import PHRASES, planted_dataset, planted_encoder


def test_the_attribute_that_goes_with_the_class_in_training_comes_first(session):
    found = session.attributes(candidates=PHRASES)
    best = found.ranked("oval")[0]
    assert best.attribute in ("red", "crimson")
    assert best.confused_with == "square"
    assert best.significant
    assert found.ranked("square", direction=-1)[0].attribute in ("red", "crimson")
    assert not any(row.significant for row in found.ranked() if row.attribute == "noise")


@pytest.mark.parametrize("seed", range(5))
def test_the_planted_attribute_of_planted_data_comes_first_in_every_seed(seed):
    world = cw.datasets.planted(3, seed=seed)
    encoder = cw.encoders.PrecomputedEncoder(world.phrases, world.phrase_embeddings)
    session = Session(world.dataset, encoder)
    session.fit()
    found = session.attributes(candidates=world.phrases)
    for label in range(3):
        best = found.ranked(f"class {label}")[0]
        assert best.attribute == f"attribute {label}"
        assert best.significant


def test_a_threshold_that_was_found_goes_on_into_an_annotation(session):
    best = session.attributes(candidates=PHRASES).ranked(most=1)[0]
    kept = session.annotate(best.class_name, best.attribute, best.threshold)
    assert kept.threshold == best.threshold
    split = session.split(best.class_name, best.attribute, kept.threshold)
    assert split.has.sum() == best.present.size
    assert session.retrain().after.worst_group > session.evaluation().worst_group


def test_a_table_a_data_frame_and_attributes_say_the_same(session):
    val = session.dataset.val
    red = val.groups % 2 == 1
    frame = pd.DataFrame({"red": red, "odd": np.arange(len(val)) % 2})
    by_frame = session.attributes(frame)
    by_attributes = session.attributes(attributes_from_table(frame))
    assert by_frame.ranked() == by_attributes.ranked()
    best = by_frame.ranked("oval")[0]
    assert (best.attribute, best.present.size) == ("red", int((red & (val.labels == 1)).sum()))
    assert best.threshold is None
    session.annotate("oval", "red", best.threshold)  # at the threshold of the Error Score


def test_another_split_and_the_retrained_head_are_looked_at_when_asked(session):
    with pytest.raises(NotFittedError):
        session.attributes(candidates=PHRASES, retrained=True)
    session.annotate("oval", "red")
    session.annotate("square", "red")
    session.retrain()
    before = session.attributes(candidates=["red"], split="test").ranked("oval")[0]
    after = session.attributes(candidates=["red"], split="test", retrained=True).ranked("oval")[0]
    assert before.present.size + before.absent.size == (session.dataset.test.labels == 1).sum()
    assert abs(after.difference) < abs(before.difference)


def test_zero_shot_predictions_are_looked_at_as_a_trained_head_is():
    dataset, encoder = planted_dataset(), planted_encoder()
    prototypes = np.zeros((2, 24))
    prototypes[0, 1], prototypes[1, 1], prototypes[0, 0], prototypes[1, 0] = -1, 1, -0.5, 0.5
    zero_shot = ZeroShotHead(prototypes, np.array([0, 1]))
    as_head = Session(dataset, encoder, head=zero_shot)
    as_predictions = Session(
        dataset, encoder, predictions=zero_shot.predict(np.asarray(dataset.val.embeddings))
    )
    found = []
    for session in (as_head, as_predictions):
        session.fit()
        found.append(session.attributes(candidates=PHRASES).ranked())
    assert found[0] == found[1]
    assert found[0][0].attribute in ("red", "crimson")


def test_an_encoder_with_a_threshold_of_its_own_is_taken_at_its_word(session):
    session.encoder.threshold = 0.25
    found = session.attributes(candidates=PHRASES)
    assert {row.threshold for row in found.ranked()} == {0.25}


def test_without_candidates_the_words_of_the_encoder_are_tried_but_for_the_classes():
    session = Session(cw.datasets.shorebirds())
    session.fit()
    found = session.attributes()
    assert {"water bird", "land bird"}.isdisjoint(found.attributes.names)
    assert "forest" in found.attributes.names
    assert found.ranked()[0].attribute in ("water", "ocean", "lake", "forest", "land")


def test_what_cannot_be_looked_for_is_one_clear_error(session):
    with pytest.raises(PhraseError, match="no phrases"):
        session.attributes(candidates=["square", "oval"])
    with pytest.raises(DataError, match="390"):
        session.attributes(Attributes(("red",), np.zeros((390, 1), dtype=bool)))
    with pytest.raises(DataError, match="split"):
        session.attributes(candidates=PHRASES, split="holdout")
    with pytest.raises(CancelledError):
        session.attributes(candidates=PHRASES, cancelled=lambda: True)
    right = replace(session.dataset.val, predictions=session.dataset.val.labels)
    always_right = Session(replace(session.dataset, val=right), session.encoder)
    always_right.fit()
    with pytest.raises(ScoreError, match="right and wrong"):
        always_right.attributes(candidates=PHRASES)


def test_judgements_are_steps_that_can_be_taken_back_and_changed(session):
    told = []
    session.subscribe(told.append)
    session.judge("oval", "red", "spurious", 0.1)
    session.judge("oval", "round", "healthy")
    session.judge("oval", "red", "healthy", 0.1)
    round_, red = session.judgements
    assert (round_.attribute, red) == ("round", Judgement("oval", "red", "healthy", 0.1))
    session.judge("oval", "round", None)
    session.judge("oval", "round", None)  # nothing is left to take back
    assert session.judgements == (red,)
    assert session.undo() == "Leave “round” open"
    assert session.undo() == "Judge “red” healthy"
    assert [one.verdict for one in session.judgements] == ["spurious", "healthy"]
    assert session.redo() == "Judge “red” healthy"
    assert told == ["judged"] * 4 + ["undone"] * 2 + ["redone"]


def test_judgements_are_saved_and_autosaved_with_their_thresholds(session, tmp_path):
    session.autosave(tmp_path / "kept")
    session.judge("oval", "red", "spurious", 0.125)
    session.annotate("oval", "red")
    session.judge("square", "round", "healthy")
    for folder in (tmp_path / "kept", session.save(tmp_path / "saved")):
        again = Session.load(folder, encoder=session.encoder)
        assert again.judgements == session.judgements
        again.undo()
        assert again.judgements == session.judgements[:1]


def test_another_verdict_or_class_is_one_clear_error(session):
    with pytest.raises(DataError, match="healthy or spurious"):
        session.judge("oval", "red", "harmless")
    with pytest.raises(UnknownClassError):
        session.judge("gull", "red", "healthy")
    assert session.judgements == ()
