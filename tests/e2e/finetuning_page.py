"""What a person does with the panel of fine-tuning, in whatever host it sits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.e2e.widget_page import WidgetPage

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


class FinetuningPage:
    """The panel of fine-tuning in one view of a widget."""

    def __init__(self, page: Page, view: int = 0) -> None:
        self.widget = WidgetPage(page, view)
        self.panel = self.widget.get("panel-finetuning")

    def get(self, testid: str) -> Locator:
        return self.panel.get_by_test_id(testid)

    def open(self) -> None:
        self.panel.locator("summary").click()
        expect(self.panel.get_by_role("list")).to_be_attached()

    def expect_running(self) -> None:
        expect(self.get("finetuning-progress")).to_be_visible()
        expect(self.get("finetuning-cancel")).to_be_visible()
