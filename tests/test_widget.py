from __future__ import annotations

import io
import itertools
import re
import threading
import time
from dataclasses import replace
from datetime import datetime, timezone

import numpy as np
import pytest
import traitlets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from clarify_widget import ClarifyWidget, Session
from clarify_widget.datasets.images import ImageList
from clarify_widget.errors import (
    CancelledError,
    DataError,
    NotFittedError,
    PhraseError,
    ScoreError,
    UnknownClassError,
)
from clarify_widget.session import expected as expected_module
from clarify_widget.session.curve import RetrainProgress
from clarify_widget.training import FitProgress
from clarify_widget.widget import runs as runs_module
from clarify_widget.widget import widget as widget_module
from tests.fake_page import PATIENCE, FakePage, replace_comms
from tests.session.planted import planted_dataset, planted_encoder

MISSPELT = "objektive"
WORKED_OUT_LATER = {"history", "sides", "suggestions"}


class AnyPhraseEncoder:
    """Knows every phrase, each as a direction of its own; can be made to wait before it answers."""

    name = "any phrase"
    dim = 24

    def __init__(self):
        self.started = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.asked = []

    def encode_images(self, images):
        raise AssertionError(f"every image here comes with its embedding; got {len(images)} to embed")

    def encode_text(self, texts):
        self.asked.extend(texts)
        self.started.set()
        assert self.gate.wait(PATIENCE)
        rows = [np.random.default_rng(sum(text.encode())).normal(size=self.dim) for text in texts]
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


@pytest.fixture(autouse=True)
def pages(monkeypatch):
    """Every comm that is opened is the end of a fake page; by comm id."""
    opened = {}

    def create_comm(**keys):
        page = FakePage(**{"comm_id": f"comm-{len(opened)}", **keys})
        opened[page.comm_id] = page
        return page

    replace_comms(monkeypatch, create_comm)
    return opened


@pytest.fixture
def session():
    fitted = Session(planted_dataset(), planted_encoder())
    fitted.fit()
    return fitted


@pytest.fixture
def widget(session):
    shown = ClarifyWidget(session)
    yield shown
    shown.close()


@pytest.fixture
def page(widget):
    return widget.comm


def progress_at(iteration, *, loss, fraction):
    return RetrainProgress(FitProgress(iteration, loss, 1.0, fraction), 1.0, ())


def session_of(**changed):
    """A session whose validation split differs from the planted one."""
    data = planted_dataset()
    return Session(replace(data, val=replace(data.val, **changed)), AnyPhraseEncoder())


# -- opening


def test_opens_on_the_worst_class_without_a_phrase(session, page):
    worst = session.classes()[0]
    rows, similar, correct = page.examples()

    assert page.state["class_name"] == worst.name
    assert page.state["phrase"] == ""
    assert (
        page.state["threshold"]
        is page.state["score"]
        is page.state["comparison"]
        is page.state["error"]
        is None
    )
    assert page.state["status"]["state"] == "ready"
    assert page.state["dataset_name"] == "planted"
    assert page.state["encoder_name"] == "planted words"
    np.testing.assert_array_equal(rows, session.members(worst.name).indices)
    assert (~correct).sum() == worst.wrong
    assert np.isnan(similar).all()


def test_fits_a_session_that_is_not_fitted():
    session = Session(planted_dataset(), planted_encoder())

    widget = ClarifyWidget(session)

    assert session.fitted
    assert widget.status["state"] == "ready"


def test_failing_fit_is_raised_and_leaves_no_widget(pages):
    rows = np.zeros((400, 24), dtype=np.float32)
    session = session_of(embeddings=rows)

    with pytest.raises(DataError, match="all-zero row"):
        ClarifyWidget(session)

    assert [page.closed for page in pages.values() if "class_name" in page.state] == [True]


def test_misspelt_argument_names_the_right_one(session):
    with pytest.raises(TypeError, match=r"no argument 'objektive'.* Did you mean 'objective'\?"):
        ClarifyWidget(session, **{MISSPELT: "erm"})


def test_data_set_instead_of_a_session_says_how_to_make_one():
    with pytest.raises(
        TypeError, match=r"got Dataset. Make one first: cw.ClarifyWidget\(cw.Session\(dataset\)\)"
    ):
        ClarifyWidget(planted_dataset())


# -- scoring


def test_scored_phrase_repaints_with_one_message(session, page):
    before = len(page.updates)

    assert page.request("score", class_name="oval", phrase="red") == {}

    (update,) = (update for update in page.updates[before:] if not set(update) <= WORKED_OUT_LATER)
    scored = session.history("oval")[0]
    assert {"class_name", "phrase", "threshold", "examples_key", "score", "history"} - set(update) <= {
        "class_name"
    }
    assert page.state["score"]["score"] == scored.score
    assert page.state["threshold"] == scored.threshold
    rows, similar, _ = page.examples()
    np.testing.assert_array_equal(similar, session.similarities("red")[rows])


def test_similarities_come_after_what_can_be_shown_at_a_glance(page):
    page.request("select_class", class_name="oval")
    page.messages.clear()

    page.request("score", class_name="oval", phrase="red")
    page.request("select_class", class_name="square")

    assert [kind for kind in page.messages if kind in ("examples", "glance")] == [
        *("glance", "examples"),
        *("examples", "glance"),  # other images come first, and there is nothing to show before them
    ]
    assert page.state["glance"] is None


def test_glance_is_at_what_is_shown(page):
    page.request("select_class", class_name="oval")
    page.request("score", class_name="oval", phrase="red")

    rows, similar, correct = page.examples()
    assert page.state["glance"]["key"] == page.state["examples_key"]
    assert page.state["glance"]["members"] == page.members_name
    below = similar <= page.state["threshold"]
    assert page.state["glance"]["without"] == [below.sum(), (below & ~correct).sum()]
    assert sum(page.state["glance"]["right"]) + sum(page.state["glance"]["wrong"]) == len(rows)


