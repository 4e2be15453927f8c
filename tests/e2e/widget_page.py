"""What a person does with the widget and sees of it, in whatever host it sits."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Page

PAINTED = "[data-cw-painted]"
ROOM = 400  # pixels, for what a notebook has around the widget
# JupyterLab follows its window a moment later.
LAID_OUT = """() => {
  const shell = document.getElementById("main")?.getBoundingClientRect();
  return !shell || (Math.abs(shell.width - innerWidth) < 2 && Math.abs(shell.height - innerHeight) < 2);
}"""


class WidgetPage:
    """One view of a ClarifyWidget."""

    def __init__(self, page: Page, view: int = 0) -> None:
        self.page = page
        self.root = page.locator(PAINTED).nth(view)
        expect(self.root).to_be_visible()

    def get(self, testid: str) -> Locator:
        return self.root.get_by_test_id(testid)

    @property
    def painted(self) -> str:
        """What is on the screen now: class|phrase."""
        return self.root.get_attribute("data-cw-painted") or ""

    def expect_painted(self, class_name: str, phrase: str) -> None:
        expect(self.root).to_have_attribute("data-cw-painted", f"{class_name}|{phrase}")

    def choose_class(self, class_name: str) -> None:
        self.get("class-option").filter(has_text=class_name).click()
        expect(self.root).to_have_attribute("data-cw-painted", re.compile(f"^{re.escape(class_name)}\\|"))

    def enter(self, phrase: str) -> None:
        """Type into the phrase box and press Enter, without waiting for an answer."""
        box = self.get("phrase-input")
        box.fill(phrase)
        box.press("Enter")

    def try_phrase(self, phrase: str) -> float:
        """Enter a phrase, wait until it is on the screen, and return its Error Score."""
        class_name = self.painted.split("|", 1)[0]
        self.enter(phrase)
        self.expect_painted(class_name, phrase.strip())
        return self.score

    @property
    def score(self) -> float:
        return float(self.get("error-score").inner_text())

    def sizes(self) -> tuple[int, int]:
        """Images in the left and in the right grid, as their titles say."""
        left, right = (self._size(side) for side in ("grid-left", "grid-right"))
        return left, right

    def _size(self, side: str) -> int:
        heading = self.get(side).locator("header").inner_text()
        found = re.search(r"([\d,]+) images?\b", heading)
        return int(found[1].replace(",", "")) if found else 0

    @property
    def slider(self) -> Locator:
        return self.get("threshold-slider")

    @property
    def threshold(self) -> float:
        return float(self.slider.get_attribute("aria-valuenow") or "nan")

    def drag_threshold(self, pixels: int) -> None:
        """Drag the threshold to the right with the mouse, in steps, and let go."""
        self.hold_threshold(pixels)
        self.let_go()

    def let_go(self) -> None:
        self.page.mouse.up()

    def hold_threshold(self, pixels: int) -> None:
        """Drag the threshold to the right with the mouse, in steps, and hold it there."""
        self.slider.scroll_into_view_if_needed()
        box = self.slider.bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + pixels, y, steps=6)

    def keep(self) -> None:
        kept = self.get("annotations")
        phrase = self.painted.split("|", 1)[1]
        self.get("keep").click()
        expect(kept).to_contain_text(phrase)

    def retrain(self) -> None:
        """Press Retrain and wait until it is over."""
        self.get("retrain").click()
        expect(self.get("comparison")).to_be_visible()
        expect(self.get("retrain")).to_be_visible()

    def expect_previews(self) -> None:
        """Wait until every phrase in the history says what retraining with it would give."""
        expect(self.get("expected")).to_have_count(self.get("history-item").count())

    def facts(self) -> dict[str, object]:
        """Everything that two views must agree on."""
        self.expect_previews()
        return {
            "painted": self.painted,
            "score": self.get("error-score").all_text_contents(),
            "sizes": self.sizes(),
            "threshold": self.slider.get_attribute("aria-valuenow"),
            "history": self.get("history-item").all_text_contents(),
            "annotations": self.get("annotations").text_content(),
            "comparison": self.get("comparison").text_content(),
            "objective": self.get("objective").input_value(),
        }

    def expect_tiles(self) -> None:
        """Wait until the images of both grids that are in sight have been drawn."""
        for side in ("grid-left", "grid-right"):
            tiles = self.get(side).get_by_test_id("tile")
            if tiles.count():
                picture = tiles.first.locator("img")
                expect(picture).to_be_visible()
                expect(picture).to_have_js_property("complete", True)

    def screenshot(self, path: Path) -> None:
        """Take all of the widget, in a window with room for it, once the notebook is laid out for that."""
        before, box = self.page.viewport_size, self.root.bounding_box()
        assert before
        assert box
        width, height = before["width"], before["height"]
        if box["x"] < 0 or box["x"] + box["width"] > width:
            width = math.ceil(box["width"]) + ROOM
        height = max(height, math.ceil(box["height"]) + ROOM)
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.wait_for_function(LAID_OUT)
        self.root.screenshot(path=path, animations="disabled")
        self.page.set_viewport_size(before)
        self.page.wait_for_function(LAID_OUT)
