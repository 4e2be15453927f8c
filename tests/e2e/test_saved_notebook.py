"""What a notebook holds of a widget when JupyterLab saves the state of widgets with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.widget_page import WidgetPage

if TYPE_CHECKING:
    from typing import Any

    from playwright.sync_api import Page

    from tests.e2e.lab import Lab, NotebookPage

MOST_BYTES = 100_000

SOURCE = """
import clarify_widget as cw
from tests.e2e.problems import small_session

session = small_session(sizes={"train": 2000, "val": 6000, "test": 1000})
widget = cw.ClarifyWidget(session)
for phrase in session.encoder.phrases:
    session.score("square", phrase)
session.annotate("square", "red")
session.annotate("oval", "blue")
for objective in ("slice_balanced", "worst_slice", "class_balanced"):
    session.retrain(objective)
widget
"""


@pytest.fixture
def notebook(lab: Lab, page: Page) -> NotebookPage:
    notebook = lab.show(page, "saved.ipynb", SOURCE)
    notebook.run_all()
    return notebook


def saved_state(lab: Lab, notebook: NotebookPage) -> dict[str, Any]:
    notebook.save()
    content = json.loads((lab.folder / "saved.ipynb").read_text(encoding="utf-8"))
    state: dict[str, Any] = content["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"]
    return state


def test_a_widget_over_thousands_of_images_adds_little_to_a_notebook(
    lab: Lab, notebook: NotebookPage
) -> None:
    widget = WidgetPage(notebook.page)
    widget.try_phrase("red")
    widget.expect_previews()
    widget.expect_tiles()
    state = saved_state(lab, notebook)
    sizes = {
        name: len(json.dumps(value))
        for model in state["state"].values()
        if model["model_module"] == "anywidget"
        for name, value in model["state"].items()
    }
    whole = len(json.dumps(state))
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:6]
    assert whole <= MOST_BYTES, f"{whole:,} bytes; the largest: {largest}"