def test_history_of_the_class_is_newest_first_with_the_best_marked(page):
    for phrase in ("noise", "red", "round"):
        page.request("score", class_name="oval", phrase=phrase)

    assert [tried["phrase"] for tried in page.state["history"]] == ["round", "red", "noise"]
    assert [tried["best"] for tried in page.state["history"]] == [False, True, False]


def test_what_was_scored_while_typing_leaves_the_history(page):
    page.request("score", class_name="oval", phrase="red")
    page.request("score", class_name="oval", phrase="noise")
    page.request("score", class_name="oval", phrase="round", instead_of=["noise"])

    assert [tried["phrase"] for tried in page.state["history"]] == ["round", "red"]
    error = page.refused("score", class_name="oval", phrase="red", instead_of="noise")
    assert "list of texts" in error["message"]


def test_other_class_shows_its_own_images_and_history(session, page):
    page.request("score", class_name="oval", phrase="red")
    page.request("select_class", class_name="square")

    assert (page.state["class_name"], page.state["phrase"], page.state["history"]) == ("square", "", [])
    np.testing.assert_array_equal(page.examples()[0], session.members("square").indices)


def test_latest_request_wins_and_those_before_are_told_so():
    session = session_of()
    widget = ClarifyWidget(session)
    page, encoder = widget.comm, session.encoder
    encoder.started.clear()
    encoder.gate.clear()

    running = page.ask("score", class_name="oval", phrase="one")
    assert encoder.started.wait(PATIENCE)
    waiting = page.ask("score", class_name="oval", phrase="two")
    latest = page.ask("score", class_name="oval", phrase="three")
    encoder.gate.set()

    results = [page.answer(request)[0]["result"] for request in (running, waiting, latest)]
    assert results == [{"stale": True}, {"stale": True}, {}]
    assert page.state["phrase"] == "three"
    assert not any("two" in text for text in encoder.asked)


def test_images_and_small_requests_are_answered_while_a_phrase_is_embedded(page, session):
    session.encoder = AnyPhraseEncoder()
    session.encoder.gate.clear()
    running = page.ask("score", class_name="oval", phrase="slow")
    assert session.encoder.started.wait(PATIENCE)

    assert page.request("hello") == {}
    assert len(page.request("thumbnails", split="val", indices=[0, 1], size=96)["items"]) == 2

    session.encoder.gate.set()
    page.answer(running)


@pytest.mark.parametrize(
    "phrase", ["<img src=x onerror=alert(1)>", "</script>", "🦆 on 🌊", "красный", '"; DROP']
)
def test_phrase_with_markup_or_emoji_goes_through_unharmed(phrase):
    widget = ClarifyWidget(session_of())

    assert widget.comm.request("score", class_name="oval", phrase=phrase) == {}
    assert widget.comm.state["phrase"] == phrase
    assert widget.comm.state["history"][0]["phrase"] == phrase


def test_class_names_with_markup_or_emoji_go_through_unharmed():
    data = replace(planted_dataset(), class_names=("<b>bold</b>", "🦆"))
    widget = ClarifyWidget(Session(data, planted_encoder()))

    for name in data.class_names:
        assert widget.comm.request("score", class_name=name, phrase="red") == {}
        assert widget.comm.state["class_name"] == name


# -- bad input: one clear sentence, nothing lost


TRAITS_THAT_STAY = (
    "class_name",
    "phrase",
    "threshold",
    "examples_key",
    "score",
    "history",
    "annotations",
    "comparison",
    "can_undo",
    "can_redo",
    "models",
    "objective",
    "theme",
)


def what_stays(state):
    """The traits that only people change; previews come into the history by themselves."""
    history = [{**tried, "expected": None} for tried in state["history"]]
    return {**{name: state[name] for name in TRAITS_THAT_STAY}, "history": history}


BAD_REQUESTS = [
    ("score", {"class_name": "oval", "phrase": ""}, "The phrase is empty"),
    ("score", {"class_name": "oval", "phrase": " \n\t"}, "The phrase is empty"),
    ("score", {"class_name": "oval", "phrase": "a" * 10_000}, "10,000|10000"),
    ("score", {"class_name": "oval", "phrase": "velvet"}, "velvet"),
    ("score", {"class_name": "cube", "phrase": "red"}, "There is no class 'cube'"),
    ("score", {"class_name": "oval"}, "needs 'phrase' as text; got None"),
    ("score", {"phrase": "red"}, "needs 'class_name' as text"),
    ("select_class", {"class_name": 3}, "needs 'class_name' as text; got 3"),
    ("keep", {"class_name": "oval", "phrase": "", "threshold": 0.1}, "no phrase to keep"),
    (
        "keep",
        {"class_name": "oval", "phrase": "red", "threshold": None},
        "needs 'threshold' as a finite number",
    ),
    ("keep", {"class_name": "oval", "phrase": "red", "threshold": float("nan")}, "finite number; got nan"),
    ("keep", {"class_name": "oval", "phrase": "red", "threshold": "0.1"}, "finite number; got '0.1'"),
    ("remove", {"class_name": "oval", "phrase": "noise"}, "not kept"),
    ("retrain", {"objective": "fastest"}, "objective is one of .*; got 'fastest'"),
    ("retrain", {}, "needs 'objective' as text"),
    ("explode", {}, "There is no request 'explode'"),
]


@pytest.mark.parametrize(("request_type", "fields", "sentence"), BAD_REQUESTS)
def test_bad_request_gets_one_sentence_and_nothing_is_lost(page, caplog, request_type, fields, sentence):
    page.request("score", class_name="oval", phrase="red")
    page.request("keep", class_name="oval", phrase="red", threshold=0.1)
    before = what_stays(page.state)

    error = page.refused(request_type, **fields)

    assert page.state["error"] == error
    assert what_stays(page.state) == before
    assert "\n" not in error["message"].strip()
    assert re.search(sentence, error["message"])
    assert not caplog.records


