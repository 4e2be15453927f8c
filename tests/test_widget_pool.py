"""What a page asks of the pool under review, and what it is told."""

from __future__ import annotations

import io
import threading

import numpy as np
import pytest
from PIL import Image

from clarify_widget import ClarifyWidget, Session, front_end
from clarify_widget.errors import DataError
from clarify_widget.widget import pool as pool_module
from tests.fake_page import PATIENCE, FakePage, replace_comms
from tests.session.planted import planted_dataset, planted_encoder, planted_rows

SIZE = 300


@pytest.fixture(autouse=True)
def pages(monkeypatch):
    replace_comms(monkeypatch, FakePage)


@pytest.fixture
def session():
    fitted = Session(planted_dataset(), planted_encoder())
    fitted.fit()
    return fitted


@pytest.fixture
def rows():
    rng = np.random.default_rng(7)
    return planted_rows(rng.integers(0, 2, SIZE), rng.integers(0, 2, SIZE), rng)


@pytest.fixture
def gathering(session, rows):
    return session.pool(rows, images=[Image.new("RGB", (8, 8), (row % 256, 0, 0)) for row in range(SIZE)])


@pytest.fixture
def widget(session, gathering):
    shown = ClarifyWidget(session, pool=gathering)
    yield shown
    shown.close()


@pytest.fixture
def page(widget):
    return widget.comm


def pool_of(page):
    return page.state["pool"]


def decide(page, rows, class_name):
    return page.request("pool_decide", split=pool_of(page)["split"], rows=rows, class_name=class_name)


def test_a_widget_without_a_pool_has_none_until_it_gets_one(session, gathering):
    with_none = ClarifyWidget(session)
    assert with_none.comm.state["pool"] is None
    assert with_none.comm.refused("pool_search", phrase="red")["type"] == "ClarifyError"
    with_none.review_pool(gathering)
    assert pool_of(with_none.comm)["size"] == SIZE
    with_none.close()


def test_the_page_gets_the_panels_as_one_module(page):
    content, buffers = page.answer(page.ask("panels"))
    assert content["ok"]
    assert [bytes(buffer) for buffer in buffers] == [front_end.panels()]


def test_a_search_shows_the_most_similar_and_decisions_make_room_for_the_next(page, gathering):
    page.request("pool_search", phrase=" red ")
    everything = [hit.row for hit in gathering.search("red", k=SIZE).rows]
    shown = pool_of(page)
    assert (shown["phrase"], shown["rows"]) == ("red", everything[: len(shown["rows"])])
    assert len(shown["rows"]) == len(shown["similarities"]) < SIZE
    first, second, third, *others = shown["rows"]

    decide(page, [first, third], "square")
    decide(page, [second], None)
    now = pool_of(page)
    assert now["rows"][: len(others)] == others
    assert len(now["rows"]) == len(shown["rows"])
    assert (now["accepted"], now["rejected"], now["waiting"]) == ([["square", 2]], 1, 2)
    assert (gathering.accepted, gathering.rejected) == ({first: "square", third: "square"}, {second})

    assert page.request("pool_undo") == {"undone": "reject 1 image"}
    assert pool_of(page)["rows"][0] == second


def test_an_image_comes_back_though_it_was_decided_before_the_search(page, gathering):
    (best, *_) = gathering.search("red", k=1).rows
    gathering.reject([best.row])
    page.request("pool_search", phrase="red")
    assert best.row not in pool_of(page)["rows"]
    gathering.undo()
    assert pool_of(page)["rows"][0] == best.row


def test_hits_come_on_where_many_were_decided(page, gathering, monkeypatch):
    monkeypatch.setattr(pool_module, "_FOUND", 130)
    page.request("pool_search", phrase="red")
    everything = [hit.row for hit in gathering.search("red", k=SIZE).rows]
    gathering.reject(everything[:100])
    assert pool_of(page)["rows"] == everything[100:220]


def test_what_was_accepted_is_added_and_both_are_trained_on(page, session):
    assert "erm" not in [choice["value"] for choice in page.state["objectives"]]
    page.write(objective="dfr")
    decide(page, list(range(50)), "oval")
    assert page.request("pool_add") == {"added": 50}
    assert (pool_of(page)["waiting"], pool_of(page)["added"]) == (0, 50)
    assert session.gathered == 50
    assert page.state["objective"] == "slice_balanced"
    page.request("retrain", objective="erm")
    page.wait_until(lambda state: state["comparison"] is not None)
    assert page.state["comparison"]["objective"] == "erm"


