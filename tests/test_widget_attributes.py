"""What a page is told of the attributes that a model leans on, and what people judge there."""

from __future__ import annotations

import pytest

from clarify_widget import ClarifyWidget, Session
from clarify_widget.errors import DataError
from tests.fake_page import FakePage, replace_comms
from tests.session.planted import PHRASES, planted_dataset, planted_encoder


@pytest.fixture(autouse=True)
def pages(monkeypatch):
    replace_comms(monkeypatch, FakePage)


@pytest.fixture
def session():
    fitted = Session(planted_dataset(), planted_encoder())
    fitted.fit()
    return fitted


@pytest.fixture
def found(session):
    return session.attributes(candidates=PHRASES)


@pytest.fixture
def widget(session, found):
    shown = ClarifyWidget(session, attributes=found)
    yield shown
    shown.close()


@pytest.fixture
def page(widget):
    return widget.comm


def test_the_table_of_a_class_is_asked_for(page, found):
    answer = page.request("attributes", class_name="square")
    expected = found.ranked("square")
    assert [row["attribute"] for row in answer["rows"]] == [one.attribute for one in expected]
    first, row = expected[0], answer["rows"][0]
    assert row["difference"] == pytest.approx(row["with"]["accuracy"] - row["without"]["accuracy"])
    assert (row["with"]["size"], row["without"]["size"]) == (first.present.size, first.absent.size)
    assert (row["low"], row["high"]) == pytest.approx(first.interval)
    assert row["confused_with"] == first.confused_with
    assert page.state["attributes"]["sentence"] == found.sentence
    assert page.refused("attributes", class_name="circle")["type"] == "DataError"


def test_what_is_judged_on_the_page_or_in_python_is_the_sessions(page, session, found):
    page.request("judge", class_name="square", attribute="red", verdict="spurious")
    (judged,) = session.judgements
    threshold = next(one.threshold for one in found.ranked("square") if one.attribute == "red")
    assert (judged.about, judged.verdict, judged.threshold) == (("square", "red"), "spurious", threshold)
    shown = {"class_name": "square", "attribute": "red", "verdict": "spurious"}
    assert page.state["attributes"]["judgements"] == [shown]

    page.request("judge", class_name="square", attribute="red", verdict=None)
    assert page.state["attributes"]["judgements"] == []
    session.judge("oval", "round", "healthy")
    assert [one["verdict"] for one in page.state["attributes"]["judgements"]] == ["healthy"]
    assert page.state["can_undo"]
    page.request("undo")
    assert page.state["attributes"]["judgements"] == []


def test_errors_are_for_the_panel_alone(page, session):
    assert (
        "healthy or spurious"
        in page.refused("judge", class_name="square", attribute="red", verdict="ugly")["message"]
    )
    assert page.refused("judge", class_name="circle", attribute="red", verdict="healthy")
    assert page.refused("judge", class_name="square", attribute=3, verdict="healthy")
    assert page.state["error"] is None
    assert session.judgements == ()


def test_attributes_found_later_take_the_place_of_those_before(widget, page, session):
    before = page.state["attributes"]["number"]
    widget.review_attributes(session.attributes(candidates=["red"]))
    assert page.state["attributes"]["number"] != before
    assert [row["attribute"] for row in page.request("attributes", class_name="oval")["rows"]] == ["red"]


def test_only_attributes_of_the_same_classes_can_be_reviewed(widget, found):
    with pytest.raises(TypeError, match=r"session\.attributes\("):
        widget.review_attributes(["red"])
    from dataclasses import replace

    with pytest.raises(DataError, match="other classes"):
        widget.review_attributes(replace(found, class_names=("bird", "plane")))