def test_next_request_that_works_takes_the_error_away(page):
    page.refused("score", class_name="oval", phrase="")
    page.request("score", class_name="oval", phrase="red")

    assert page.state["error"] is None


def test_message_that_is_no_request_is_answered_too(page):
    page._deliver({"content": {"data": {"method": "custom", "content": ["hello"]}}, "buffers": []})

    content, _ = page.answer("")
    assert not content["ok"]


def test_asking_for_suggestions_takes_an_error_away_as_every_verb_does(page):
    page.refused("score", class_name="oval", phrase="")
    page.request("suggest", class_name="oval")
    assert page.state["error"] is None


def test_class_without_errors_says_so():
    data = planted_dataset()
    right = np.where(data.val.labels == 1, 1, 1 - data.val.labels)
    widget = ClarifyWidget(session_of(predictions=right))

    error = widget.comm.refused("score", class_name="oval", phrase="red")

    assert error["type"] == "ScoreError"
    assert "right on all" in error["message"]
    with pytest.raises(ScoreError, match="right on all"):
        Session.score(widget.session, "oval", "red")


def test_class_with_one_image_says_that_there_is_nothing_to_compare():
    data = planted_dataset()
    rows = np.concatenate([np.flatnonzero(data.val.labels == 0), np.flatnonzero(data.val.labels == 1)[:1]])
    session = Session(replace(data, val=data.val.take(rows)), planted_encoder())
    widget = ClarifyWidget(session)

    widget.comm.request("select_class", class_name="oval")
    assert len(widget.comm.examples()[0]) == 1
    assert widget.comm.refused("score", class_name="oval", phrase="red")["type"] == "ScoreError"


def test_equal_images_score_nothing():
    rows = np.tile(np.eye(24, dtype=np.float32)[0], (400, 1))
    predictions = np.arange(400) % 2
    widget = ClarifyWidget(session_of(embeddings=rows, predictions=predictions))

    widget.comm.request("score", class_name="oval", phrase="red")

    assert widget.comm.state["score"]["score"] == 0
    assert widget.comm.state["score"]["p_value"] == 1


def test_unexpected_error_is_one_sentence_for_people_and_a_traceback_in_the_log(
    page, session, caplog, monkeypatch
):
    def explode(*_arguments, **_settings):
        raise KeyError("wires")

    monkeypatch.setattr(session, "score", explode)

    error = page.refused("score", class_name="oval", phrase="red")

    assert error["message"] == "Something unexpected went wrong ('wires'); nothing was lost."
    assert "Traceback" in caplog.text


# -- from Python


def test_assigned_phrase_is_scored_and_repaints_with_one_message(widget, page, session):
    widget.class_name = "square"
    before = len(page.updates)

    widget.phrase = " red "

    assert widget.phrase == "red"
    assert widget.score["score"] == session.history("square")[0].score
    (update,) = (update for update in page.updates[before:] if not set(update) <= WORKED_OUT_LATER)
    assert update["phrase"] == "red"


def test_assigned_class_shows_it_without_a_phrase(widget, page):
    page.request("score", class_name="oval", phrase="red")
    widget.class_name = "square"

    assert (widget.class_name, widget.phrase, widget.score, widget.threshold) == ("square", "", None, None)


@pytest.mark.parametrize(
    ("trait", "value", "error", "sentence"),
    [
        ("class_name", "cube", UnknownClassError, "There is no class 'cube'"),
        ("phrase", "velvet", PhraseError, "velvet"),
        ("phrase", "   ", PhraseError, "phrase"),
        ("phrase", 3, traitlets.TraitError, "expected a unicode string"),
        ("threshold", float("nan"), traitlets.TraitError, "a similarity between -1 and 1; got nan"),
        ("threshold", None, traitlets.TraitError, "a similarity between -1 and 1; got None"),
        ("threshold", "half", traitlets.TraitError, "expected a float"),
        ("objective", "slice_balance", traitlets.TraitError, "Did you mean 'slice_balanced'"),
        (
            "theme",
            "drak",
            traitlets.TraitError,
            "theme is one of auto, light, dark; got 'drak'. Did you mean 'dark'",
        ),
        ("selected", [400], traitlets.TraitError, "val has images 0 to 399; got 400"),
        ("selected", [0.5], traitlets.TraitError, "Rows are whole numbers; got 0.5"),
        ("selected", [True], traitlets.TraitError, "numpy.flatnonzero(mask)"),
        ("selected", 3, traitlets.TraitError, "selected is a list of validation rows"),
        ("score", {}, traitlets.TraitError, "read-only"),
        ("classes", [], traitlets.TraitError, "read-only"),
    ],
)
def test_wrong_trait_value_is_one_sentence_and_nothing_is_lost(widget, trait, value, error, sentence):
    widget.phrase = "red"
    before = what_stays(widget.trait_values())

    with pytest.raises(error) as raised:
        setattr(widget, trait, value)

    assert sentence in str(raised.value)
    assert what_stays(widget.trait_values()) == before


def test_threshold_needs_a_phrase(widget):
    with pytest.raises(traitlets.TraitError, match="no phrase to put a threshold to"):
        widget.threshold = 0.1


def test_threshold_is_kept_inside_what_a_similarity_can_be(widget):
    widget.phrase = "red"
    widget.threshold = 7

    assert widget.threshold == 1.0


def test_moved_threshold_is_there_when_the_phrase_is_shown_again(widget):
    widget.phrase = "red"
    widget.threshold = 0.25
    widget.phrase = "noise"
    widget.phrase = "red"

    assert widget.threshold == 0.25


