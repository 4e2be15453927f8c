"""More than one view of a widget, and views that come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.lab import watched_page
from tests.e2e.widget_page import WidgetPage

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.e2e.lab import Lab, NotebookPage

SOURCE = """
import clarify_widget as cw
from tests.e2e.problems import small_session

widget = cw.ClarifyWidget(small_session())
widget
"""


@pytest.fixture
def notebook(lab: Lab, page: Page) -> NotebookPage:
    notebook = lab.show(page, "views.ipynb", SOURCE)
    notebook.run_all()
    return notebook


def go_once_round(widget: WidgetPage) -> None:
    widget.try_phrase("velvet")
    widget.try_phrase("red")
    widget.drag_threshold(40)
    widget.keep()
    widget.retrain()


def test_everything_is_still_there_after_a_reload(notebook: NotebookPage) -> None:
    widget = WidgetPage(notebook.page)
    go_once_round(widget)
    before = widget.facts()
    notebook.save()
    notebook.reload()
    widget = WidgetPage(notebook.page)
    assert widget.facts() == before
    widget.expect_tiles()
    widget.try_phrase("crimson")


def test_a_second_view_in_the_notebook_agrees(notebook: NotebookPage) -> None:
    notebook.run_cell(notebook.append_cell("widget"))
    first, second = (WidgetPage(notebook.page, view) for view in (0, 1))
    go_once_round(first)
    second.expect_painted("square", "red")
    expect(second.get("comparison")).to_be_visible()
    assert second.facts() == first.facts()

    second.choose_class("oval")
    first.expect_painted("oval", "")
    second.try_phrase("blue")
    first.expect_painted("oval", "blue")
    assert second.facts() == first.facts()
    first.expect_tiles()


def test_a_view_in_another_browser_page_agrees(notebook: NotebookPage, lab: Lab, browser: Browser) -> None:
    here = WidgetPage(notebook.page)
    go_once_round(here)
    notebook.save()
    with watched_page(browser) as (other_page, faults):
        lab.open(other_page, "views.ipynb")
        there = WidgetPage(other_page)
        assert there.facts() == here.facts()
        there.try_phrase("crimson")
        here.expect_painted("square", "crimson")
        assert there.facts() == here.facts()
    assert not faults


def test_two_widgets_on_one_page_do_not_mix(notebook: NotebookPage) -> None:
    notebook.run_cell(notebook.append_cell("cw.ClarifyWidget(small_session())"))
    first, second = (WidgetPage(notebook.page, view) for view in (0, 1))
    first.try_phrase("red")
    second.try_phrase("velvet")
    first.expect_painted("square", "red")
    assert first.get("history-item").count() == second.get("history-item").count() == 1
