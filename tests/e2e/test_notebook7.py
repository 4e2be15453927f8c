"""The loop in Notebook 7, where a page holds one document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.lab import notebook7, watched_page
from tests.e2e.test_views import SOURCE, go_once_round
from tests.e2e.widget_page import WidgetPage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from tests.e2e.lab import Lab, NotebookPage

# Notebook 7.6 raises it while it loads its settings, also on a page without a widget.
NOISE = "page error: TypeError: Cannot read properties of undefined (reading 'schema')"


@pytest.fixture(scope="module")
def classic(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:  # noqa: ARG001 - no server without a browser
    with notebook7(tmp_path_factory.mktemp("notebook7")) as classic:
        yield classic


@pytest.fixture(scope="module")
def notebook(browser: Browser, classic: Lab) -> Iterator[NotebookPage]:
    with watched_page(browser) as (page, faults):
        classic.write_notebook("classic.ipynb", SOURCE)
        notebook = classic.open(page, "classic.ipynb")
        notebook.run_all()
        yield notebook
    ours = [fault for fault in faults if not fault.startswith(NOISE)]
    assert not ours, "\n".join(ours)


def test_the_loop_goes_round_in_notebook_7(notebook: NotebookPage, screenshots: Path) -> None:
    widget = WidgetPage(notebook.page)
    go_once_round(widget)
    widget.expect_tiles()
    expect(widget.get("comparison")).to_contain_text("Worst")
    expect(notebook.page.locator(".cw-no-page")).to_be_hidden()
    for dark in (True, False):
        notebook.set_theme(dark)
        widget.screenshot(screenshots / f"notebook7-{'dark' if dark else 'light'}.png")


def test_everything_is_still_there_after_a_reload(notebook: NotebookPage) -> None:
    before = WidgetPage(notebook.page).facts()
    notebook.save()
    notebook.reload()
    widget = WidgetPage(notebook.page)
    assert widget.facts() == before
    widget.try_phrase("crimson")
    widget.expect_tiles()


def test_a_second_view_on_the_page_and_a_second_page_agree(
    notebook: NotebookPage, classic: Lab, browser: Browser
) -> None:
    notebook.run_cell(notebook.append_cell("widget"))
    first, second = (WidgetPage(notebook.page, view) for view in (0, 1))
    second.choose_class("oval")
    first.expect_painted("oval", "")
    first.try_phrase("blue")
    second.expect_painted("oval", "blue")
    assert second.facts() == first.facts()

    notebook.save()
    with watched_page(browser) as (page, _):
        there = WidgetPage(classic.open(page, "classic.ipynb").page)
        assert there.facts() == first.facts()
        there.try_phrase("round")
        first.expect_painted("oval", "round")


def test_the_page_is_answered_while_a_cell_runs(notebook: NotebookPage) -> None:
    widget = WidgetPage(notebook.page)
    cell = notebook.append_cell(
        "import time\nwhile widget.phrase != 'velvet':\n    time.sleep(0.02)\nprint('heard')"
    )
    notebook.start_cell(cell)
    notebook.wait_until_running(cell)
    widget.try_phrase("velvet")
    notebook.wait_until_done(cell)
    assert notebook.text_of(cell) == "heard\n"