def test_moved_threshold_stays_in_the_history_when_something_else_changes(widget, session):
    widget.phrase = "red"
    widget.threshold = 0.25
    widget.phrase = ""
    before = widget.history[0]["accuracies"]
    other = next(name for name in session.class_names if name != widget.class_name)
    session.annotate(other, "noise")
    assert widget.history[0]["accuracies"] == before


def test_kept_threshold_takes_the_place_of_the_one_that_was_moved(widget, session):
    widget.phrase = "red"
    widget.threshold = 0.25
    session.annotate(widget.class_name, "red", 0.5)
    widget.phrase = ""
    widget.phrase = "red"
    assert widget.threshold == 0.5


def test_keep_takes_what_is_shown(widget):
    widget.phrase = "red"
    widget.threshold = 0.25

    kept = widget.keep()

    assert (kept.class_name, kept.phrase, kept.threshold) == (widget.class_name, "red", 0.25)
    assert widget.annotations[0]["threshold"] == 0.25
    assert widget.history[0]["kept"]
    assert "red" in widget.can_undo


def test_nothing_shown_is_nothing_to_keep(widget):
    with pytest.raises(PhraseError, match="no phrase to keep"):
        widget.keep()


def test_a_kept_phrase_can_be_switched_off_and_the_page_sees_which_one_is_used(page, session):
    for phrase in ("noise", "red"):
        page.request("keep", class_name="oval", phrase=phrase, threshold=-0.3)
    session.annotate("oval", "red")
    assert [(kept["active"], kept["used"]) for kept in page.state["annotations"]] == [
        (True, False),
        (True, True),
    ]
    page.request("switch", class_name="oval", phrase="red", on=False)
    assert [(kept["active"], kept["used"]) for kept in page.state["annotations"]] == [
        (True, True),
        (False, False),
    ]
    assert page.refused("switch", class_name="oval", phrase="blue", on=True)["type"] == "DataError"
    assert page.request("undo") == {"undone": "Switch “red” off"}
    assert page.state["can_redo"] == "Switch “red” off"
    assert page.request("redo") == {"redone": "Switch “red” off"}
    assert page.state["can_redo"] == ""
    assert not page.state["annotations"][1]["active"]


def test_every_model_is_listed_and_one_can_be_returned_to(page, session):
    page.request("keep", class_name="oval", phrase="red", threshold=-0.3)
    first = session.retrain()
    session.retrain("class_balanced")
    assert [model["in_use"] for model in page.state["models"]] == [False, True]
    assert page.state["models"][0]["phrases"] == ["red"]
    worst = next(row for row in first.rows if row.kind == "worst")
    assert page.state["models"][0]["worst"] == [worst.before, worst.after]
    assert all(len(point) == 4 for point in page.state["models"][0]["curve"])

    page.request("use_model", number=1)
    assert [model["in_use"] for model in page.state["models"]] == [True, False]
    assert page.state["comparison"]["objective"] == "slice_balanced"
    page.request("use_model", number=0)
    assert page.state["comparison"] is None
    assert "models 0 to 2; got 7" in page.refused("use_model", number=7)["message"]


def test_what_the_threshold_does_to_the_training_images_follows_the_score_and_the_threshold(page, session):
    page.request("score", class_name="oval", phrase="red")
    page.wait_until(lambda state: state["sides"])
    page.write(threshold=0.1)
    page.wait_until(lambda state: state["sides"] and state["sides"]["threshold"] == 0.1)
    expected = session.sides("oval", "red", 0.1)
    assert page.state["sides"]["train"] == [expected.train.without, expected.train.having]
    assert page.state["sides"]["warnings"] == list(expected.warnings)
    page.request("select_class", class_name="square")
    assert page.state["sides"] is None


def test_undo_takes_back_and_shows_it(widget):
    widget.phrase = "red"
    widget.keep()

    assert "red" in widget.undo()
    assert (widget.annotations, widget.can_undo, widget.phrase) == ([], "", "red")
    assert widget.undo() == ""


# -- what a page writes


def test_threshold_that_a_page_commits_is_taken(widget, page):
    page.request("score", class_name="oval", phrase="red")
    page.write(threshold=0.3)

    assert widget.threshold == 0.3


@pytest.mark.parametrize(
    "state",
    [
        {"threshold": None},
        {"threshold": float("nan")},
        {"threshold": "x"},
        {"objective": "none"},
        {"theme": "blue"},
    ],
)
def test_wrong_value_from_a_page_is_sent_back(widget, page, state):
    page.request("score", class_name="oval", phrase="red")
    page.write(threshold=0.3)
    (name,) = state
    before = getattr(widget, name)

    page.write(**state)

    assert getattr(widget, name) == before
    assert page.state[name] == before
    assert page.state["error"]["type"] == "TraitError"


def test_publishing_from_a_cell_does_not_bind_the_page_to_the_shell_of_the_cell(widget, page):
    send = page.send

    def publish_as_ipykernel_does(*arguments, **keys):
        page._reply_subshell_id = None
        send(*arguments, **keys)

    page.send = publish_as_ipykernel_does
    widget.phrase = "red"

    assert not hasattr(page, "_reply_subshell_id")


# -- verbs on the session, other widgets


def test_verbs_in_a_cell_show_in_the_widget(page, session):
    page.request("score", class_name="oval", phrase="red")

    session.score("oval", "noise")
    assert [tried["phrase"] for tried in page.state["history"]] == ["noise", "red"]
    assert page.state["phrase"] == "red"
    session.annotate("oval", "red", 0.125)
    assert [kept["phrase"] for kept in page.state["annotations"]] == ["red"]
    assert page.state["threshold"] == 0.125
    comparison = session.retrain()
    assert page.state["comparison"]["sentence"] == comparison.sentence
    session.undo()
    assert page.state["comparison"] is None
    session.remove("oval", "red")
    assert page.state["annotations"] == []


