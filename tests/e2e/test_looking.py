"""Where the model looks, in the dialog of the original."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.e2e.widget_page import WidgetPage

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.e2e.lab import Lab

SOURCE = """
import numpy as np
import clarify_widget as cw
from dataclasses import replace

birds = cw.datasets.shorebirds()
some = {part: getattr(birds, part).take(np.arange(200)) for part in ("train", "val", "test")}
session = cw.Session(replace(birds, **some))
session.fit()
widget = cw.ClarifyWidget(session)
widget.class_name, widget.phrase = "water bird", "forest"
widget
"""


def test_the_original_shows_where_the_model_looks(lab: Lab, page: Page, screenshots: Path) -> None:
    notebook = lab.show(page, "looking.ipynb", SOURCE)
    notebook.run_all()
    widget = WidgetPage(notebook.page)
    widget.expect_painted("water bird", "forest")
    widget.get("grid-right").get_by_test_id("tile").first.click()
    dialog = page.get_by_test_id("original-dialog")
    looking = dialog.get_by_test_id("looking")
    picture = dialog.locator("img").first
    expect(looking.get_by_role("button")).to_have_text(["water bird", "land bird", "forest"])
    before = picture.get_attribute("src") or ""

    looking.get_by_role("button", name="forest").click()

    expect(looking).to_contain_text("Bright places speak for it: similarity with “forest”.")
    assert picture.get_attribute("src") != before
    for theme in ("dark", "light"):
        notebook.set_theme(dark=theme == "dark")
        page.screenshot(path=screenshots / f"looking-{theme}.png")
    looking.get_by_role("button", name="forest").click()
    expect(picture).to_have_attribute("src", before)
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
