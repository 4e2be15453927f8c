"""What the model leans on, attribute by attribute: looked at, judged, and tried as a phrase."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.everyone import BEYOND, RUN_AXE, resize
from tests.e2e.lab import VIEWPORT
from tests.e2e.problems import small_session
from tests.e2e.widget_page import WidgetPage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Locator, Page, ViewportSize

    from clarify_widget.discovery import Discrepancies
    from tests.e2e.lab import Lab, NotebookPage

TALL: ViewportSize = {"width": 1600, "height": 2400}
PHRASES = ["red", "crimson", "blue", "round", "velvet"]
SOURCE = f"""
import json
import clarify_widget as cw
from tests.e2e.problems import small_session

session = small_session()
found = session.attributes(candidates={PHRASES})
widget = cw.ClarifyWidget(session, attributes=found)
widget.class_name = "square"
widget
"""


class AttributesPage:
    """The panel of the attributes in one view of a widget."""

    def __init__(self, page: Page, view: int = 0) -> None:
        self.widget = WidgetPage(page, view)
        self.panel = self.widget.get("panel-attributes")

    def open(self) -> None:
        self.panel.locator("summary").click()
        expect(self.panel.get_by_test_id("attributes-tested")).to_be_visible()

    @property
    def rows(self) -> Locator:
        return self.panel.get_by_test_id("attribute")

    def row(self, attribute: str) -> Locator:
        return self.panel.locator(f'[data-attribute="{attribute}"]')

    def names(self) -> list[str]:
        return [row.get_attribute("data-attribute") or "" for row in self.rows.all()]

    def expect_verdict(self, attribute: str, verdict: str | None) -> None:
        for one in ("healthy", "spurious"):
            button = self.row(attribute).get_by_test_id(f"attribute-{one}")
            expect(button).to_have_attribute("aria-pressed", str(one == verdict).lower())


@pytest.fixture(scope="module")
def twin() -> Discrepancies:
    """What the notebook finds."""
    return small_session().attributes(candidates=PHRASES)


@pytest.fixture
def notebook(lab: Lab, page: Page) -> Iterator[NotebookPage]:
    notebook = lab.show(page, "attributes.ipynb", SOURCE)
    notebook.run_all()
    yield notebook
    page.emulate_media(forced_colors="none")
    page.set_viewport_size(VIEWPORT)
    notebook.set_theme(dark=False)


@pytest.fixture
def panel(notebook: NotebookPage) -> AttributesPage:
    panel = AttributesPage(notebook.page)
    panel.widget.expect_painted("square", "")
    panel.open()
    return panel


def judgements(notebook: NotebookPage) -> list[list[str]]:
    asked = "print(json.dumps([[one.class_name, one.attribute, one.verdict] for one in session.judgements]))"
    found: list[list[str]] = json.loads(notebook.ask(asked))
    return found


def test_attributes_are_judged_and_tried(
    notebook: NotebookPage, panel: AttributesPage, twin: Discrepancies
) -> None:
    ranked = twin.ranked("square")
    expect(panel.rows).to_have_count(len(ranked))
    assert panel.names() == [one.attribute for one in ranked]
    first = ranked[0]
    expect(panel.row(first.attribute)).to_contain_text(f"of {first.present.size}")

    panel.row(first.attribute).get_by_test_id("attribute-spurious").click()
    panel.expect_verdict(first.attribute, "spurious")
    panel.row(first.attribute).focus()
    panel.widget.page.keyboard.press("ArrowDown")
    second = ranked[1].attribute
    expect(panel.row(second)).to_be_focused()
    panel.widget.page.keyboard.press("h")
    panel.expect_verdict(second, "healthy")
    assert judgements(notebook) == [["square", first.attribute, "spurious"], ["square", second, "healthy"]]
    panel.widget.get("undo").click()
    panel.expect_verdict(second, None)

    panel.panel.get_by_test_id("sort-difference").click()
    falling = sorted(ranked, key=lambda one: -one.difference)
    expect(panel.rows.first).to_have_attribute("data-attribute", falling[0].attribute)
    assert panel.names() == [one.attribute for one in falling]

    panel.widget.choose_class("oval")
    expect(panel.rows.first).to_have_attribute("data-attribute", twin.ranked("oval")[0].attribute)
    panel.row("red").get_by_test_id("attribute-use").click()
    panel.widget.expect_painted("oval", "red")


def test_the_panel_is_for_everyone(
    notebook: NotebookPage, panel: AttributesPage, axe: str, screenshots: Path
) -> None:
    page = notebook.page
    page.set_viewport_size(TALL)
    page.evaluate(axe)
    panel.rows.first.get_by_test_id("attribute-spurious").click()
    panel.rows.nth(1).get_by_test_id("attribute-healthy").click()
    panel.expect_verdict(panel.names()[1], "healthy")
    for look in ("light", "dark", "forced"):
        page.emulate_media(forced_colors="active" if look == "forced" else "none")
        notebook.set_theme(dark=look == "dark")
        for width in (1060, 700, 400):
            resize(page, width)
            page.mouse.move(0, 0)
            panel.panel.screenshot(path=screenshots / f"attributes-{look}-{width}.png")
            assert page.evaluate(BEYOND) == []
            assert look == "forced" or page.evaluate(RUN_AXE) == []
    resize(page, 640)
    page.evaluate("document.querySelector('.cw-root').style.zoom = 2")
    panel.panel.screenshot(path=screenshots / "attributes-twice-640.png")
    assert page.evaluate(BEYOND) == []