def test_keeping_another_phrase_leaves_the_shown_threshold_alone(widget, session):
    widget.phrase = "red"
    widget.threshold = 0.25

    session.annotate(widget.class_name, "noise", 0.5)

    assert (widget.phrase, widget.threshold) == ("red", 0.25)


def test_two_widgets_on_one_session_agree(widget, session):
    other = ClarifyWidget(session)
    widget.phrase = other.phrase = "red"

    widget.keep()
    widget.retrain(wait=True)

    assert what_stays(other.trait_values()) == what_stays(widget.trait_values())
    assert other.classes == widget.classes
    assert other.status["state"] == "ready"


def test_fitting_again_scores_what_is_shown_again(widget, session):
    widget.phrase = "red"
    session.head = None
    session.dataset = replace(
        session.dataset, val=replace(session.dataset.val, predictions=1 - session.dataset.val.labels)
    )

    session.fit()

    assert (widget.phrase, widget.score) == ("", None)
    assert all(shown["error_rate"] == 1 for shown in widget.classes)


def test_closed_widget_lets_go_of_the_session(widget, page, session):
    widget.close()
    before = len(page.updates)

    session.annotate("oval", "red")

    assert page.closed
    assert len(page.updates) == before


def test_widget_whose_host_closed_its_comm_lets_go_of_the_session(widget, page, session):
    page.close()
    before = len(page.updates)

    session.annotate("oval", "red")

    assert widget.comm is None
    assert len(page.updates) == before


# -- retraining


class Training:
    """Stands in for `Session.retrain`: starts, reports and ends when it is told to."""

    def __init__(self, session):
        self.retrain = session.retrain
        self.started = threading.Semaphore(0)
        self.gate = threading.Event()
        self.progress = None
        self.cancelled = None

    def __call__(self, objective, progress=None, cancelled=None):
        self.progress, self.cancelled = progress, cancelled
        self.started.release()
        assert self.gate.wait(PATIENCE)
        if cancelled():
            raise CancelledError("Cancelled.")
        return self.retrain(objective)

    def wait_for_start(self):
        assert self.started.acquire(timeout=PATIENCE)


@pytest.fixture
def training(session, monkeypatch):
    held = Training(session)
    monkeypatch.setattr(session, "retrain", held)
    yield held
    held.gate.set()


def test_retraining_ends_in_a_comparison(page, session):
    page.request("score", class_name="oval", phrase="red")
    page.request("keep", class_name="oval", phrase="red", threshold=-0.3)

    run_id = page.request("retrain", objective="slice_balanced")["run_id"]

    page.wait_until(lambda state: state["status"]["state"] == "ready")
    assert page.state["status"]["run_id"] == run_id
    assert page.state["comparison"]["sentence"] == session.compare().sentence
    assert page.state["can_undo"] == "Retrain"


def test_page_is_served_while_it_retrains(page, training):
    page.request("keep", class_name="oval", phrase="red", threshold=-0.3)
    run_id = page.request("retrain", objective="slice_balanced")["run_id"]
    training.wait_for_start()

    assert page.state["status"]["state"] == "retraining"
    assert page.state["status"]["run_id"] == run_id
    assert page.request("score", class_name="square", phrase="red") == {}
    assert page.request("keep", class_name="square", phrase="red", threshold=0.1) == {}
    assert page.request("thumbnails", split="val", indices=[0], size=96)["items"]
    training.gate.set()
    page.wait_until(lambda state: state["status"]["state"] == "ready" and state["comparison"])


def test_progress_is_shown_at_most_ten_times_a_second(page, training, monkeypatch):
    page.request("retrain", objective="class_balanced")
    training.wait_for_start()
    before = len(page.updates_of("status"))

    class Clock:
        now = 100.0

        @classmethod
        def monotonic(cls):
            return cls.now

    monkeypatch.setattr(runs_module, "time", Clock)
    for step in range(1000):
        Clock.now = 100.0 + step / 1000
        training.progress(progress_at(step, loss=1 / (step + 1), fraction=step / 1000))

    assert 9 <= len(page.updates_of("status")) - before <= 10
    assert page.state["status"]["fraction"] >= 0.9
    training.gate.set()
    page.wait_until(lambda state: state["status"]["state"] == "ready")


def test_cancel_leaves_the_model_as_it_was(page, session, training):
    page.request("retrain", objective="class_balanced")
    training.wait_for_start()

    page.request("cancel")
    training.gate.set()

    page.wait_until(lambda state: state["status"]["state"] == "ready")
    assert page.state["status"]["message"] == "Cancelled; the model is as it was."
    assert page.state["comparison"] is page.state["error"] is None
    assert session.retrained is None


def test_cancel_takes_an_error_away_as_every_verb_does(page, training):
    page.request("retrain", objective="class_balanced")
    training.wait_for_start()
    page.refused("score", class_name="oval", phrase=" ")
    page.request("cancel")
    training.gate.set()
    page.wait_until(lambda state: state["status"]["state"] == "ready")
    assert page.state["error"] is None


def test_later_run_replaces_the_earlier_one(page, session, training):
    page.request("keep", class_name="oval", phrase="red", threshold=-0.3)
    page.request("retrain", objective="slice_balanced")
    training.wait_for_start()
    stale = training.progress

    latest = page.request("retrain", objective="class_balanced")["run_id"]
    assert training.cancelled()
    stale(progress_at(1, loss=123.0, fraction=0.5))
    assert page.state["status"]["loss"] != 123.0
    training.gate.set()

    page.wait_until(lambda state: state["status"]["state"] == "ready")
    assert page.state["status"]["run_id"] == latest
    assert page.state["comparison"]["objective"] == "class_balanced"
    assert session.retrained.objective == "class_balanced"


