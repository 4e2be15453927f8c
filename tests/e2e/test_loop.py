"""The loop in JupyterLab: phrase, threshold, keep, retrain, undo."""

from __future__ import annotations

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
from tests.e2e.problems import small_session

session = small_session()
widget = cw.ClarifyWidget(session)
widget
"""


@pytest.fixture
def notebook(lab: Lab, page: Page) -> NotebookPage:
    notebook = lab.show(page, "loop.ipynb", SOURCE)
    notebook.run_all()
    return notebook


@pytest.fixture
def widget(notebook: NotebookPage) -> WidgetPage:
    return WidgetPage(notebook.page)


def asked(notebook: NotebookPage, expression: str) -> str:
    """What Python says."""
    cell = notebook.append_cell(f"print({expression})")
    notebook.run_cell(cell)
    return notebook.text_of(cell).strip()


def test_a_phrase_shows_the_score_and_the_split_that_python_computes(
    notebook: NotebookPage, widget: WidgetPage
) -> None:
    session = small_session()
    members = session.members("square")
    assert widget.sizes() == (members.correct.sum(), (~members.correct).sum())

    shown = widget.try_phrase("red")
    scored = session.score("square", "red")
    has = session.similarities("red")[members.indices] > scored.threshold
    assert shown == pytest.approx(scored.score, abs=0.005)
    assert widget.sizes() == ((~has).sum(), has.sum())
    expect(widget.get("direction")).to_contain_text("wrong")
    widget.expect_tiles()
    assert asked(notebook, "widget.phrase") == "red"

    widget.try_phrase("blue")
    expect(widget.get("direction")).to_contain_text("right")


def test_typing_without_enter_is_enough(widget: WidgetPage) -> None:
    widget.get("phrase-input").press_sequentially("crimson", delay=10)
    widget.expect_painted("square", "crimson")


def test_the_best_phrase_is_marked_and_a_click_returns_to_it(widget: WidgetPage) -> None:
    scores = {phrase: widget.try_phrase(phrase) for phrase in ("red", "velvet", "crimson")}
    best = max(scores, key=lambda phrase: scores[phrase])
    expect(widget.get("history-item")).to_have_count(3)
    expect(widget.get("history-item").filter(has_text=best)).to_contain_text("best")
    widget.get("history-item").filter(has_text="velvet").click()
    widget.expect_painted("square", "velvet")
    expect(widget.get("phrase-input")).to_have_value("velvet")


def test_the_threshold_moves_with_the_mouse_and_python_hears_of_it(
    notebook: NotebookPage, widget: WidgetPage
) -> None:
    widget.try_phrase("red")
    best, (_, with_before) = widget.threshold, widget.sizes()
    widget.drag_threshold(120)
    assert widget.threshold > best
    assert widget.sizes()[1] < with_before
    expect(widget.get("threshold-best")).to_be_enabled()
    assert float(asked(notebook, "widget.threshold")) == pytest.approx(widget.threshold, abs=1e-3)

    widget.get("threshold-best").click()
    expect(widget.slider).to_have_attribute("aria-valuenow", str(best))
    assert widget.sizes()[1] == with_before


def test_the_threshold_moves_with_the_arrow_keys(notebook: NotebookPage, widget: WidgetPage) -> None:
    widget.try_phrase("red")
    best = widget.threshold
    widget.slider.focus()
    for _ in range(5):
        widget.slider.press("ArrowLeft")
    assert widget.threshold < best
    widget.slider.press("Home")
    assert widget.sizes()[0] == 0
    widget.slider.press("End")
    assert widget.sizes()[1] == 0
    # The kernel hears of the last key only, a moment after it, and an old one only between two cells.
    for _ in range(30):
        if float(asked(notebook, "widget.threshold")) == pytest.approx(widget.threshold, abs=1e-3):
            return
        widget.page.wait_for_timeout(100)
    pytest.fail("Python did not hear of the last key")


def test_keep_retrain_undo(notebook: NotebookPage, widget: WidgetPage) -> None:
    widget.try_phrase("red")
    widget.keep()
    expect(widget.get("class-option").filter(has_text="square")).to_contain_text("annotated")
    widget.choose_class("oval")
    widget.try_phrase("blue")
    widget.keep()

    widget.retrain()
    comparison = widget.get("comparison")
    expect(comparison).to_contain_text("Worst")
    worst = "next(row for row in session.compare().rows if row.kind == 'worst')"
    before, after = (asked(notebook, f"format(100 * {worst}.{when}, '.1f')") for when in ("before", "after"))
    assert float(after) > float(before) + 20
    expect(comparison).to_contain_text(before)
    expect(comparison).to_contain_text(after)

    widget.get("undo").click()
    expect(comparison).to_be_hidden()
    widget.get("undo").click()
    expect(widget.get("annotations")).not_to_contain_text("blue")
    expect(widget.get("annotations")).to_contain_text("red")
    assert asked(notebook, "[a.phrase for a in session.annotations]") == "['red']"


def test_another_objective_can_be_chosen(notebook: NotebookPage, widget: WidgetPage) -> None:
    widget.try_phrase("red")
    widget.keep()
    widget.get("objective").select_option("worst_slice")
    widget.retrain()
    assert asked(notebook, "session.compare().objective") == "worst_slice"


def test_python_moves_what_the_page_shows(notebook: NotebookPage, widget: WidgetPage) -> None:
    asked(notebook, "setattr(widget, 'class_name', 'oval')")
    widget.expect_painted("oval", "")
    asked(notebook, "setattr(widget, 'phrase', 'blue')")
    widget.expect_painted("oval", "blue")
    asked(notebook, "session.annotate('oval', 'blue')")
    expect(widget.get("annotations")).to_contain_text("blue")


def test_an_image_opens_large_and_closes_with_escape(widget: WidgetPage) -> None:
    widget.expect_tiles()
    widget.get("grid-right").get_by_test_id("tile").first.click()
    dialog = widget.page.get_by_test_id("original-dialog")
    expect(dialog).to_be_visible()
    expect(dialog.locator("img").first).to_be_visible()
    widget.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
