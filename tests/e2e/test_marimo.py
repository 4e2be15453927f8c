"""The loop in marimo, where widgets sit in a shadow root and every trait update runs cells again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.e2e.lab import REPOSITORY, free_port, server
from tests.e2e.widget_page import WidgetPage

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

APP = """
import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    import clarify_widget as cw
    from tests.e2e.problems import small_session

    session = small_session()
    widget = mo.ui.anywidget(cw.ClarifyWidget(session))
    widget
    return mo, session, widget


@app.cell
def _(mo, widget):
    widget.value
    threshold = widget.threshold
    mo.md(f"python sees: {threshold or 0:.4f}")
    return


if __name__ == "__main__":
    app.run()
"""


def test_the_loop_goes_round_in_marimo(page: Page, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    port = free_port()
    command = [
        *(sys.executable, "-m", "marimo", "run", "app.py"),
        *("--headless", "--no-token", "--host", "127.0.0.1", "--port", str(port)),
    ]
    env = {
        "PYTHONPATH": str(REPOSITORY),
        "OMP_NUM_THREADS": "1",
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }
    url = f"http://127.0.0.1:{port}"
    with server(command, url=f"{url}/health", cwd=tmp_path, env=env, log=tmp_path / "marimo.log"):
        page.goto(url)
        widget = WidgetPage(page)
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
        page.goto("about:blank")
