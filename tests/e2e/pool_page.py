"""What a person does with the pool of a widget, in whatever host it sits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.e2e.widget_page import WidgetPage

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


class PoolPage:
    """The panel of the pool in one view of a widget."""

    def __init__(self, page: Page, view: int = 0) -> None:
        self.widget = WidgetPage(page, view)
        self.panel = self.widget.get("panel-pool")

    def get(self, testid: str) -> Locator:
        return self.panel.get_by_test_id(testid)

    def open(self) -> None:
        self.panel.locator("summary").click()
        expect(self.get("pool-phrase")).to_be_visible()

    def search(self, phrase: str) -> None:
        self.get("pool-phrase").fill(phrase)
        self.get("pool-phrase").press("Enter")
        expect(self.panel.get_by_role("listbox")).to_have_attribute("aria-label", f"Hits for “{phrase}”: 120")

    def tile(self, place: int) -> Locator:
        """The tile at a place, from 1."""
        return self.panel.locator(f'[data-testid="pool-tile"][aria-posinset="{place}"]')

    def row(self, place: int) -> int:
        return int(self.tile(place).get_attribute("data-index") or -1)

    def expect_row(self, place: int, row: int) -> None:
        expect(self.tile(place)).to_have_attribute("data-index", str(row))

    def expect_pictures(self) -> None:
        picture = self.tile(1).locator("img")
        expect(picture).to_be_visible()
        expect(picture).to_have_js_property("complete", True)
