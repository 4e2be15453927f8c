"""The loop in marimo, where widgets sit in a shadow root and every trait update runs cells again."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.e2e.lab import REPOSITORY, free_port, server
from tests.e2e.widget_page import WidgetPage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

APP = """
import marimo

app = marimo.App()


@app.cell
def _():
    import time
    import marimo as mo
    import clarify_widget as cw
    from tests.e2e.problems import waiting_session

    session = waiting_session()
    session.gate.set()
    return cw, mo, session, time


@app.cell
def _(mo):
    again = mo.ui.run_button(label="show it anew")
    again
    return (again,)


@app.cell
def _(again, cw, mo, session):
    again.value
    widget = mo.ui.anywidget(cw.ClarifyWidget(session))
    mo.vstack([widget, widget])
    return (widget,)


@app.cell
def _(mo, widget):
    widget.value
    threshold = widget.threshold
    mo.md(f"python sees: {threshold or 0:.4f}")
    return


@app.cell
def _(mo):
    wait = mo.ui.run_button(label="wait for it")
    wait
    return (wait,)


@app.cell
def _(mo, session, time, wait):
    mo.stop(not wait.value)
    deadline = time.monotonic() + 60
    while session.retrained is None and time.monotonic() < deadline:
        time.sleep(0.02)
    mo.md(f"retrained while this cell ran: {session.retrained is not None}")
    return


@app.cell
def _(mo):
    count = mo.ui.run_button(label="count listeners")
    count
    return (count,)


@app.cell
def _(count, mo, session):
    mo.stop(not count.value)
    mo.md(f"listeners: {len(session._subscribers)}")
    return


if __name__ == "__main__":
    app.run()
"""


@contextlib.contextmanager
def marimo(folder: Path, mode: str) -> Iterator[str]:
    """Serve the application; yields its address."""
    (folder / "app.py").write_text(APP, encoding="utf-8")
    settings = folder / "config" / "marimo" / "marimo.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text("[runtime]\nauto_instantiate = true\n", encoding="utf-8")
    port = free_port()
    command = [
        *(sys.executable, "-m", "marimo", mode, "app.py"),
        *("--headless", "--no-token", "--host", "127.0.0.1", "--port", str(port)),
    ]
    env = {
        "PYTHONPATH": str(REPOSITORY),
        "OMP_NUM_THREADS": "1",
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    url = f"http://127.0.0.1:{port}"
    with server(command, url=f"{url}/health", cwd=folder, env=env, log=folder / "marimo.log"):
        yield url


def test_the_loop_goes_round_in_marimo(page: Page, tmp_path: Path) -> None:
    with marimo(tmp_path, "run") as url:
        page.goto(url)
        widget = WidgetPage(page)
        go_once_round(page, widget)
        page.goto("about:blank")


def go_once_round(page: Page, widget: WidgetPage) -> None:
    widget.try_phrase("red")
    best, (_, with_before) = widget.threshold, widget.sizes()
    widget.drag_threshold(100)
    assert widget.threshold > best
    assert widget.sizes()[1] < with_before
    expect(page.get_by_text(f"python sees: {widget.threshold:.4f}")).to_be_visible()
    widget.expect_previews()
    widget.keep()
    widget.retrain()
    expect(widget.get("comparison")).to_contain_text("Worst")
    widget.expect_painted("square", "red")
    widget.expect_tiles()


def test_two_views_in_marimo_agree(page: Page, tmp_path: Path) -> None:
    with marimo(tmp_path, "run") as url:
        page.goto(url)
        first, second = (WidgetPage(page, view) for view in (0, 1))
        first.try_phrase("red")
        second.expect_painted("square", "red")
        second.choose_class("oval")
        first.expect_painted("oval", "")
        page.goto("about:blank")
