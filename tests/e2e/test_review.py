"""Looking at images: scroll, sort, enlarge, open and select them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.e2e.problems import small_session
from tests.e2e.widget_page import WidgetPage

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Page

    from clarify_widget import Session
    from tests.e2e.lab import Lab, NotebookPage

SIZES = {"train": 400, "val": 4000, "test": 100}
SOURCE = f"""
import json
import clarify_widget as cw
from tests.e2e.problems import small_session

session = small_session(sizes={SIZES})
widget = cw.ClarifyWidget(session)
widget.class_name, widget.phrase = "square", "red"
widget
"""


@pytest.fixture(scope="module")
def twin() -> Session:
    """The session that the notebook makes."""
    return small_session(sizes=SIZES)


@pytest.fixture
def notebook(lab: Lab, page: Page) -> NotebookPage:
    notebook = lab.show(page, "review.ipynb", SOURCE)
    notebook.run_all()
    return notebook


@pytest.fixture
def widget(notebook: NotebookPage) -> WidgetPage:
    widget = WidgetPage(notebook.page)
    widget.expect_painted("square", "red")
    widget.expect_tiles()
    return widget


def frame(widget: WidgetPage, side: str) -> Locator:
    return widget.get(side).get_by_role("listbox")


def tile(widget: WidgetPage, side: str, place: int) -> Locator:
    """The tile at a place, from 1, of the whole side."""
    return widget.get(side).locator(f'[data-testid="tile"][aria-posinset="{place}"]')


def row_of(tile: Locator) -> int:
    return int(tile.get_attribute("data-index") or -1)


def with_red(session: Session) -> np.ndarray:
    """Rows of the squares with “red”, most similar first."""
    split = session.split("square", "red", session.score("square", "red").threshold)
    rows = split.indices[split.has]
    return rows[np.argsort(-split.similarities[split.has], kind="stable")]


def asked(notebook: NotebookPage, expression: str) -> str:
    return notebook.ask(f"print({expression})").strip()


def test_thousands_of_images_scroll_to_the_last_and_few_of_them_have_tiles(
    widget: WidgetPage, twin: Session
) -> None:
    rows = with_red(twin)
    assert len(rows) > 500
    tiles = widget.get("grid-right").get_by_test_id("tile")
    assert tiles.count() < 100
    expect(tile(widget, "grid-right", 1)).to_have_attribute("aria-setsize", str(len(rows)))

    frame(widget, "grid-right").evaluate("node => { node.scrollTop = node.scrollHeight; }")
    last = tile(widget, "grid-right", len(rows))
    picture = last.locator("img")
    expect(picture).to_be_visible()
    expect(picture).to_have_js_property("complete", True)
    assert tiles.count() < 100
    assert row_of(last) == rows[-1]

    last.click()
    dialog = widget.page.get_by_test_id("original-dialog")
    expect(dialog).to_contain_text("Confidence")
    widget.page.keyboard.press("ArrowLeft")
    expect(dialog.get_by_role("heading")).to_have_text(twin.image_name(int(rows[-2])))
    widget.page.keyboard.press("Escape")
    expect(tile(widget, "grid-right", len(rows) - 1)).to_be_focused()


def test_keys_go_through_the_whole_side(widget: WidgetPage, twin: Session) -> None:
    size = len(with_red(twin))
    first = tile(widget, "grid-right", 1)
    first.focus()
    first.press("End")
    last = tile(widget, "grid-right", size)
    expect(last).to_be_focused()
    expect(last).to_be_in_viewport()
    last.press("PageUp")
    last.page.keyboard.press("Home")
    expect(tile(widget, "grid-right", 1)).to_be_focused()
    widget.page.keyboard.press("ArrowRight")
    expect(tile(widget, "grid-right", 2)).to_be_focused()


def test_each_side_is_sorted_as_chosen(widget: WidgetPage, twin: Session) -> None:
    rows = with_red(twin)
    confidences = twin.confidences()
    assert confidences is not None
    order = widget.get("grid-right").get_by_test_id("order")
    order.select_option("least-confident")
    shown = [row_of(tile(widget, "grid-right", place)) for place in range(1, 13)]
    assert confidences[shown] == pytest.approx(np.sort(confidences[rows])[:12])
    order.select_option("index")
    shown = [row_of(tile(widget, "grid-right", place)) for place in range(1, 13)]
    assert shown == sorted(rows.tolist())[:12]
    expect(widget.get("grid-left").get_by_test_id("order")).to_have_value("least-similar")
    widget.drag_threshold(20)
    expect(order).to_have_value("index")


def test_an_image_is_enlarged_under_the_pointer_and_by_key(
    notebook: NotebookPage, widget: WidgetPage, screenshots: Path
) -> None:
    tip = widget.get("tip")
    second = tile(widget, "grid-right", 2)
    second.hover()
    enlarged = tip.locator("img")
    expect(enlarged).to_be_visible()
    expect(tip).to_contain_text("Confidence")
    over, of = enlarged.bounding_box(), second.bounding_box()
    assert over is not None
    assert of is not None
    apart = (
        over["x"] >= of["x"] + of["width"]
        or over["x"] + over["width"] <= of["x"]
        or over["y"] >= of["y"] + of["height"]
        or over["y"] + over["height"] <= of["y"]
    )
    assert apart, (over, of)
    for dark in (False, True):
        notebook.set_theme(dark)
        second.hover()
        expect(enlarged).to_be_visible()
        widget.page.screenshot(path=screenshots / f"review-zoom-{'dark' if dark else 'light'}.png")
    notebook.set_theme(dark=False)
    widget.page.mouse.move(0, 0)
    expect(tip).to_be_hidden()

    second.focus()
    second.press("z")
    expect(enlarged).to_be_visible()
    second.press("Escape")
    expect(enlarged).to_be_hidden()


def test_an_enlarged_image_stays_above_the_status_bar(widget: WidgetPage, screenshots: Path) -> None:
    notebook_part = widget.page.locator(".jp-WindowedPanel-outer").bounding_box()
    assert notebook_part is not None
    lowest = tile(widget, "grid-right", 1)
    lowest.evaluate("node => node.scrollIntoView({block: 'end'})")
    lowest.hover()
    tip = widget.get("tip")
    expect(tip.locator("img")).to_be_visible()
    widget.page.screenshot(path=screenshots / "review-zoom-lowest.png")
    shown = tip.bounding_box()
    assert shown is not None
    assert shown["y"] + shown["height"] <= notebook_part["y"] + notebook_part["height"]
    widget.page.mouse.move(0, 0)
    expect(tip).to_be_hidden()


def test_images_are_selected_by_mouse_and_keys_and_python_has_them_as_a_table(
    notebook: NotebookPage, widget: WidgetPage, twin: Session, screenshots: Path
) -> None:
    rows = with_red(twin)
    tile(widget, "grid-right", 2).click(modifiers=["Control"])
    tile(widget, "grid-right", 5).click(modifiers=["Shift"])
    tile(widget, "grid-right", 3).hover()
    tile(widget, "grid-right", 3).get_by_test_id("check").click()
    expect(widget.get("selected-count")).to_contain_text("3")
    tile(widget, "grid-right", 7).focus()
    widget.page.keyboard.press("x")
    widget.page.keyboard.press("Shift+ArrowRight")
    chosen = sorted(int(rows[place - 1]) for place in (2, 4, 5, 7, 8))
    expect(widget.get("selected-count")).to_contain_text("5")
    for dark in (False, True):
        notebook.set_theme(dark)
        widget.page.mouse.move(0, 0)
        widget.page.screenshot(path=screenshots / f"review-selected-{'dark' if dark else 'light'}.png")
    notebook.set_theme(dark=False)

    assert json.loads(asked(notebook, "json.dumps(list(widget.selected))")) == chosen
    table = json.loads(asked(notebook, "json.dumps(widget.selected_frame().to_dict(orient='list'))"))
    assert table["index"] == chosen
    assert table["label"] == ["square"] * 5
    assert table["similarity"] == pytest.approx(twin.similarities("red")[chosen].tolist(), abs=1e-6)

    widget.try_phrase("velvet")
    expect(widget.get("selected-count")).to_contain_text("5")
    notebook.ask("widget.selected = [3, 1]")
    expect(widget.get("selected-count")).to_contain_text("2")
    widget.choose_class("oval")
    expect(widget.get("selected-count")).to_have_text("")
    assert asked(notebook, "list(widget.selected)") == "[]"


def test_a_second_view_has_the_same_selection(notebook: NotebookPage, widget: WidgetPage) -> None:
    notebook.run_cell(notebook.append_cell("widget"))
    other = WidgetPage(notebook.page, 1)
    tile(widget, "grid-left", 1).click(modifiers=["Control"])
    expect(other.get("selected-count")).to_contain_text("1")
    tile(other, "grid-left", 1).focus()
    other.page.keyboard.press("Escape")
    expect(widget.get("selected-count")).to_have_text("")