def test_retraining_without_a_phrase_says_what_is_missing(page, widget):
    page.request("retrain", objective="slice_balanced")
    page.wait_until(lambda state: state["status"]["state"] == "ready" and state["error"])

    assert "at least one kept phrase" in page.state["error"]["message"]
    with pytest.raises(NotFittedError, match="at least one kept phrase"):
        widget.retrain(wait=True)
    assert widget.status["state"] == "ready"


def test_empty_slice_is_named_and_the_annotation_stays(page, widget):
    page.request("keep", class_name="oval", phrase="red", threshold=0.999)
    page.request("retrain", objective="slice_balanced")
    page.wait_until(lambda state: state["status"]["state"] == "ready" and state["error"])

    assert page.state["error"]["type"] == "EmptySliceError"
    assert "red" in page.state["error"]["message"]
    assert [kept["phrase"] for kept in widget.annotations] == ["red"]


def test_retraining_in_a_cell_returns_the_comparison(widget, session):
    widget.phrase = "red"
    widget.keep()

    assert widget.retrain("worst_slice", wait=True) is session.compare()
    assert (widget.objective, widget.status["state"]) == ("worst_slice", "ready")


# -- what retraining would give


class Solver:
    """Stands in for the solver of previews: notes who asks, and can be made to wait before it answers."""

    def __init__(self, solve):
        self.solve = solve
        self.asked = []  # how many heads, each time
        self.started = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()
        self.cancelled = None
        self.deaf = False

    def __call__(self, features, labels, sample_weights, *, cancelled, **settings):
        self.asked.append(len(sample_weights))
        self.cancelled = cancelled
        self.started.release()
        deadline = time.monotonic() + PATIENCE
        while not self.gate.wait(0.01):
            assert time.monotonic() < deadline
            if cancelled() and not self.deaf:
                raise CancelledError("Cancelled.")
        return self.solve(features, labels, sample_weights, cancelled=lambda: False, **settings)

    def wait_for_start(self):
        assert self.started.acquire(timeout=PATIENCE)


@pytest.fixture
def solver(monkeypatch):
    held = Solver(expected_module.train_heads)
    monkeypatch.setattr(expected_module, "train_heads", held)
    yield held
    held.gate.set()


def previewed(state):
    """What the page shows beside each phrase, once it is there for all."""
    shown = {tried["phrase"]: tried["expected"] for tried in state["history"]}
    return shown if all(shown.values()) else {}


def sentences(page):
    """Every preview that the page has ever shown."""
    rows = [tried for update in page.updates_of("history") for tried in update["history"]]
    return {tried["expected"]["sentence"] for tried in rows if tried["expected"]}


def test_what_retraining_would_give_comes_unasked_for_every_phrase(page, session):
    for phrase in ("red", "noise", "round"):
        page.request("score", class_name="oval", phrase=phrase)

    page.wait_until(previewed)

    shown = previewed(page.state)
    assert list(shown) == ["round", "noise", "red"]
    for expected in session.expected("oval"):
        assert shown[expected.phrase] == {
            "before": expected.worst_before.accuracy,
            "after": expected.worst_after.accuracy,
            "within_noise": expected.within_noise,
            "sentence": expected.sentence,
            "reason": "",
        }
    assert session.tried[-1].phrase == "round"
    assert session.undoable == ""


def test_shown_phrase_comes_first_and_nothing_is_solved_twice(page, session, solver):
    page.request("select_class", class_name="square")
    for phrase in ("red", "noise", "round"):
        session.score("oval", phrase)

    page.request("score", class_name="oval", phrase="noise")
    page.wait_until(previewed)
    page.request("score", class_name="oval", phrase="red")

    assert all(tried["expected"] for tried in page.state["history"])
    assert solver.asked == [1, 2]


def test_keystroke_cancels_and_the_next_phrase_brings_previews_back(page, solver):
    solver.gate.clear()
    page.request("score", class_name="oval", phrase="red")
    solver.wait_for_start()
    cancelled = solver.cancelled
    assert not cancelled()

    assert page.request("typing") == {}

    assert cancelled()
    assert page.state["history"][0]["expected"] is None
    solver.gate.set()
    page.request("score", class_name="oval", phrase="noise")
    page.wait_until(previewed)
    assert set(previewed(page.state)) == {"red", "noise"}


def test_typing_that_asked_for_nothing_brings_previews_back(page, solver):
    solver.gate.clear()
    page.request("score", class_name="oval", phrase="red")
    solver.wait_for_start()
    page.request("typing")
    solver.gate.set()

    page.request("typing", over=True)

    page.wait_until(previewed)


@pytest.mark.parametrize(
    ("request_type", "fields"),
    [
        ("score", {"class_name": "oval", "phrase": "noise"}),
        ("score", {"class_name": "oval", "phrase": "never heard of"}),
        ("select_class", {"class_name": "square"}),
    ],
)
def test_whatever_is_asked_for_next_cancels_at_once(page, solver, request_type, fields):
    solver.gate.clear()
    page.request("score", class_name="oval", phrase="red")
    solver.wait_for_start()
    cancelled = solver.cancelled

    page.answer(page.ask(request_type, **fields))

    assert cancelled()
    solver.gate.set()
    page.wait_until(lambda state: previewed(state) or not state["history"])


def test_stale_preview_never_lands(page, session, solver):
    solver.gate.clear()
    solver.deaf = True
    page.request("score", class_name="oval", phrase="red")
    solver.wait_for_start()

    session.annotate("square", "red")
    solver.gate.set()
    page.wait_until(previewed)

    assert all("and “red” for square" in sentence for sentence in sentences(page))
    assert previewed(page.state)["red"]["sentence"] == session.expected("oval")[0].sentence


def test_preview_of_another_class_never_lands(page, solver):
    solver.gate.clear()
    solver.deaf = True
    page.request("score", class_name="oval", phrase="red")
    solver.wait_for_start()

    page.request("score", class_name="square", phrase="red")
    solver.gate.set()
    page.wait_until(previewed)

    assert all("for square" in sentence for sentence in sentences(page))


