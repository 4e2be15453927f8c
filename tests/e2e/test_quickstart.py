"""What `make demo` serves: the executed quickstart, and a person who goes once round the loop in it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.lab import REPOSITORY, NotebookPage, jupyter_environment
from tests.e2e.widget_page import WidgetPage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, watched: tuple[Page, list[str]]) -> Iterator[str]:
    """Where the demo says that it serves, once it has run the notebook."""

    folder = tmp_path_factory.mktemp("demo")
    demo = subprocess.Popen(
        [
            *(sys.executable, str(REPOSITORY / "scripts" / "demo.py"), "--outputs", str(folder / "outputs")),
            "--expose-app-in-browser",
        ],
        env=os.environ | jupyter_environment(folder) | {"PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert demo.stdout is not None
    try:
        printed = ""
        for line in demo.stdout:
            printed += line
            if found := re.match(r"JupyterLab: (\S+)", line):
                assert re.search(r"worst group .*\+\d", printed), printed
                yield found[1]
                break
        else:
            pytest.fail(f"the demo ended:\n{printed}")
    finally:
        watched[0].goto("about:blank")  # a page whose server has gone complains for ever
        demo.send_signal(signal.SIGINT)
        demo.wait(30)
        demo.stdout.close()


def shoot(notebook: NotebookPage, widget: WidgetPage, folder: Path, state: str) -> None:
    for dark in (False, True):
        notebook.set_theme(dark)
        for width in (1400, 900):
            notebook.page.set_viewport_size({"width": width, "height": 2000})
            widget.get("phrase-input").scroll_into_view_if_needed()
            widget.expect_tiles()
            widget.screenshot(folder / f"quickstart-{state}-{'dark' if dark else 'light'}-{width}.png")
    notebook.set_theme(dark=False)


@pytest.fixture
def notebook(page: Page, address: str) -> NotebookPage:
    """The served notebook as it was left."""
    if not page.url.startswith(address.split("/lab", maxsplit=1)[0]):
        page.goto(address)
    notebook = NotebookPage(page)
    notebook.wait_until_ready()
    notebook.hide_side_panels()
    return notebook


def test_a_person_types_red_and_sees_the_worst_group_go_up(notebook: NotebookPage, screenshots: Path) -> None:
    widget = WidgetPage(notebook.page)
    widget.choose_class("square")
    shoot(notebook, widget, screenshots, "review")

    assert widget.try_phrase("red") > 0.5
    widget.expect_previews()
    widget.drag_threshold(20)
    widget.slider.press("ArrowLeft")
    widget.get("threshold-best").click()
    shoot(notebook, widget, screenshots, "described")
    widget.keep()
    widget.choose_class("oval")
    widget.try_phrase("blue")
    widget.keep()
    widget.retrain()
    worst = (
        widget.get("comparison").locator("tr, [role=row]").filter(has_text=re.compile("Worst", re.IGNORECASE))
    )
    expect(worst.first).to_contain_text(re.compile(r"\+\d"))
    shoot(notebook, widget, screenshots, "corrected")


def test_a_word_that_the_demo_encoder_never_learned_is_named(page: Page, address: str) -> None:
    if not page.url.startswith(address.split("/lab", maxsplit=1)[0]):
        page.goto(address)
        NotebookPage(page).wait_until_ready()
    widget = WidgetPage(page)
    widget.try_phrase("velvet")
    expect(widget.root).to_contain_text("does not know 'velvet'")


KEPT = """
import threading, time
session.annotate("square", "red")
session.annotate("oval", "blue")
earlier = session.retraining
"""
BUSY = """
deadline = time.monotonic() + 60
while session.retraining is earlier and time.monotonic() < deadline:
    time.sleep(0.02)
print("retrained while this cell ran:", session.retraining is not earlier)
"""
HOLD = """
gate, iterating, train = threading.Event(), threading.Event(), session.retrain

def held(objective, progress, cancelled):
    def wait(step):
        progress(step)
        iterating.set()
        while not gate.wait(0.02) and not cancelled():
            pass
    return train(objective, wait, cancelled)

session.retrain = held
earlier = session.retraining
"""


def run(notebook: NotebookPage, source: str) -> str:
    cell = notebook.append_cell(source)
    notebook.run_cell(cell)
    return notebook.text_of(cell)


def test_retraining_ends_while_a_cell_runs_and_the_cell_goes_on(notebook: NotebookPage) -> None:
    """The cell ends only when the retraining that the page asks for has ended."""
    widget = WidgetPage(notebook.page)
    run(notebook, KEPT)
    busy = notebook.append_cell(BUSY)
    notebook.start_cell(busy)
    notebook.wait_until_running(busy)
    widget.get("retrain").click()
    notebook.wait_until_done(busy)
    assert notebook.text_of(busy) == "retrained while this cell ran: True\n"
    expect(widget.get("comparison")).to_contain_text(
        run(notebook, "print(session.compare().sentence)").strip()
    )


def test_cancelled_retraining_leaves_the_head_from_before(notebook: NotebookPage) -> None:
    widget = WidgetPage(notebook.page)
    run(notebook, KEPT + HOLD)
    widget.get("retrain").click()
    assert run(notebook, "print(iterating.wait(60))") == "True\n"
    expect(widget.get("progress")).to_be_visible()

    widget.get("cancel").click()
    expect(widget.root).to_contain_text("Cancelled; the model is as it was.")
    expect(widget.get("retrain")).to_be_visible()
    assert run(notebook, "print(session.retraining is earlier, gate.is_set())") == "True False\n"

    run(notebook, "del session.retrain")
    widget.get("retrain").click()
    assert run(notebook, BUSY) == "retrained while this cell ran: True\n"
