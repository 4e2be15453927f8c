"""Fine-tuning the encoder from the page: the other remedy for what was kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.everyone import BEYOND, RUN_AXE, resize
from tests.e2e.finetuning_page import FinetuningPage
from tests.e2e.lab import VIEWPORT
from tests.e2e.widget_page import WidgetPage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page, ViewportSize

    from tests.e2e.lab import Lab, NotebookPage

TALL: ViewportSize = {"width": 1400, "height": 3000}
SOURCE = """
import clarify_widget as cw
from tests.e2e.problems import waiting_birds

session = waiting_birds()
widget = cw.ClarifyWidget(session)
widget
"""
KNOWN = "print(session.encoder.name, len(session.annotations), session.retrained, widget.finetuned)"


@pytest.fixture
def notebook(lab: Lab, page: Page) -> Iterator[NotebookPage]:
    notebook = lab.show(page, "finetuning.ipynb", SOURCE)
    notebook.run_all()
    yield notebook
    page.emulate_media(forced_colors="none")
    page.set_viewport_size(VIEWPORT)
    notebook.set_theme(dark=False)


def look_at(notebook: NotebookPage, panel: FinetuningPage, axe: str, folder: Path, name: str) -> None:
    """Take pictures of the panel in every look and width, and let axe judge each."""
    page = notebook.page
    page.evaluate(axe)
    for look in ("light", "dark", "forced"):
        page.emulate_media(forced_colors="active" if look == "forced" else "none")
        notebook.set_theme(dark=look == "dark")
        for width in (940, 400):
            resize(page, width)
            page.mouse.move(0, 0)
            panel.panel.screenshot(path=folder / f"finetuning-{name}-{look}-{width}.png")
            assert page.evaluate(BEYOND) == []
            assert look == "forced" or page.evaluate(RUN_AXE) == []
    page.emulate_media(forced_colors="none")
    notebook.set_theme(dark=False)


def test_an_encoder_is_fine_tuned_cancelled_looked_at_and_gone_on_with(
    notebook: NotebookPage, axe: str, screenshots: Path
) -> None:
    notebook.page.set_viewport_size(TALL)
    panel = FinetuningPage(notebook.page)
    panel.open()
    expect(panel.get("finetuning-kept").locator("li")).to_have_text(
        ["water bird: “forest”", "land bird: “water”"]
    )

    # Cancel leaves all as it was.
    panel.get("finetune").focus()
    panel.get("finetune").press("Enter")
    panel.expect_running()
    expect(panel.get("finetuning-progress")).to_contain_text("Epoch 6 of 20")
    expect(panel.get("finetuning-cancel")).to_be_focused()
    panel.get("finetuning-cancel").press("Enter")
    expect(panel.get("finetuning-message")).to_contain_text("as they were")
    assert notebook.ask(KNOWN) == "demo 2 None None\n"

    # It runs: two views and a page that is loaded anew show the same.
    panel.get("finetune").click()
    expect(panel.get("finetuning-progress")).to_contain_text("Epoch 6 of 20")
    expect(panel.get("finetuning-curve")).to_contain_text("worst group")
    retrain = panel.widget.get("retrain")
    expect(retrain).to_be_disabled()
    expect(retrain).to_have_accessible_description(re.compile("The encoder is being fine-tuned"))
    look_at(notebook, panel, axe, screenshots, "running")
    notebook.run_cell(notebook.append_cell("widget"))
    other = FinetuningPage(notebook.page, 1)
    other.open()
    other.expect_running()
    expect(other.get("finetuning-progress")).to_have_text(
        panel.get("finetuning-progress").text_content() or ""
    )
    notebook.save()
    notebook.reload()
    panel = FinetuningPage(notebook.page)
    panel.open()
    panel.expect_running()
    expect(panel.get("finetuning-progress")).to_contain_text("Epoch 6 of 20")

    # It ends: in this notebook's words.
    notebook.ask("session.gate.set()")
    expect(panel.get("finetuning-result")).to_be_visible()
    expect(retrain).to_be_enabled()
    expect(panel.get("finetuning-done")).to_contain_text("Fine-tuned against “forest”, “water”.")
    sentence = notebook.ask("print(widget.finetuned.comparison.sentence)").strip()
    expect(panel.get("finetuning-comparison")).to_contain_text(sentence)
    assert notebook.ask("print(session.encoder.name)") == "demo\n"
    look_at(notebook, panel, axe, screenshots, "result")
    code = panel.panel.locator("code").first.inner_text()
    notebook.run_cell(notebook.append_cell(code))
    expect(WidgetPage(notebook.page, 2).root).to_contain_text("demo, fine-tuned")