def test_preview_follows_the_threshold(page, session):
    page.request("score", class_name="oval", phrase="red")
    page.wait_until(previewed)
    first = previewed(page.state)["red"]

    page.write(threshold=0.3)

    page.wait_until(lambda state: previewed(state) and previewed(state)["red"] != first)
    (expected,) = session.expected("oval", ["red"], thresholds={"red": 0.3})
    assert previewed(page.state)["red"]["sentence"] == expected.sentence


def test_retraining_has_the_processor_for_itself_and_previews_come_back_after_it(page, solver, training):
    solver.gate.clear()
    page.request("score", class_name="oval", phrase="red")
    solver.wait_for_start()
    cancelled = solver.cancelled
    page.request("keep", class_name="oval", phrase="red", threshold=-0.3)

    page.request("retrain", objective="slice_balanced")
    training.wait_for_start()
    assert cancelled()
    page.request("score", class_name="oval", phrase="noise")
    assert page.state["history"][0]["expected"] is None
    solver.gate.set()
    training.gate.set()

    page.wait_until(lambda state: state["comparison"] and previewed(state))
    assert page.state["status"]["state"] == "ready"


def test_previews_of_a_cell_can_be_asked_for_while_it_retrains(page, session, training):
    page.request("keep", class_name="oval", phrase="red", threshold=-0.3)
    page.request("retrain", objective="slice_balanced")
    training.wait_for_start()

    (expected,) = session.expected("oval")

    assert expected.worst_after is not None
    training.gate.set()
    page.wait_until(lambda state: state["comparison"])


def test_everything_is_answered_while_previews_are_made(page, session, solver):
    page.request("score", class_name="oval", phrase="red")
    page.wait_until(previewed)
    solver.gate.clear()
    session.score("oval", "noise")
    page.request("score", class_name="oval", phrase="round")
    solver.wait_for_start()

    assert page.request("hello") == {}
    assert page.request("thumbnails", split="val", indices=[0], size=96)["items"]
    assert page.request("keep", class_name="oval", phrase="red", threshold=0.1) == {}
    assert page.request("undo")["undone"]


def test_two_widgets_on_one_session_both_show_what_one_found(widget, page, session, solver):
    page.request("score", class_name="oval", phrase="red")
    page.wait_until(previewed)
    solver.asked.clear()

    other = ClarifyWidget(session)
    other.comm.request("score", class_name="oval", phrase="red")

    other.comm.wait_until(previewed)
    assert other.history == widget.history
    assert solver.asked == []


def test_big_data_says_that_there_are_no_previews(session, monkeypatch, solver):
    monkeypatch.setattr(expected_module, "MOST_NUMBERS", 100)
    widget = ClarifyWidget(session)

    widget.comm.request("score", class_name="oval", phrase="red")
    widget.comm.request("hello")

    assert "expected" not in widget.history[0]
    assert "1,200 images x 24 features would keep this machine busy" in widget.notes[0]
    assert solver.asked == []
    session.expected("oval")
    assert widget.history[0]["expected"]["sentence"]


def test_reason_is_shown_where_there_is_no_preview(page):
    page.request("score", class_name="oval", phrase="red")
    page.write(threshold=0.999)

    page.wait_until(lambda state: previewed(state) and previewed(state)["red"]["reason"])
    assert previewed(page.state)["red"]["before"] is None
    assert page.state["error"] is None


def test_failing_preview_is_logged_and_disturbs_nobody(page, monkeypatch):
    logged = threading.Event()

    def explode(*_arguments, **_settings):
        raise KeyError("wires")

    monkeypatch.setattr(expected_module, "train_heads", explode)
    monkeypatch.setattr(widget_module.logger, "exception", lambda *_message: logged.set())
    page.request("score", class_name="oval", phrase="red")
    assert logged.wait(PATIENCE)

    page.request("score", class_name="oval", phrase="noise")
    assert page.state["error"] is None


def test_closed_widget_makes_no_previews(widget, page, solver):
    solver.gate.clear()
    page.request("score", class_name="oval", phrase="red")
    solver.wait_for_start()
    cancelled = solver.cancelled

    widget.close()

    assert cancelled()


# -- images


def pictures(page, **fields):
    content, buffers = page.answer(page.ask("thumbnails", **fields))
    assert content["ok"], content
    return list(zip(content["result"]["items"], buffers, strict=True))


def test_thumbnails_come_with_what_is_known_of_each_image(page, session):
    rows = [5, 3, 8]
    for row, (item, encoded) in zip(rows, pictures(page, split="val", indices=rows, size=128), strict=True):
        image = Image.open(io.BytesIO(encoded)).convert("RGB")
        red = session.dataset.val.groups[row] % 2
        assert item["index"] == row
        assert item["name"] == f"val/{row}.png"
        assert item["correct"] == (item["label"] == item["predicted"]) == session.correct("val")[row]
        assert item["readable"]
        assert np.argmax(image.getpixel((4, 4))) == (0 if red else 2)


def test_unreadable_image_leaves_the_others_alone(tmp_path):
    data = planted_dataset()
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not an image")
    sources = [broken, *(Image.new("RGB", (8, 8)) for _ in range(399))]
    widget = ClarifyWidget(session_of(images=ImageList(sources), embeddings=data.val.embeddings))

    (item, encoded), (other, _) = pictures(widget.comm, split="val", indices=[0, 1], size=96)

    assert (item["readable"], len(encoded), other["readable"]) == (False, 0, True)
    assert widget.error is None


def test_data_without_images_still_tells_what_is_known():
    widget = ClarifyWidget(session_of(images=None))

    ((item, encoded),) = pictures(widget.comm, split="val", indices=[0], size=96)

    assert (item["name"], item["readable"], encoded) == ("val 0", False, b"")


