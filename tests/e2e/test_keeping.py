"""What is kept when the kernel is killed, as a person sees it."""

from __future__ import annotations

import os
import re
import shutil
import signal
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from clarify_widget import Session
from tests.e2e.problems import encoder
from tests.e2e.widget_page import WidgetPage

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Page

    from tests.e2e.lab import Lab, NotebookPage

SOURCE = """
import os
import clarify_widget as cw
from tests.e2e.problems import small_session

session = small_session()
session.fit()
session.autosave("kept")
widget = cw.ClarifyWidget(session)
widget
"""


@pytest.fixture
def kept(lab: Lab) -> Path:
    shutil.rmtree(lab.folder / "kept", ignore_errors=True)
    return lab.folder / "kept"


@pytest.fixture
def notebook(lab: Lab, page: Page, kept: Path) -> NotebookPage:  # noqa: ARG001 - it begins without that folder
    notebook = lab.show(page, "keeping.ipynb", SOURCE)
    notebook.run_all()
    return notebook


@pytest.fixture
def widget(notebook: NotebookPage) -> WidgetPage:
    return WidgetPage(notebook.page)


def header(widget: WidgetPage) -> Locator:
    return widget.root.locator("header").first


def kernel_process(notebook: NotebookPage) -> int:
    cell = notebook.append_cell("print(os.getpid())")
    notebook.run_cell(cell)
    return int(notebook.text_of(cell))


def test_a_killed_kernel_loses_nothing_and_the_notebook_goes_on_when_it_is_run_again(
    notebook: NotebookPage, widget: WidgetPage, kept: Path, screenshots: Path
) -> None:
    expect(widget.get("saved")).to_have_text(re.compile(r"^Saved \d+:\d+.* in kept$"))
    process = kernel_process(notebook)
    widget.try_phrase("red")
    widget.keep()
    widget.retrain()
    comparison = widget.get("comparison").inner_text()
    header(widget).screenshot(path=screenshots / "saved.png")
    os.kill(process, signal.SIGKILL)

    session = Session.load(kept, encoder=encoder())
    assert [annotation.phrase for annotation in session.annotations] == ["red"]
    assert session.compare().objective == "slice_balanced"

    notebook.wait_until_restarted()
    notebook.replace_cells(SOURCE)
    notebook.run_all()
    again = WidgetPage(notebook.page)
    expect(again.get("annotations")).to_contain_text("red")
    expect(again.get("comparison")).to_have_text(comparison, use_inner_text=True)


def test_a_folder_that_cannot_be_written_to_is_said_and_the_loop_goes_on(
    notebook: NotebookPage, widget: WidgetPage, kept: Path, screenshots: Path
) -> None:
    expect(widget.get("saved")).to_contain_text("Saved")
    shutil.rmtree(kept)
    kept.write_text("in the way")
    widget.try_phrase("red")
    expect(widget.get("saved")).to_contain_text("Not saved: ")
    widget.keep()
    for theme in ("light", "dark"):
        cell = notebook.append_cell(f"widget.theme = {theme!r}")
        notebook.run_cell(cell)
        header(widget).screenshot(path=screenshots / f"not-saved-{theme}.png")
    kept.unlink()
    widget.retrain()
    expect(widget.get("saved")).to_contain_text("Saved")
    assert Session.load(kept, encoder=encoder()).retrained is not None
