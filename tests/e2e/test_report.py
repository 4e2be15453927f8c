"""The report, opened from disk in a browser without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.session.planted import corrected_session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from clarify_widget import Session


@pytest.fixture(scope="module")
def corrected() -> Session:
    return corrected_session()


@pytest.fixture
def opened(browser: Browser, corrected: Session, tmp_path: Path) -> Iterator[Page]:
    """The report, opened from disk; fails on whatever the console complains about and on any request."""
    path = corrected.report(tmp_path / "report.html")
    context = browser.new_context(offline=True, viewport={"width": 1300, "height": 1000})
    page = context.new_page()
    complaints = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith(("file:", "blob:", "data:")) else complaints.append(request.url)
        ),
    )
    page.goto(path.as_uri())
    page.get_by_test_id("threshold-slider").wait_for()
    yield page
    context.close()
    assert complaints == []


def test_threshold_drags_without_a_kernel(opened: Page) -> None:
    slider = opened.get_by_test_id("threshold-slider")
    left = opened.get_by_test_id("grid-left")
    before = left.text_content()
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None

    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    opened.mouse.move(x, y)
    opened.mouse.down()
    opened.mouse.move(x + 120, y, steps=4)
    opened.mouse.up()

    expect(left).not_to_have_text(before)


def test_tried_phrase_can_be_shown_without_a_kernel(opened: Page) -> None:
    opened.get_by_test_id("class-option").filter(has_text="square").click()
    opened.get_by_test_id("history-item").filter(has_text="noise").click()

    opened.get_by_test_id("grid-left").get_by_text("noise").first.wait_for()
    opened.get_by_test_id("grid-left").locator("img").first.wait_for()


def test_report_can_be_read_without_scripts(browser: Browser, corrected: Session, tmp_path: Path) -> None:
    path = corrected.report(tmp_path / "report.html")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())

    assert page.get_by_text(corrected.compare().sentence).is_visible()
    assert "The images, the histogram and the threshold need JavaScript" in page.locator("body").inner_text()
    context.close()