@pytest.mark.parametrize(
    "fields",
    [
        {"split": "val", "indices": [400], "size": 96},
        {"split": "val", "indices": [-1], "size": 96},
        {"split": "validation", "indices": [0], "size": 96},
        {"split": "val", "indices": list(range(65)), "size": 96},
        {"split": "val", "indices": [1.5], "size": 96},
        {"split": "val", "indices": "0", "size": 96},
        {"split": "val", "indices": [0], "size": None},
    ],
)
def test_wrong_thumbnail_request_is_refused_without_a_banner(page, fields):
    assert page.refused("thumbnails", **fields)["message"]
    assert page.state["error"] is None


def test_thumbnail_is_encoded_once(page, session, monkeypatch):
    opened = []
    image = session.image
    monkeypatch.setattr(session, "image", lambda *where, **how: opened.append(where) or image(*where, **how))

    for _ in range(3):
        pictures(page, split="val", indices=[7], size=128)

    assert opened == [(7, "val")]


def test_original_is_the_whole_image(page):
    content, (encoded,) = page.answer(page.ask("original", split="test", index=4))

    assert (content["result"]["width"], content["result"]["height"]) == (8, 8)
    assert Image.open(io.BytesIO(encoded)).size == (8, 8)


# -- selecting


@settings(
    deadline=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rows=st.lists(st.integers(0, 399), max_size=50))
def test_selected_rows_are_ascending_and_each_once_whatever_holds_them(widget, rows):
    for given_as in (rows, set(rows), np.array(rows, dtype=np.int32), iter(rows)):
        widget.selected = given_as
        assert widget.selected == np.unique(rows).tolist()


def test_rows_that_the_page_selects_are_a_data_frame_in_python(widget, page, session):
    page.request("score", class_name="oval", phrase="red")

    page.write(selected=[9, 2, 5])

    assert widget.selected == [2, 5, 9]
    frame = widget.selected_frame()
    assert frame["index"].tolist() == [2, 5, 9]
    np.testing.assert_allclose(frame["similarity"], session.similarities("red")[[2, 5, 9]])


def test_rows_that_python_selects_reach_the_page(widget, page):
    widget.selected = range(3)
    assert page.state["selected"] == [0, 1, 2]


def test_selection_stays_with_another_phrase_and_goes_with_another_class(widget, page):
    page.request("score", class_name="oval", phrase="red")
    widget.selected = [4, 2]

    widget.phrase = "round"
    assert widget.selected == [2, 4]
    widget.class_name = "square"
    assert widget.selected == page.state["selected"] == []


def test_nothing_selected_is_an_empty_data_frame(widget):
    frame = widget.selected_frame()
    assert len(frame) == 0
    assert {"index", "label", "confidence"} <= set(frame.columns)


# -- many at once


def test_phrase_that_is_assigned_while_another_thread_publishes_is_scored(widget):
    publishing, gate, assigning = threading.Event(), threading.Event(), threading.Event()

    def dawdle(_change):
        publishing.set()
        assert gate.wait(PATIENCE)

    widget.observe(dawdle, "status")
    publisher = threading.Thread(target=lambda: widget._publish(status={"state": "ready"}))
    publisher.start()
    assert publishing.wait(PATIENCE)

    def assign():
        assigning.set()
        widget.phrase = "red"

    person = threading.Thread(target=assign)
    person.start()
    assert assigning.wait(PATIENCE)
    gate.set()
    for thread in (publisher, person):
        thread.join(PATIENCE)

    assert (widget.phrase, widget.score["phrase"]) == ("red", "red")


def test_page_and_widget_agree_after_everybody_wrote_at_once(widget, page, session):
    page.request("score", class_name="oval", phrase="red")
    together = threading.Barrier(4)

    def each(work, times=15):
        def run():
            together.wait(PATIENCE)
            for turn in range(times):
                work(turn)

        return threading.Thread(target=run)

    phrases = itertools.cycle(["red", "noise", "round", "crimson"])
    workers = [
        each(lambda _: page.request("score", class_name="oval", phrase=next(phrases))),
        each(lambda turn: page.write(threshold=turn / 100)),
        each(lambda _: session.annotate("oval", "red") and session.undo()),
        each(lambda turn: page.request("thumbnails", split="val", indices=[turn], size=96)),
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE)
        assert not worker.is_alive()

    page.wait_until(lambda state: what_stays(state) == what_stays(widget.trait_values()))


# -- where it is saved


def test_says_where_the_session_is_saved_and_when_that_fails(session, widget, page, tmp_path, monkeypatch):
    assert page.state["saved"] is None
    folder = session.autosave(tmp_path / "kept")
    assert widget.saved["folder"] == str(folder)
    assert (page.state["saved"]["error"], page.state["saved"]["at"] % 60) == ("", 0)

    def full(_path, _content):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("clarify_widget.session.saved.replace_file", full)
        widget.phrase = "red"
        page.wait_until(lambda state: state["saved"]["error"] == "No space left on device")
    assert widget.phrase == "red"
    widget.keep()
    page.wait_until(lambda state: state["saved"]["error"] == "")
    assert len(Session.load(folder, encoder=planted_encoder()).annotations) == 1


def test_saving_tells_the_page_nothing_new_within_a_minute(session, widget, page, tmp_path, monkeypatch):
    session.autosave(tmp_path / "kept")
    noon = datetime(2026, 1, 5, 12, tzinfo=timezone.utc)
    monkeypatch.setattr("clarify_widget.session.autosave._now", lambda: noon)
    told = threading.Event()
    widget.phrase = "red"
    page.wait_until(lambda state: state["saved"]["at"] == noon.timestamp())
    sent = len(page.updates_of("saved"))
    session.subscribe(lambda event: told.set() if event == "saved" else None)
    session.score("square", "noise")
    assert told.wait(PATIENCE)
    assert len(page.updates_of("saved")) == sent
