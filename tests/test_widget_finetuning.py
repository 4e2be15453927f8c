"""Fine-tuning from the widget: beside the cells, with progress and cancel, and a session to go on with."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

import clarify_widget as cw
from clarify_widget.errors import CancelledError, ClarifyError, EncoderError, NotFittedError
from clarify_widget.finetuning import Epoch, FinetuneProgress, Settings
from clarify_widget.session import presentation
from clarify_widget.session.curve import MOST_POINTS
from clarify_widget.widget import runs as runs_module
from tests.fake_page import PATIENCE, FakePage, replace_comms
from tests.session.planted import planted_dataset, planted_encoder

QUICK = Settings(learning_rate=1e-3, epochs=3)


@pytest.fixture(autouse=True)
def pages(monkeypatch):
    replace_comms(monkeypatch, FakePage)


@pytest.fixture(scope="module")
def birds():
    dataset = cw.datasets.shorebirds()
    rows = np.arange(160)
    return replace(dataset, **{split.name: split.take(rows) for split in dataset.splits()})


@pytest.fixture
def session(birds):
    fitted = cw.Session(birds)
    fitted.fit()
    fitted.annotate("water bird", "forest")
    fitted.annotate("land bird", "water")
    return fitted


@pytest.fixture
def widget(session):
    shown = cw.ClarifyWidget(session)
    yield shown
    shown.close()


@pytest.fixture
def page(widget):
    return widget.comm


class Held:
    """Stands in for `Session.finetune`: starts, reports and ends when it is told to."""

    def __init__(self, finetune):
        self.finetune = finetune
        self.started = threading.Semaphore(0)
        self.gate = threading.Event()
        self.result = object()

    def __call__(self, _objective, _settings, progress, cancelled, *, embedding):
        self.progress, self.cancelled, self.embedding = progress, cancelled, embedding
        self.started.release()
        assert self.gate.wait(PATIENCE)
        if cancelled():
            raise CancelledError("Cancelled.")
        return self.finetune(settings=QUICK)

    def wait_for_start(self):
        assert self.started.acquire(timeout=PATIENCE)


@pytest.fixture
def held(session, monkeypatch):
    held = Held(session.finetune)
    monkeypatch.setattr(session, "finetune", held)
    yield held
    held.gate.set()


def step(number=1, loss=1.0, fraction=0.1):
    return FinetuneProgress(1, 10, loss, Epoch(0, float("nan"), 0.25, 0.5), fraction, 9.0 * number)


def wait_for_end(page):
    page.wait_until(lambda state: state["finetuning"]["state"] == "ready")


def test_fine_tuning_ends_in_a_comparison_and_a_session_to_go_on_with(page, widget, session):
    widget.finetune(settings=QUICK)
    wait_for_end(page)

    result, finetuned = page.state["finetuning_result"], widget.finetuned
    assert result["phrases"] == ["forest", "water"]
    assert result["comparison"]["sentence"] == finetuned.comparison.sentence
    assert result["kept_epoch"].startswith(f"Epoch {finetuned.tuned.best_epoch} of 3")
    assert [point[0] for point in result["curve"]] == [1, 2, 3]
    assert [point[3] for point in result["curve"]] == pytest.approx(
        [epoch.worst for epoch in finetuned.tuned.history[1:]], rel=1e-3
    )
    assert widget.session is session
    assert session.encoder.name == page.state["encoder_name"] == "demo"
    assert page.state["comparison"] is None
    next_widget = cw.ClarifyWidget(finetuned.session)
    assert next_widget.encoder_name == finetuned.encoder.name
    next_widget.close()


def test_page_asks_for_it_and_is_served_while_it_runs(page, held):
    run_id = page.request("finetune")["run_id"]
    held.wait_for_start()
    assert page.state["finetuning"]["state"] == "running"
    assert page.state["finetuning"]["run_id"] == run_id
    held.embedding("Running the image tower over train", 0.5)
    assert page.state["finetuning"]["message"] == "Running the image tower over train"
    assert page.state["finetuning"]["fraction"] == 0.5
    assert page.request("score", class_name="land bird", phrase="forest") == {}
    held.gate.set()
    page.wait_until(lambda state: state["finetuning_result"] is not None)


def test_progress_says_where_it_stands(page, held):
    page.request("finetune")
    held.wait_for_start()
    held.progress(step(loss=1.5))
    shown = page.state["finetuning"]
    assert (shown["epoch"], shown["epochs"], shown["loss"], shown["seconds_left"]) == (1, 10, 1.5, 9.0)
    assert (shown["before"], shown["curve"], shown["judged_by"]) == ([0.5, 0.25], [], "group")


def test_progress_is_shown_at_most_ten_times_a_second(page, held, monkeypatch):
    class Clock:
        now = 100.0

        @classmethod
        def monotonic(cls):
            return cls.now

    page.request("finetune")
    held.wait_for_start()
    before = len(page.updates_of("finetuning"))
    monkeypatch.setattr(runs_module, "time", Clock)
    for number in range(1000):
        Clock.now = 100.0 + number / 1000
        held.embedding("Running", number / 1000)
        held.progress(step(number, fraction=number / 1000))
    assert 9 <= len(page.updates_of("finetuning")) - before <= 10


def test_curve_of_many_epochs_stays_small_and_ends_with_the_last():
    epochs = [Epoch(number, 1 / (number or np.nan), 0.5, 0.5) for number in range(301)]
    curve = presentation.epochs_json(epochs)["curve"]
    assert len(curve) <= MOST_POINTS
    assert curve[-1][0] == 300
    assert [number for number, *_ in curve] == sorted(number for number, *_ in curve)


def test_cancel_leaves_all_as_it_was(page, widget, session, held):
    page.request("finetune")
    held.wait_for_start()
    page.request("cancel")
    assert page.state["finetuning"]["message"] == "Stopping"
    assert page.state["status"]["state"] == "ready"
    held.gate.set()
    wait_for_end(page)
    assert page.state["finetuning"]["message"] == "Cancelled; the encoder and this session are as they were."
    assert page.state["finetuning_result"] is page.state["error"] is widget.finetuned is None
    assert session.encoder.name == "demo"
    assert len(session.annotations) == 2


def test_cancel_after_an_earlier_result_keeps_that(page, widget, held):
    held.gate.set()
    first = widget.finetune(wait=True)
    held.gate.clear()
    page.request("finetune")
    widget.cancel()
    held.gate.set()
    wait_for_end(page)
    assert widget.finetuned is first
    assert page.state["finetuning_result"]["comparison"]["sentence"] == first.comparison.sentence


def test_result_that_comes_after_cancel_is_not_shown(page, widget, session, monkeypatch):
    def finish_anyway(*_arguments, **_settings):
        widget.cancel()
        return object()

    monkeypatch.setattr(session, "finetune", finish_anyway)
    with pytest.raises(CancelledError):
        widget.finetune(wait=True)
    assert page.state["finetuning_result"] is widget.finetuned is None


def test_stale_run_cannot_publish(page, held):
    page.request("finetune")
    held.wait_for_start()
    stale, cancelled = held.progress, held.cancelled
    latest = page.request("finetune")["run_id"]
    assert cancelled()
    stale(step(loss=123.0))
    assert page.state["finetuning"]["loss"] is None
    held.gate.set()
    wait_for_end(page)
    assert page.state["finetuning"]["run_id"] == latest


def test_towers_stop_when_it_is_cancelled(session):
    seen = []
    with pytest.raises(CancelledError):
        session.finetune(settings=QUICK, embedding=seen.append, cancelled=lambda: True)
    assert seen == []


def test_retraining_and_fine_tuning_wait_for_each_other(page, widget, held):
    page.request("finetune")
    held.wait_for_start()
    assert "being fine-tuned" in page.refused("retrain", objective="slice_balanced")["message"]
    assert not held.cancelled()
    with pytest.raises(ClarifyError, match="being fine-tuned"):
        widget.retrain(wait=True)
    widget.cancel()
    held.gate.set()
    assert widget.retrain(wait=True) is widget.session.compare()


def test_encoder_that_can_be_fine_tuned_says_nothing_against_it(page, held):
    assert page.state["finetuning"]["unavailable"] == ""
    page.request("finetune")
    held.wait_for_start()
    assert page.state["finetuning"]["unavailable"] == ""


def test_page_knows_beforehand_what_cannot_be_fine_tuned():
    session = cw.Session(planted_dataset(), planted_encoder())
    widget = cw.ClarifyWidget(session)
    for _ in range(2):  # a run that was begun from Python anyway does not make it look possible
        assert "“planted words” is none" in widget.finetuning["unavailable"]
        assert "Retrain" in widget.finetuning["unavailable"]
        with pytest.raises(NotFittedError):
            widget.finetune(wait=True)
    widget.close()


def test_what_cannot_be_fine_tuned_is_said_where_it_was_asked_for():
    session = cw.Session(planted_dataset(), planted_encoder())
    session.fit()
    widget = cw.ClarifyWidget(session)
    page = widget.comm
    for missing in ("at least one kept phrase", "is a PrecomputedEncoder"):
        page.request("finetune")
        page.wait_until(lambda state, missing=missing: missing in state["finetuning"]["error"])
        assert missing in page.state["error"]["message"]
        assert page.state["finetuning"]["state"] == "ready"
        session.annotate("oval", "red")
    with pytest.raises(EncoderError):
        widget.finetune(wait=True)
    session.remove("oval", "red")
    with pytest.raises(NotFittedError):
        widget.finetune(wait=True)
    assert page.state["finetuning"]["error"] == ""
    widget.close()
