"""What retraining would give: beside each phrase, without being asked, and never in the way."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.problems import small_session
from tests.e2e.widget_page import WidgetPage

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.e2e.lab import Lab, NotebookPage

SOURCE = """
import clarify_widget as cw
from tests.e2e.problems import hold_previews, small_session

session = small_session()
widget = cw.ClarifyWidget(session)
widget
"""


@pytest.fixture
def notebook(lab: Lab, page: Page) -> NotebookPage:
    notebook = lab.show(page, "previews.ipynb", SOURCE)
    notebook.run_all()
    return notebook


@pytest.fixture
def widget(notebook: NotebookPage) -> WidgetPage:
    return WidgetPage(notebook.page)


def test_every_tried_phrase_says_what_retraining_would_give(widget: WidgetPage) -> None:
    for phrase in ("velvet", "red"):
        widget.try_phrase(phrase)
    widget.expect_previews()

    session = small_session()
    (red,) = session.expected("square", ["red"])
    assert red.worst_before is not None
    assert red.worst_after is not None
    row = widget.get("history-item").filter(has_text="red")
    shown = f"after: worst slice {red.worst_before.accuracy:.2f} → {red.worst_after.accuracy:.2f}"
    expect(row).to_contain_text(shown)
    expect(row.get_by_test_id("expected")).to_have_attribute("title", red.sentence)


def test_previews_follow_what_is_kept_for_the_other_class(widget: WidgetPage) -> None:
    widget.try_phrase("red")
    widget.expect_previews()
    alone = widget.get("expected").get_attribute("title")
    assert alone is not None
    widget.choose_class("oval")
    widget.try_phrase("blue")
    widget.keep()
    widget.choose_class("square")
    expect(widget.get("expected")).to_have_attribute("title", re.compile("and “blue” for oval"))


def test_typing_goes_on_while_previews_are_made_and_they_come_afterwards(
    notebook: NotebookPage, widget: WidgetPage
) -> None:
    notebook.run_cell(notebook.append_cell("gate = hold_previews()"))
    widget.try_phrase("red")
    expect(widget.get("history-item")).to_contain_text("after: …")
    widget.get("phrase-input").fill("")
    widget.get("phrase-input").press_sequentially("crimson", delay=30)
    widget.expect_painted("square", "crimson")
    widget.drag_threshold(30)
    widget.keep()
    expect(widget.get("expected")).to_have_count(0)

    notebook.run_cell(notebook.append_cell("gate.set()"))
    widget.expect_previews()
    widget.retrain()
    widget.expect_previews()
