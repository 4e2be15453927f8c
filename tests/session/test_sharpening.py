"""A phrase that the encoder understands badly, sharpened by marked images."""

from __future__ import annotations

import numpy as np
import pytest

from clarify_widget import Session
from clarify_widget.encoders import PrecomputedEncoder
from clarify_widget.errors import DataError, NotFittedError, ScoreError
from tests.session.planted import WIDTH, planted_dataset, planted_encoder


@pytest.fixture
def marks(session):
    """Ten images by whether they are red, which the groups know."""
    red = session.dataset.val.groups % 2 == 1
    return {"has": np.flatnonzero(red)[:5].tolist(), "has_not": np.flatnonzero(~red)[:5].tolist()}


def area(similar, has):
    ranks = np.argsort(np.argsort(similar))[has]
    return (ranks.sum() - has.sum() * (has.sum() - 1) / 2) / (has.sum() * (~has).sum())


def test_marks_teach_a_phrase_that_means_nothing_to_the_encoder(session, marks):
    red = session.dataset.test.groups % 2 == 1
    before = session.score("square", "noise")
    sharpened = session.sharpen("square", "noise", **marks)
    assert sharpened.phrase == "noise, sharpened by 10"
    assert sharpened.score > before.score + 0.3
    assert area(session.similarities("noise", "test"), red) < 0.6
    assert area(session.similarities(sharpened.phrase, "test"), red) > 0.95
    assert session.history("square")[0] == sharpened


def test_it_is_judged_by_images_that_were_not_marked(session, marks):
    members = session.members("square")
    left = ~np.isin(members.indices, [*marks["has"], *marks["has_not"]])
    scored = session.sharpen("square", "noise", **marks)
    assert (scored.wrong, scored.correct) == (
        (~members.correct[left]).sum(),
        members.correct[left].sum(),
    )
    assert scored.left_out == (~left).sum() > 0
    wrong = members.indices[~members.correct]
    with pytest.raises(ScoreError, match="Every wrong validation image of square is marked"):
        session.sharpen("square", "noise", wrong.tolist())


def test_later_marks_join_the_earlier_ones_and_win_over_them(session, marks):
    first = session.sharpen("square", "noise", **marks)
    more = session.sharpen("square", first.phrase, has=marks["has_not"][:1], has_not=[399])
    assert more.phrase == "noise, sharpened by 11"
    known = {one.name: one for one in session.sharpened}[more.phrase]
    assert known.phrase == "noise"
    assert set(known.has) == {*marks["has"], marks["has_not"][0]}
    assert set(known.has_not) == {*marks["has_not"][1:], 399}


def test_other_marks_of_the_same_number_get_a_name_of_their_own(session, marks):
    first = session.sharpen("square", "noise", **marks)
    assert session.sharpen("square", "noise", **marks).phrase == first.phrase
    other = session.sharpen("square", "noise", has=marks["has_not"], has_not=marks["has"])
    assert other.phrase == f"{first.phrase} #2"
    assert not np.allclose(session.similarities(first.phrase), session.similarities(other.phrase))


def test_it_is_kept_retrained_with_undone_and_saved_with_its_examples(session, marks, tmp_path):
    scored = session.sharpen("square", "noise", **marks)
    assert session.expected("square", [scored.phrase])[0].worst_after is not None
    kept = session.annotate("square", scored.phrase)
    assert kept.sharpened[0].has == tuple(marks["has"])
    session.annotate("oval", f"NOT {scored.phrase}")
    comparison = session.retrain()
    folder = session.save(tmp_path / "session")
    loaded = Session.load(folder, encoder=planted_encoder())
    assert list(loaded.annotations) == list(session.annotations)
    assert loaded.history("square") == session.history("square")
    assert str(loaded.compare()) == str(comparison)
    assert loaded.sharpened == session.sharpened
    session.undo()
    session.undo()
    assert [one.phrase for one in session.annotations] == [scored.phrase]


def test_annotations_of_another_session_bring_their_sharpened_phrases_along(session, marks, tmp_path):
    scored = session.sharpen("square", "noise", **marks)
    session.annotate("square", scored.phrase)
    session.annotations.save(tmp_path / "kept.json")
    other = Session(planted_dataset(seed=1), planted_encoder())
    other.fit()
    loaded = other.load_annotations(tmp_path / "kept.json")
    assert next(iter(loaded)).sharpened == session.sharpened
    assert other.history("square")[0].score > 0.3


def test_a_name_that_means_something_else_here_is_refused(session, marks):
    session.sharpen("square", "noise", **marks)
    other = Session(planted_dataset(), planted_encoder())
    other.fit()
    other.sharpen("square", "noise", has=marks["has_not"], has_not=marks["has"])
    with pytest.raises(DataError, match="sharpened by other images"):
        other.learn(session.sharpened)


@pytest.mark.parametrize(
    ("phrase", "marks", "sentence"),
    [
        ("red", {}, "at least one image"),
        ("red", {"has": [3], "has_not": [3]}, "val 3 is marked as having “red” and as not"),
        ("red", {"has": [400]}, "0 to 399; got 400"),
        ("red AND round", {"has": [1]}, "2 phrases joined"),
    ],
)
def test_marks_that_cannot_be_are_one_clear_error(session, phrase, marks, sentence):
    with pytest.raises(DataError, match=sentence):
        session.sharpen("square", phrase, **marks)
    assert session.sharpened == ()
    assert session.history("square") == ()


def test_words_in_capitals_stay_one_phrase_when_sharpened(marks):
    session = Session(planted_dataset(), PrecomputedEncoder(["BLACK AND WHITE"], np.eye(1, WIDTH, 3)))
    session.fit()
    scored = session.sharpen("square", " BLACK  AND WHITE", **marks)
    assert scored.phrase == "BLACK AND WHITE, sharpened by 10"
    assert session.sharpen("square", scored.phrase, has=[399]).phrase == "BLACK AND WHITE, sharpened by 11"


def test_marks_of_two_splits_are_not_mixed(session, marks):
    first = session.sharpen("square", "noise", **marks)
    with pytest.raises(DataError, match="sharpened by val images"):
        session.sharpen("square", first.phrase, has=[1], split="train")
    assert (
        session.sharpen("square", "noise", has=[1], split="train").wrong
        == session.score("square", "red").wrong
    )


def test_sharpening_before_fit_says_so():
    with pytest.raises(NotFittedError):
        Session(planted_dataset(), planted_encoder()).sharpen("square", "red", has=[1])
