"""Finding words: suggestions, two phrases beside each other, joined phrases, phrases sharpened by images."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.problems import HTML, small_session
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
    notebook = lab.show(page, "describe.ipynb", SOURCE)
    notebook.run_all()
    return notebook


@pytest.fixture
def widget(notebook: NotebookPage) -> WidgetPage:
    widget = WidgetPage(notebook.page)
    widget.choose_class("square")
    return widget


def toggle(widget: WidgetPage, phrase: str) -> Locator:
    return widget.root.locator(f'[data-testid="compare"][data-phrase="{phrase}"]')


def mark_by_colour(widget: WidgetPage, each: int) -> None:
    """Mark as many red and blue squares by key, as somebody would who sees them."""
    red = small_session().dataset.val.groups
    assert red is not None
    for side, wanted, key in (("grid-right", 1, "+"), ("grid-left", 0, "-")):
        tiles = widget.get(side).get_by_test_id("tile")
        rows = [int(row or -1) for row in tiles.evaluate_all("all => all.map(one => one.dataset.index)")]
        for row in [row for row in rows if red[row] % 2 == wanted][:each]:
            tile = widget.get(side).locator(f'[data-index="{row}"]')
            tile.press(key)
            expect(tile.get_by_test_id("has")).to_be_visible()


def test_suggestions_come_unasked_and_are_scored_by_mouse_or_key(widget: WidgetPage) -> None:
    ranking = small_session().suggest("square")
    expect(widget.get("noise-line")).to_have_text(f"Chance alone: {ranking.chance.noise_line:.2f}")
    above = [row.scored.phrase for row in ranking.rows if row.above_noise]
    chips = widget.root.locator('[data-above-noise="true"]')
    expect(chips).to_have_count(len(above))
    assert chips.evaluate_all("all => all.map(chip => chip.dataset.phrase)") == above
    assert {"red", "crimson", HTML} <= set(above)

    chips.filter(has_text=re.compile(r"^red0")).click()
    widget.expect_painted("square", "red")
    assert widget.score == pytest.approx(ranking.rows[above.index("red")].scored.score, abs=0.005)
    crimson = chips.filter(has_text="crimson")
    crimson.press("Enter")
    widget.expect_painted("square", "crimson")
    expect(crimson).to_have_attribute("aria-pressed", "true")


def test_history_says_what_each_side_gets_right(widget: WidgetPage) -> None:
    widget.try_phrase("velvet")
    widget.try_phrase("red")
    session = small_session()
    scored = session.score("square", "red")
    without, having = session.accuracies("square", "red", scored.threshold)
    row = widget.get("history-item").first
    expect(row).to_contain_text(f"right: {without.accuracy:.2f} without, {having.accuracy:.2f} with")
    widget.try_phrase("velvet")
    widget.get("history-order").click()
    expect(widget.get("history-item").first).to_contain_text("red")


def test_two_phrases_are_compared_and_joined(widget: WidgetPage) -> None:
    widget.try_phrase("round")
    widget.try_phrase("red")
    toggle(widget, "round").click()
    panel = widget.get("compared")
    expect(panel).to_be_visible()
    compared = small_session().compare_phrases("square", "red", "round")
    for cell, shown in zip(compared.cells, panel.locator("tbody td").all(), strict=True):
        expect(shown).to_contain_text(f"{cell.size} image" if cell.size else "no images")
    expect(panel).to_contain_text(f"agree on {compared.agreement:.0%}")

    panel.get_by_test_id("join").filter(has_text="AND").click()
    widget.expect_painted("square", "red AND round")
    assert widget.score == pytest.approx(small_session().score("square", "red AND round").score, abs=0.005)
    expect(panel).to_contain_text("“red AND round” beside “round”")
    widget.drag_threshold(20)
    widget.keep()
    widget.retrain()
    expect(widget.get("comparison")).to_contain_text("red AND round")


def test_capitals_join_phrases_and_small_letters_do_not(widget: WidgetPage) -> None:
    widget.try_phrase("red OR blue")
    widget.enter("red or blue")
    expect(widget.get("error")).to_contain_text("'red or blue' is not among them")
    widget.enter("red AND")
    expect(widget.get("error")).to_contain_text("is not complete")
    assert widget.painted == "square|red OR blue"


def test_marked_images_sharpen_a_phrase_that_means_nothing(
    notebook: NotebookPage, widget: WidgetPage
) -> None:
    before = widget.try_phrase("velvet")
    mark_by_colour(widget, 5)
    expect(widget.get("marked")).to_have_text("5 marked “has it”, 5 “has it not”")
    widget.get("sharpen").click()
    widget.expect_painted("square", "velvet, sharpened by 10")
    assert widget.score > before + 0.2
    widget.keep()
    widget.retrain()
    cell = notebook.append_cell("print([len(kept.sharpened[0].marked) for kept in session.annotations])")
    notebook.run_cell(cell)
    assert notebook.text_of(cell).strip() == "[10]"

    notebook.save()
    notebook.reload()
    widget = WidgetPage(notebook.page)
    widget.expect_painted("square", "velvet, sharpened by 10")
    expect(widget.get("marked")).to_have_text("5 marked “has it”, 5 “has it not”")
    widget.get("forget-marks").click()
    expect(widget.get("has")).to_have_count(0)
    expect(widget.get("sharpen")).to_be_hidden()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_is_looked_at(
    notebook: NotebookPage, widget: WidgetPage, screenshots: Path, *, dark: bool
) -> None:
    notebook.page.set_viewport_size({"width": 1400, "height": 2000})
    notebook.set_theme(dark)
    widget.try_phrase("round")
    widget.try_phrase("red")
    toggle(widget, "round").click()
    mark_by_colour(widget, 2)
    expect(widget.get("compared")).to_be_visible()
    widget.expect_previews()
    widget.expect_tiles()
    widget.screenshot(screenshots / f"describe-{'dark' if dark else 'light'}.png")
    notebook.set_theme(False)
