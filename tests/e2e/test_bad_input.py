"""Bad input in the widget: one clear sentence each time, and nothing entered so far is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.problems import EMOJI, HTML
from tests.e2e.widget_page import WidgetPage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from tests.e2e.lab import Lab, NotebookPage

SOURCE = """
import numpy as np
import clarify_widget as cw
from tests.e2e.problems import small_session, shapes, encoder, HTML, EMOJI

session = small_session()
widget = cw.ClarifyWidget(session)
widget
"""


@pytest.fixture
def notebook(lab: Lab, page: Page) -> NotebookPage:
    notebook = lab.show(page, "bad_input.ipynb", SOURCE)
    notebook.run_all()
    return notebook


@pytest.fixture
def widget(notebook: NotebookPage) -> Iterator[WidgetPage]:
    """Yield a widget with one phrase tried and kept, which must still be there in the end."""
    widget = WidgetPage(notebook.page)
    widget.try_phrase("red")
    widget.keep()
    yield widget
    expect(widget.get("annotations")).to_contain_text("red")
    expect(widget.get("history-item").filter(has_text="red").first).to_be_visible()


def expect_error(widget: WidgetPage, *words: str) -> None:
    error = widget.get("error")
    expect(error).to_be_visible()
    for word in words:
        expect(error).to_contain_text(word)
    assert "Traceback" not in error.inner_text()


@pytest.mark.parametrize("phrase", ["", "   "])
def test_an_empty_phrase(widget: WidgetPage, phrase: str) -> None:
    widget.enter(phrase)
    expect_error(widget, "empty")


def test_a_phrase_of_10000_characters(widget: WidgetPage) -> None:
    widget.enter("r" * 10_000)
    expect_error(widget, "10,000")


def test_an_error_goes_away_with_the_next_phrase(widget: WidgetPage) -> None:
    widget.enter("corduroy")
    expect_error(widget, "corduroy")
    widget.try_phrase("blue")
    expect(widget.get("error")).to_be_hidden()


@pytest.mark.parametrize("phrase", [HTML, EMOJI])
def test_html_and_emoji_in_a_phrase_are_text(widget: WidgetPage, phrase: str) -> None:
    widget.try_phrase(phrase)
    widget.keep()
    expect(widget.get("history-item").filter(has_text=phrase)).to_be_visible()
    expect(widget.get("grid-right")).to_contain_text(phrase)
    assert widget.page.evaluate("document.body.dataset.hurt") is None


def test_retraining_with_nothing_kept(notebook: NotebookPage) -> None:
    widget = WidgetPage(notebook.page)
    widget.try_phrase("red")
    widget.get("retrain").click()
    expect_error(widget, "kept")
    widget.expect_painted("square", "red")


def test_an_empty_slice_at_retraining(widget: WidgetPage) -> None:
    widget.slider.focus()
    widget.slider.press("End")
    widget.get("keep").click()
    expect(widget.get("keep")).to_be_disabled()
    widget.get("retrain").click()
    expect_error(widget, "square", "red")
    widget.expect_painted("square", "red")


def show(notebook: NotebookPage, source: str) -> WidgetPage:
    notebook.run_cell(notebook.append_cell(source))
    return WidgetPage(notebook.page, view=1)


def test_html_and_emoji_in_class_names_are_text(notebook: NotebookPage) -> None:
    widget = show(notebook, "cw.ClarifyWidget(small_session(class_names=(HTML, EMOJI)))")
    for name in (HTML, EMOJI):
        widget.choose_class(name)
        widget.try_phrase("red")
        widget.keep()
    widget.retrain()
    expect(widget.get("comparison")).to_contain_text(EMOJI)
    assert notebook.page.evaluate("document.body.dataset.hurt") is None


LABELS = "labels = np.array([0, 0, 1, 1] * 10 + [0, 0, 1, 1] * 5); split = ['train'] * 40 + ['val'] * 20"
ROWS = "rows = np.random.default_rng(0).normal(size=(60, 6))"


def test_a_class_with_no_errors(notebook: NotebookPage) -> None:
    widget = show(
        notebook,
        f"{LABELS}; {ROWS}\n"
        "predictions = labels.copy(); predictions[-1] = 0\n"
        "data = cw.datasets.from_arrays(labels=labels, embeddings=rows, split=split,\n"
        "    predictions=predictions, class_names=['perfect', 'flawed'])\n"
        "cw.ClarifyWidget(cw.Session(data, encoder=encoder()))",
    )
    widget.choose_class("perfect")
    widget.enter("red")
    expect_error(widget, "right on all 10", "perfect")
    widget.expect_painted("perfect", "")


def test_a_class_with_one_image(notebook: NotebookPage) -> None:
    widget = show(
        notebook,
        f"{LABELS}; {ROWS}\n"
        "labels[40:] = 0; labels[41] = 1\n"
        "data = cw.datasets.from_arrays(labels=labels, embeddings=rows, split=split,\n"
        "    predictions=np.roll(labels, 1), class_names=['many', 'single'])\n"
        "cw.ClarifyWidget(cw.Session(data, encoder=encoder()))",
    )
    widget.choose_class("single")
    widget.enter("red")
    expect_error(widget, "single")


def test_all_images_equal_score_zero(notebook: NotebookPage) -> None:
    widget = show(
        notebook,
        f"{LABELS}; rows = np.ones((60, 6))\n"
        "data = cw.datasets.from_arrays(labels=labels, embeddings=rows, split=split,\n"
        "    predictions=np.roll(labels, 1), class_names=['first', 'second'])\n"
        "cw.ClarifyWidget(cw.Session(data, encoder=encoder()))",
    )
    assert widget.try_phrase("red") == 0
    expect(widget.get("error")).to_be_hidden()


def test_an_image_that_cannot_be_read_is_noted_and_the_rest_goes_on(notebook: NotebookPage) -> None:
    widget = show(
        notebook,
        f"{LABELS}; {ROWS}\n"
        "images = [np.full((8, 8, 3), 128, np.uint8)] * 59 + [b'no image']\n"
        "data = cw.datasets.from_arrays(labels=labels, embeddings=rows, images=images, split=split,\n"
        "    predictions=np.roll(labels, 1), class_names=['first', 'second'])\n"
        "cw.ClarifyWidget(cw.Session(data, encoder=encoder()))",
    )
    widget.choose_class("second")
    widget.try_phrase("red")
    expect(widget.get("error")).to_be_hidden()
