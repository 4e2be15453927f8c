"""Deciding on a threshold and correcting: sizes, warnings, switches, curves, models, undo and redo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.problems import small_session
from tests.e2e.widget_page import WidgetPage

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Page

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
    notebook = lab.show(page, "correct.ipynb", SOURCE)
    notebook.run_all()
    return notebook


@pytest.fixture
def widget(notebook: NotebookPage) -> WidgetPage:
    return WidgetPage(notebook.page)


def asked(notebook: NotebookPage, expression: str) -> str:
    """What Python says."""
    return notebook.ask(f"print({expression})").strip()


def sizes(widget: WidgetPage) -> Locator:
    return widget.get("sides").locator("td.cw-number")


def model(widget: WidgetPage, number: int) -> Locator:
    return widget.root.locator(f'[data-testid="model"][data-number="{number}"]')


def test_both_sides_are_counted_in_validation_and_training(widget: WidgetPage) -> None:
    widget.try_phrase("red")
    sides = small_session().sides("square", "red")
    counted = [sides.val.without, sides.val.having, sides.train.without, sides.train.having]
    expect(sizes(widget)).to_have_text([str(count) for count in counted])

    widget.drag_threshold(60)
    expect(sizes(widget).nth(2)).not_to_contain_text("about")
    moved = small_session().sides("square", "red", widget.threshold)
    without = [int(text) for text in sizes(widget).all_text_contents()][::2]
    assert without == pytest.approx([moved.val.without, moved.train.without], abs=1)


def test_a_tiny_side_and_noise_are_warned_of(widget: WidgetPage) -> None:
    widget.try_phrase("red")
    (tiny,) = small_session().sides("square", "red").warnings
    assert tiny.startswith("Only 13 training images are with “red”")
    expect(widget.get("side-warnings")).to_have_text(tiny)
    widget.slider.focus()
    widget.slider.press("End")
    expect(widget.get("side-warnings")).to_contain_text("No training image of square is with “red”")
    widget.get("threshold-best").click()
    expect(widget.get("side-warnings")).to_have_text(tiny)
    widget.try_phrase("velvet")
    expect(widget.get("side-warnings")).to_contain_text("within noise")


def test_a_correction_that_is_switched_off_is_not_retrained_with(
    notebook: NotebookPage, widget: WidgetPage
) -> None:
    for phrase in ("red", "velvet"):
        widget.try_phrase(phrase)
        widget.keep()
    expect(widget.get("annotations")).to_contain_text("not used")
    red = widget.get("annotations").get_by_label("Retrain with “red” for square")
    red.press("Space")
    expect(red).not_to_be_checked()
    expect(widget.get("annotations")).not_to_contain_text("not used")
    widget.retrain()
    assert asked(notebook, "[kept.phrase for kept in session.retraining.annotations]") == "['velvet']"

    widget.get("undo").click()
    expect(widget.get("comparison")).to_be_hidden()
    widget.get("undo").click()
    expect(red).to_be_checked()
    widget.get("redo").click()
    expect(red).not_to_be_checked()
    expect(red).to_be_visible()


def test_models_are_kept_and_one_is_returned_to(
    notebook: NotebookPage, widget: WidgetPage, screenshots: Path
) -> None:
    widget.try_phrase("red")
    widget.keep()
    widget.retrain()
    first = widget.get("comparison").text_content()
    expect(widget.get("models").get_by_test_id("curve")).to_contain_text("worst slice")
    widget.choose_class("oval")
    widget.try_phrase("blue")
    widget.keep()
    widget.get("retrain").click()
    expect(model(widget, 2)).to_be_checked()
    notebook.page.set_viewport_size({"width": 1400, "height": 2200})
    for dark in (False, True):
        notebook.set_theme(dark)
        widget.screenshot(screenshots / f"correct-models-{'dark' if dark else 'light'}.png")
    notebook.set_theme(dark=False)

    model(widget, 1).check()
    expect(widget.get("comparison")).to_have_text(first or "")
    assert asked(notebook, "session.retraining.number, len(session.annotations)") == "1 2"
    model(widget, 1).press("ArrowUp")
    expect(model(widget, 0)).to_be_checked()
    expect(widget.get("comparison")).to_be_hidden()
    expect(model(widget, 0)).to_be_focused()
    widget.get("undo").click()
    expect(model(widget, 1)).to_be_checked()
    widget.get("redo").click()
    expect(model(widget, 0)).to_be_checked()
    assert asked(notebook, "session.retraining") == "None"
