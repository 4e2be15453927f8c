"""Suggestions, comparing, joining and sharpening, as a page asks for them."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest

from clarify_widget import ClarifyWidget, Session
from clarify_widget.errors import DataError, PhraseError
from tests.fake_page import PATIENCE, FakePage, replace_comms
from tests.session.planted import WIDTH, planted_dataset, planted_encoder

NO_MARKS = {"has": [], "has_not": []}


class WaitingEncoder:
    """Knows every phrase; waits before it answers for more than one at a time."""

    name = "waiting"
    dim = WIDTH

    def __init__(self):
        self.batches = 0
        self.started = threading.Event()
        self.gate = threading.Event()

    def encode_images(self, images):
        raise AssertionError(f"no images here; got {len(images)}")

    def encode_text(self, texts):
        if len(texts) > 1:
            self.batches += 1
            self.started.set()
            assert self.gate.wait(PATIENCE)
        rows = [np.random.default_rng(sum(text.encode())).normal(size=self.dim) for text in texts]
        return np.asarray(rows, dtype=np.float32)


@pytest.fixture(autouse=True)
def pages(monkeypatch):
    replace_comms(monkeypatch, FakePage)


def shown(encoder):
    session = Session(planted_dataset(), encoder)
    session.fit()
    return ClarifyWidget(session)


@pytest.fixture
def widget():
    widget = shown(planted_encoder())
    yield widget
    widget.close()


@pytest.fixture
def page(widget):
    widget.comm.request("select_class", class_name="square")
    return widget.comm


def has_suggestions(state):
    return state["suggestions"]["state"] == "ready"


# -- suggestions


def test_suggestions_come_unasked_with_what_chance_alone_would_reach(widget, page):
    page.wait_until(has_suggestions)
    found = page.state["suggestions"]
    ranking = widget.session.suggest("square")
    assert [one["phrase"] for one in found["phrases"]] == [row.scored.phrase for row in ranking.rows]
    assert found["noise_line"] == ranking.chance.noise_line
    assert found["sentence"] == ranking.sentence
    assert page.state["history"] == []
    json.dumps(found, allow_nan=False)


def test_each_class_has_its_own(page):
    page.wait_until(has_suggestions)
    squares = page.state["suggestions"]
    page.request("select_class", class_name="oval")
    page.wait_until(lambda state: has_suggestions(state) and state["suggestions"] != squares)
    page.request("select_class", class_name="square")
    assert page.state["suggestions"] == squares


def test_typing_stops_them_and_the_next_phrase_brings_them_back():
    encoder = WaitingEncoder()
    widget = shown(encoder)
    page = widget.comm
    assert encoder.started.wait(PATIENCE)
    page.request("typing", over=False)
    encoder.gate.set()
    page.request("score", class_name="square", phrase="red")
    assert page.state["phrase"] == "red"
    page.wait_until(has_suggestions)
    batches = encoder.batches
    page.request("select_class", class_name="oval")
    page.wait_until(has_suggestions)
    assert encoder.batches == batches, "a phrase was embedded twice"
    widget.close()


def test_a_phrase_is_scored_while_suggestions_are_looked_for():
    encoder = WaitingEncoder()
    widget = shown(encoder)
    assert encoder.started.wait(PATIENCE)
    widget.comm.request("score", class_name="square", phrase="red")
    assert widget.comm.state["suggestions"]["state"] == "pending"
    encoder.gate.set()
    widget.close()


def test_large_data_wait_until_somebody_asks(monkeypatch):
    monkeypatch.setattr("clarify_widget.session.suggestions.MOST_COMPARED", 1)
    widget = shown(planted_encoder())
    page = widget.comm
    assert page.state["suggestions"] == {"state": "ask", "noise_line": None, "sentence": "", "phrases": []}
    page.request("suggest", class_name=page.state["class_name"])
    page.wait_until(has_suggestions)
    widget.close()


def test_a_class_without_errors_has_none():
    data = planted_dataset()
    session = Session(data, planted_encoder(), predictions=data.val.labels)
    session.fit()
    widget = ClarifyWidget(session)
    assert widget.suggestions["state"] == "none"
    widget.close()


# -- history


def test_history_says_how_right_the_model_is_without_and_with_each_phrase(widget, page):
    page.request("score", class_name="square", phrase="red")
    parts = widget.session.split("square", "red", page.state["threshold"])
    accuracies = [parts.correct[~parts.has].mean(), parts.correct[parts.has].mean()]
    assert page.state["history"][0]["accuracies"] == pytest.approx(accuracies)
    page.write(threshold=0.3)
    parts = widget.session.split("square", "red", 0.3)
    assert page.state["history"][0]["accuracies"][1] == pytest.approx(parts.correct[parts.has].mean())


def test_history_that_was_loaded_fills_up_without_holding_anybody_up(widget, page, tmp_path):
    page.request("score", class_name="square", phrase="red")
    loaded = Session.load(widget.session.save(tmp_path / "session"), encoder=planted_encoder())
    again = ClarifyWidget(loaded)
    again.comm.request("select_class", class_name="square")
    again.comm.wait_until(lambda state: state["history"][0]["accuracies"] is not None)
    assert again.history[0]["accuracies"] == page.state["history"][0]["accuracies"]
    again.close()


# -- two phrases


def test_two_phrases_are_compared_at_the_thresholds_that_are_shown(widget, page):
    page.request("score", class_name="square", phrase="round")
    page.request("score", class_name="square", phrase="red")
    page.write(threshold=0.3)
    result = page.request("compare_phrases", class_name="square", first="red", second="round")
    expected = widget.session.compare_phrases("square", "red", "round", thresholds={"red": 0.3})
    assert [cell["size"] for cell in result["cells"]] == [cell.size for cell in expected.cells]
    assert result["sentence"] == expected.sentence
    assert page.state["phrase"] == "red"
    json.dumps(result, allow_nan=False)


def test_a_comparison_that_fails_leaves_the_banner_alone(page):
    error = page.refused("compare_phrases", class_name="square", first="red", second="bleu")
    assert error["type"] == "PhraseError"
    assert page.state["error"] is None


def test_each_view_gets_the_comparison_that_it_asked_for(widget, page, monkeypatch):
    compare, gate = widget.session.compare_phrases, threading.Event()

    def wait(*phrases, **settings):
        assert gate.wait(PATIENCE)
        return compare(*phrases, **settings)

    monkeypatch.setattr(widget.session, "compare_phrases", wait)
    others = ("round", "crimson", "noise")
    asked = [page.ask("compare_phrases", class_name="square", first="red", second=other) for other in others]
    gate.set()
    assert [page.answer(one)[0]["result"]["second"]["phrase"] for one in asked] == list(others)


def test_a_joined_phrase_is_shown_kept_and_its_threshold_moved(page):
    page.request("score", class_name="square", phrase="red AND crimson")
    assert page.state["phrase"] == "red AND crimson"
    assert -1 <= page.state["threshold"] <= 1
    page.write(threshold=0.2)
    page.request("keep", class_name="square", phrase="red AND crimson", threshold=0.2)
    assert page.state["annotations"][0]["threshold"] == 0.2


# -- marks


def test_marks_belong_to_the_phrase_and_sharpen_it(widget, page):
    page.request("score", class_name="square", phrase="noise")
    assert page.state["marks"] == NO_MARKS
    red = widget.session.dataset.val.groups % 2 == 1
    has, has_not = np.flatnonzero(red)[:5].tolist(), np.flatnonzero(~red)[:5].tolist()
    page.request("mark", phrase="noise", indices=has, has=True)
    page.request("mark", phrase="noise", indices=has_not, has=False)
    assert page.state["marks"] == {"has": has, "has_not": has_not}
    before = page.state["score"]["score"]
    page.request("sharpen", class_name="square", phrase="noise")
    assert page.state["phrase"] == "noise, sharpened by 10"
    assert page.state["score"]["score"] > before + 0.3
    assert page.state["marks"] == {"has": has, "has_not": has_not}
    page.request("score", class_name="square", phrase="red")
    assert page.state["marks"] == NO_MARKS


def test_a_sharpened_phrase_goes_on_from_its_marks(page):
    page.request("score", class_name="square", phrase="noise")
    page.request("mark", phrase="noise", indices=[1, 2], has=True)
    page.request("sharpen", class_name="square", phrase="noise")
    page.request("mark", phrase="noise, sharpened by 2", indices=[2, 3], has=False)
    assert page.state["marks"] == {"has": [1], "has_not": [2, 3]}
    page.request("sharpen", class_name="square", phrase="noise, sharpened by 2")
    assert page.state["phrase"] == "noise, sharpened by 3"
    page.request("mark", phrase="noise", indices=[1, 2, 3], has=None)
    assert page.state["marks"] == NO_MARKS


def test_marks_come_back_with_a_saved_session(widget, page, tmp_path):
    page.request("score", class_name="square", phrase="noise")
    page.request("mark", phrase="noise", indices=[1, 2], has=True)
    page.request("sharpen", class_name="square", phrase="noise")
    loaded = Session.load(widget.session.save(tmp_path / "session"), encoder=planted_encoder())
    again = ClarifyWidget(loaded)
    again.comm.request("score", class_name="square", phrase="noise, sharpened by 2")
    assert again.marks == {"has": [1, 2], "has_not": []}
    again.close()


def test_marking_and_sharpening_in_a_cell_show_in_the_widget(widget, page):
    with pytest.raises(PhraseError, match="no phrase to mark"):
        widget.mark([1], has=True)
    widget.class_name, widget.phrase = "square", "noise"
    with pytest.raises(DataError, match="at least one image"):
        widget.sharpen()
    widget.mark(np.array([1, 2]), has=True)
    assert widget.sharpen().phrase == widget.phrase == page.state["phrase"] == "noise, sharpened by 2"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"phrase": "red", "indices": [400], "has": True}, "0 to 399; got 400"),
        ({"phrase": "red AND round", "indices": [1], "has": True}, "2 phrases joined"),
        ({"phrase": " ", "indices": [1], "has": True}, "no phrase to mark"),
        ({"phrase": "red", "indices": [1], "has": "yes"}, "true, false or null"),
        ({"phrase": "red", "indices": ["1"], "has": True}, "whole numbers"),
    ],
)
def test_marks_that_cannot_be_are_refused_in_one_sentence(page, fields, sentence):
    page.request("score", class_name="square", phrase="red")
    assert sentence in page.refused("mark", **fields)["message"]
    assert page.state["marks"] == NO_MARKS