def test_adding_is_undone_and_redone_on_the_page(page, session):
    page.write(objective="dfr")
    decide(page, [1, 2], "oval")
    page.request("pool_add")
    assert page.state["can_undo"] == "Add 2 training images"
    assert page.request("undo") == {"undone": "Add 2 training images"}
    assert (pool_of(page)["waiting"], pool_of(page)["added"], session.gathered) == (2, 0, 0)
    objectives = [choice["value"] for choice in page.state["objectives"]]
    assert "dfr" in objectives
    assert "erm" not in objectives
    assert page.request("redo") == {"redone": "Add 2 training images"}
    assert (pool_of(page)["waiting"], pool_of(page)["added"], session.gathered) == (0, 2, 2)
    page.request("undo")
    assert page.state["can_redo"] != ""
    decide(page, [1], None)
    assert page.state["can_redo"] == ""


def test_training_images_stay_while_the_session_retrains(page, session, monkeypatch):
    gate = threading.Event()
    decide(page, [1], "oval")
    page.request("pool_add")
    monkeypatch.setattr(session, "retrain", lambda *_: gate.wait(PATIENCE))
    page.request("retrain", objective="class_balanced")
    assert "or cancel it, then undo" in page.refused("undo")["message"]
    session.annotate("square", "red")
    assert page.request("undo") == {"undone": "Keep “red”"}
    gate.set()
    page.wait_until(lambda state: state["status"]["state"] == "ready")
    assert page.request("undo") == {"undone": "Add 1 training image"}
    page.request("redo")
    assert session.gathered == 1


def test_nothing_is_added_while_the_session_retrains(page, session, monkeypatch):
    gate = threading.Event()
    monkeypatch.setattr(session, "retrain", lambda *_: gate.wait(PATIENCE))
    decide(page, [1], "oval")
    page.request("retrain", objective="class_balanced")
    assert "retrains" in page.refused("pool_add")["message"]
    gate.set()
    page.wait_until(lambda state: state["status"]["state"] == "ready")
    assert page.request("pool_add") == {"added": 1}


def test_images_of_the_pool_come_by_its_name(page):
    split = pool_of(page)["split"]
    content, buffers = page.answer(page.ask("thumbnails", split=split, indices=[7, 9], size=96))
    assert [item["label"] for item in content["result"]["items"]] == ["", ""]
    red, _, _ = Image.open(io.BytesIO(bytes(buffers[1]))).getpixel((0, 0))
    assert abs(red - 9) < 4
    original = page.request("original", split=split, index=9)
    assert (original["width"], original["predicted"], original["path"]) == (8, "", None)
    assert "rows 0 to 299" in page.refused("original", split=split, index=SIZE)["message"]


def test_rows_without_images_are_shown_as_such(session, rows):
    shown = ClarifyWidget(session, pool=session.pool(rows))
    assert pool_of(shown.comm)["has_images"] is False
    content, _ = shown.comm.answer(shown.comm.ask("thumbnails", split="pool 1", indices=[3], size=96))
    assert content["result"]["items"][0]["readable"] is False
    shown.close()


def test_errors_are_for_the_panel_alone(page):
    assert "unheard of" in page.refused("pool_search", phrase="unheard of")["message"]
    assert "empty" in page.refused("pool_search", phrase=" ")["message"]
    assert page.refused("pool_decide", split="pool 1", rows=[1], class_name="circle")
    assert page.refused("pool_decide", split="pool 1", rows=[SIZE], class_name=None)
    assert page.refused("pool_decide", split="pool 1", rows="all", class_name=None)
    assert page.state["error"] is None
    assert pool_of(page)["rejected"] == 0


def test_decisions_about_a_pool_that_was_replaced_are_refused(widget, page, session, rows):
    before = pool_of(page)["split"]
    widget.review_pool(session.pool(rows[::-1].copy()))
    assert pool_of(page)["split"] != before
    assert "Another pool" in page.refused("pool_decide", split=before, rows=[1], class_name=None)["message"]


def test_only_a_pool_of_the_same_session_can_be_reviewed(widget, rows):
    with pytest.raises(TypeError, match=r"session\.pool\("):
        widget.review_pool("photos")
    other = Session(planted_dataset(images=False), planted_encoder())
    other.fit()
    with pytest.raises(DataError, match="another session"):
        widget.review_pool(other.pool(rows))


def test_of_two_searches_the_later_is_shown(page, session, monkeypatch):
    started, gate, direction = threading.Event(), threading.Event(), session.direction

    def slow(phrase):
        if phrase == "red":
            started.set()
            assert gate.wait(PATIENCE)
        return direction(phrase)

    monkeypatch.setattr(session, "direction", slow)
    first = page.ask("pool_search", phrase="red")
    assert started.wait(PATIENCE)
    dropped = page.ask("pool_search", phrase="crimson")
    last = page.ask("pool_search", phrase="round")
    gate.set()
    assert [page.answer(one)[0]["result"] for one in (first, dropped, last)] == [
        {"stale": True},
        {"stale": True},
        {},
    ]
    assert pool_of(page)["phrase"] == "round"
    assert all(update["pool"]["phrase"] != "red" for update in page.updates_of("pool"))
