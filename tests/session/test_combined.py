"""Joined phrases are annotations like any other."""

from __future__ import annotations

import numpy as np
import pytest

from clarify_widget import Session
from clarify_widget.errors import PhraseError
from tests.session.planted import planted_encoder

BOTH = "red AND round"


def standardised(session, phrase, split):
    train, similar = session.similarities(phrase, "train"), session.similarities(phrase, split)
    return (similar.astype(float) - train.mean(dtype=float)) / train.std(dtype=float)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_parts_are_joined_on_the_scale_of_the_training_images(session, split):
    red, round_ = (standardised(session, phrase, split) for phrase in ("red", "round"))
    for phrase, joined in (
        (BOTH, np.minimum(red, round_)),
        ("red OR round", np.maximum(red, round_)),
        ("red NOT round", np.minimum(red, -round_)),
    ):
        np.testing.assert_allclose(session.similarities(phrase, split), np.tanh(joined / 3), atol=1e-5)


def test_or_takes_the_part_with_small_cosines_too(session):
    red, noise = (standardised(session, phrase, "val") for phrase in ("red", "noise"))
    assert 0.2 < (noise > red).mean() < 0.8


def test_a_single_phrase_and_a_contrast_are_as_they_were(session):
    rows = session.encoder.encode_text(["red", "round"])
    images = session.dataset.val.embeddings
    np.testing.assert_allclose(session.similarities("red"), images @ rows[0], atol=1e-6)
    apart = (rows[0] - rows[1]) / np.linalg.norm(rows[0] - rows[1])
    np.testing.assert_allclose(session.similarities("red, not round"), images @ apart, atol=1e-6)


def test_the_whole_loop_runs_with_a_joined_phrase(session, tmp_path):
    scored = session.score("square", "red OR crimson")
    assert scored.score > 0.3
    assert session.expected("square")[0].worst_after is not None
    session.annotate("square", scored.phrase)
    session.annotate("oval", "NOT red")
    comparison = session.retrain()
    assert "red OR crimson" in session.report(tmp_path / "report.html").read_text(encoding="utf-8")
    loaded = Session.load(session.save(tmp_path / "session"), encoder=planted_encoder())
    assert list(loaded.annotations) == list(session.annotations)
    assert str(loaded.compare()) == str(comparison)


def test_a_word_that_the_encoder_does_not_know_is_named_in_any_part(session):
    with pytest.raises(PhraseError, match="bleu"):
        session.score("square", "red AND bleu")
    with pytest.raises(PhraseError, match="not complete"):
        session.score("square", "red AND")
