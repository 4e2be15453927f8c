"""Retraining beside other work: order of events, not seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.widget_page import WidgetPage

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.e2e.lab import Lab, NotebookPage

SOURCE = """
import time
import clarify_widget as cw
from tests.e2e.problems import waiting_session

session = waiting_session()
session.annotate("square", "red")
session.annotate("oval", "blue")
widget = cw.ClarifyWidget(session)
widget
"""
BUSY = """
deadline = time.monotonic() + 60
while session.retrained is None and time.monotonic() < deadline:
    time.sleep(0.02)
print("retrained while this cell ran:", session.retrained is not None)
"""


@pytest.fixture
def notebook(lab: Lab, page: Page) -> NotebookPage:
    notebook = lab.show(page, "retraining.ipynb", SOURCE, BUSY)
    notebook.run_cell(0)
    return notebook


@pytest.fixture
def widget(notebook: NotebookPage) -> WidgetPage:
    return WidgetPage(notebook.page)


def test_the_loop_goes_on_while_a_cell_runs(notebook: NotebookPage, widget: WidgetPage) -> None:
    """The cell ends only when the retraining that the page asks for has ended."""
    notebook.run_cell(notebook.append_cell("session.gate.set()"))
    notebook.start_cell(1)
    notebook.wait_until_running(1)
    widget.try_phrase("crimson")
    assert notebook.is_running(1)
    widget.retrain()
    notebook.wait_until_done(1)
    assert notebook.text_of(1) == "retrained while this cell ran: True\n"


def test_cancel_ends_a_retraining_and_changes_nothing(notebook: NotebookPage, widget: WidgetPage) -> None:
    widget.get("retrain").click()
    expect(widget.get("progress")).to_be_visible()
    widget.get("cancel").click()
    expect(widget.get("retrain")).to_be_visible()
    expect(widget.get("comparison")).to_be_hidden()
    check = notebook.append_cell("print(session.retrained, len(session.annotations))")
    notebook.run_cell(check)
    assert notebook.text_of(check) == "None 2\n"

    notebook.run_cell(notebook.append_cell("session.gate.set()"))
    widget.retrain()


def test_phrases_can_be_tried_while_the_head_trains(notebook: NotebookPage, widget: WidgetPage) -> None:
    widget.get("retrain").click()
    expect(widget.get("progress")).to_be_visible()
    widget.try_phrase("velvet")
    expect(widget.get("cancel")).to_be_visible()
    notebook.run_cell(notebook.append_cell("session.gate.set()"))
    expect(widget.get("comparison")).to_be_visible()
    widget.expect_painted("square", "velvet")


OBSERVED = """
events = []
session.subscribe(lambda event: event == "expected" or events.append(event))
"""
BUSY_UNTIL_SCORED_AND_RETRAINED = """
events.append("cell begins")
deadline = time.monotonic() + 60
while "scored" not in events and time.monotonic() < deadline:
    time.sleep(0.02)
events.append("cell has seen the phrase")
session.gate.set()
while "retrained" not in events and time.monotonic() < deadline:
    time.sleep(0.02)
events.append("cell ends")
print(*events, sep=", ")
"""


def test_a_phrase_typed_while_a_cell_and_a_retraining_run_is_scored_before_either_ends(
    notebook: NotebookPage, widget: WidgetPage
) -> None:
    """The cell lets the retraining go on only once the phrase was scored, and ends only after it."""
    notebook.run_cell(notebook.append_cell(OBSERVED))
    widget.get("retrain").click()
    expect(widget.get("progress")).to_be_visible()
    busy = notebook.append_cell(BUSY_UNTIL_SCORED_AND_RETRAINED)
    notebook.start_cell(busy)
    notebook.wait_until_running(busy)

    widget.get("phrase-input").press_sequentially("velvet", delay=20)
    widget.expect_painted("square", "velvet")
    assert widget.score > 0
    expect(widget.get("comparison")).to_be_visible()
    notebook.wait_until_done(busy)
    assert notebook.text_of(busy) == ("cell begins, scored, cell has seen the phrase, retrained, cell ends\n")


WATCHED = """
events = []

def note(event):
    if event in ("retraining begins", "scored", "annotated", "retrained") and event not in events:
        events.append(event)

session.subscribe(note)
widget.observe(lambda change: note(f"{change['new']['state']} begins"), "status")
"""
BUSY_UNTIL_KEPT_AND_RETRAINED = """
events.append("cell begins")
deadline = time.monotonic() + 60
while "annotated" not in events and time.monotonic() < deadline:
    time.sleep(0.02)
session.gate.set()
while "retrained" not in events and time.monotonic() < deadline:
    time.sleep(0.02)
events.append("cell ends")
print(*events, sep=", ")
"""


def test_somebody_sees_a_score_and_keeps_the_phrase_while_a_cell_and_a_retraining_run(
    notebook: NotebookPage, widget: WidgetPage
) -> None:
    """The cell lets the retraining end only once a person has kept what the page showed."""
    notebook.run_cell(notebook.append_cell(WATCHED))
    busy = notebook.append_cell(BUSY_UNTIL_KEPT_AND_RETRAINED)
    notebook.start_cell(busy)
    notebook.wait_until_running(busy)
    widget.get("retrain").click()
    expect(widget.get("progress")).to_be_visible()

    widget.get("phrase-input").press_sequentially("velvet", delay=20)
    widget.expect_painted("square", "velvet")
    assert widget.score > 0
    widget.keep()
    expect(widget.get("comparison")).to_be_visible()
    notebook.wait_until_done(busy)
    in_order = "cell begins, retraining begins, scored, annotated, retrained, cell ends"
    assert notebook.text_of(busy) == f"{in_order}\n"
