"""The loop in marimo, where widgets sit in a shadow root and what the page writes runs cells again."""

from __future__ import annotations

import contextlib
import re
import sys
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.finetuning_page import FinetuningPage
from tests.e2e.lab import REPOSITORY, free_port, server
from tests.e2e.pool_page import PoolPage
from tests.e2e.widget_page import WidgetPage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

APP = """
import marimo

app = marimo.App()


@app.cell
def setup():
    import gc
    import time
    import weakref
    import marimo as mo
    import clarify_widget as cw
    from tests.e2e.problems import unlabelled, waiting_session

    session = waiting_session()
    pool = unlabelled(session)
    made = weakref.WeakSet()
    thresholds, events, counts = [], [], []
    changed, set_changed = mo.state("")

    def hear(event):
        if event in ("annotated", "retrained"):
            events.append(event)
            set_changed(event)

    session.subscribe(hear)
    go = mo.notebook_dir() / "go"
    return changed, counts, cw, events, gc, go, made, mo, pool, session, thresholds, time


@app.cell
def buttons(mo):
    anew = mo.ui.run_button(label="show it anew")
    count = mo.ui.run_button(label="count")
    gate = mo.ui.run_button(label="open the gate")
    wait = mo.ui.run_button(label="run a cell")
    birds = mo.ui.run_button(label="show birds")
    end = mo.ui.run_button(label="let fine-tuning end")
    go_on = mo.ui.run_button(label="go on in the new session")
    mo.hstack([anew, count, gate, wait, birds, end, go_on])
    return anew, birds, count, end, gate, go_on, wait


@app.cell
def shown(anew, cw, made, mo, pool, session):
    anew.value
    widget = mo.ui.anywidget(cw.ClarifyWidget(session, pool=pool))
    made.add(widget.widget)
    mo.vstack([widget, widget])
    return (widget,)


@app.cell
def depends(mo, thresholds, widget):
    thresholds.append(widget.value["threshold"])
    mo.md(f"python sees: {thresholds[-1] or 0:.4f}")
    return


@app.cell
def heard(changed, mo):
    mo.md(f"python heard: {changed()}")
    return


@app.cell
def opening(gate, mo, session):
    mo.stop(not gate.value)
    session.gate.set()
    return


@app.cell
def running(events, go, mo, session, time, wait):
    mo.stop(not wait.value)
    mo.output.replace(mo.md("the cell runs"))
    events.append("the cell begins")
    session.gate.set()
    deadline = time.monotonic() + 60
    while not go.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    events.append("the cell ends")
    return


@app.cell
def tuned(birds, cw, mo):
    mo.stop(not birds.value)
    from tests.e2e.problems import waiting_birds

    bird_session = waiting_birds(100)
    bird_widget = mo.ui.anywidget(cw.ClarifyWidget(bird_session))
    bird_widget
    return bird_session, bird_widget


@app.cell
def ending(bird_session, end, mo):
    mo.stop(not end.value)
    bird_session.gate.set()
    return


@app.cell
def gone_on(bird_widget, cw, go_on, mo):
    mo.stop(not go_on.value)
    mo.ui.anywidget(cw.ClarifyWidget(bird_widget.finetuned.session))
    return


@app.cell
def counted(count, counts, events, gc, made, mo, session, thresholds):
    mo.stop(not count.value)
    gc.collect()
    counts.append("once more")
    comms = sum(w.comm is not None and not w.comm._closed for w in made)
    listeners = len(session._subscribers) - 1
    mo.md(
        f"count {len(counts)}: {len(made)} widgets, {comms} comms, {listeners} listeners, "
        f"{len(thresholds)} runs: {', '.join(events)}."
    )
    return


if __name__ == "__main__":
    app.run()
"""


@contextlib.contextmanager
def marimo(folder: Path, *command: str) -> Iterator[str]:
    """Serve what is in a folder; yields its address."""
    settings = folder / "config" / "marimo" / "marimo.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text("[runtime]\nauto_instantiate = true\n", encoding="utf-8")
    port = free_port()
    whole = [
        *(sys.executable, "-m", "marimo", *command),
        *("--headless", "--no-token", "--host", "127.0.0.1", "--port", str(port)),
    ]
    env = {
        "PYTHONPATH": str(REPOSITORY),
        "OMP_NUM_THREADS": "1",
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    url = f"http://127.0.0.1:{port}"
    with server(whole, url=f"{url}/health", cwd=folder, env=env, log=folder / "marimo.log"):
        yield url


class Notebook:
    """APP on a page, as an application or in the editor."""

    def __init__(self, page: Page, folder: Path, *, in_editor: bool) -> None:
        self.page = page
        self.in_editor = in_editor
        self._counts = 0
        self._go = folder / "go"
        self._go.unlink(missing_ok=True)

    def press(self, name: str) -> None:
        """Press a button, which needs no mouse: that may be dragging something."""
        self.page.get_by_role("button", name=name, exact=True).dispatch_event("click")

    def show_anew(self) -> WidgetPage:
        """Run the cell of the widget again, with the editor's own button where there is one."""
        before = self.page.locator("[data-cw-painted]").first.element_handle()
        if self.in_editor:
            cell = self.page.locator("[data-cell-name=shown]")
            cell.hover()
            cell.get_by_test_id("run-button").filter(visible=True).first.click()
        else:
            self.press("show it anew")
        self.page.wait_for_function("shown => !shown.isConnected", arg=before)
        return WidgetPage(self.page)

    def let_the_cell_end(self) -> None:
        self._go.touch()

    def wait_until_a_cell_runs(self) -> None:
        expect(self.page.get_by_text("the cell runs", exact=True)).to_be_visible()

    def count(self) -> str:
        """Return what Python counts once everything that the page sent before has been handled."""
        self._counts += 1
        self.press("count")
        told = self.page.get_by_text(re.compile(rf"^count {self._counts}: "))
        return told.inner_text().split(": ", 1)[1]


@pytest.fixture(scope="module", params=["run", "edit"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path, str]]:
    folder = tmp_path_factory.mktemp("marimo")
    (folder / "app.py").write_text(APP, encoding="utf-8")
    what = "app.py" if request.param == "run" else "."
    with marimo(folder, request.param, what) as url:
        yield request.param, folder, url


@pytest.fixture
def notebook(page: Page, served: tuple[str, Path, str], request: pytest.FixtureRequest) -> Iterator[Notebook]:
    """A kernel of its own for each test: an application has one for each page, the editor for each file."""
    mode, folder, url = served
    if mode == "edit":
        name = f"{request.function.__name__}.py"
        (folder / name).write_text(APP, encoding="utf-8")
        url = f"{url}/?file={name}"
    page.goto(url)
    yield Notebook(page, folder, in_editor=mode == "edit")
    page.goto("about:blank")


@pytest.fixture
def widget(notebook: Notebook) -> WidgetPage:
    return WidgetPage(notebook.page)


def test_the_loop_goes_round_in_marimo(notebook: Notebook, widget: WidgetPage) -> None:
    widget.try_phrase("red")
    notebook.press("open the gate")
    best, (_, with_before) = widget.threshold, widget.sizes()
    widget.drag_threshold(40)
    assert widget.threshold > best
    assert widget.sizes()[1] < with_before
    expect(notebook.page.get_by_text(f"python sees: {widget.threshold:.4f}")).to_be_visible()
    widget.expect_previews()
    widget.keep()
    widget.retrain()
    expect(widget.get("comparison")).to_contain_text("Worst")
    expect(notebook.page.get_by_text("python heard: retrained", exact=True)).to_be_visible()
    widget.expect_painted("square", "red")
    widget.expect_tiles()


def test_two_views_in_marimo_agree(notebook: Notebook, widget: WidgetPage) -> None:
    other = WidgetPage(notebook.page, 1)
    widget.try_phrase("red")
    other.expect_painted("square", "red")
    other.choose_class("oval")
    widget.expect_painted("oval", "")


def test_a_threshold_runs_dependent_cells_once_and_only_when_it_is_let_go(
    notebook: Notebook, widget: WidgetPage
) -> None:
    widget.try_phrase("red")
    widget.expect_previews()
    before = widget.threshold
    widget.hold_threshold(80)
    assert widget.threshold > before
    assert "1 runs" in notebook.count()
    widget.let_go()
    expect(notebook.page.get_by_text(f"python sees: {widget.threshold:.4f}")).to_be_visible()
    assert "2 runs" in notebook.count()


def test_a_widget_whose_cell_runs_again_leaves_nothing_behind(notebook: Notebook, widget: WidgetPage) -> None:
    widget.try_phrase("red")
    widget.keep()
    for _ in range(3):
        widget = notebook.show_anew()
    assert notebook.count().startswith("1 widgets, 1 comms, 1 listeners,")
    expect(widget.get("annotations")).to_contain_text("red")
    widget.try_phrase("blue")
    widget.expect_tiles()


def test_a_retraining_outlives_the_view_that_asked_for_it(notebook: Notebook, widget: WidgetPage) -> None:
    widget.try_phrase("red")
    widget.keep()
    widget.get("retrain").click()
    expect(widget.get("progress")).to_be_visible()
    widget = notebook.show_anew()
    notebook.press("open the gate")
    expect(widget.get("comparison")).to_contain_text("Worst")
    assert notebook.count().startswith("1 widgets, 1 comms, 1 listeners,")


def test_a_retraining_ends_on_the_page_while_a_cell_runs(notebook: Notebook, widget: WidgetPage) -> None:
    """The cell opens the gate, and ends only when the page has shown before and after."""
    widget.try_phrase("red")
    widget.keep()
    widget.get("retrain").click()
    expect(widget.get("progress")).to_be_visible()
    notebook.press("run a cell")
    expect(widget.get("comparison")).to_contain_text("Worst")
    notebook.let_the_cell_end()
    assert "runs: annotated, the cell begins, retrained, the cell ends." in notebook.count()


def test_a_retraining_asked_for_while_a_cell_runs_follows_it(notebook: Notebook, widget: WidgetPage) -> None:
    """marimo hands over what a page asks for when the running cell has ended."""
    widget.try_phrase("red")
    widget.keep()
    notebook.press("run a cell")
    notebook.wait_until_a_cell_runs()
    with notebook.page.expect_response(lambda response: "model" in response.url):
        widget.get("retrain").click()
    notebook.let_the_cell_end()
    expect(widget.get("comparison")).to_contain_text("Worst")
    assert "runs: annotated, the cell begins, the cell ends, retrained." in notebook.count()


def test_a_pool_is_reviewed_in_marimo(notebook: Notebook, widget: WidgetPage, screenshots: Path) -> None:
    """The panel is loaded into a shadow root, and two views agree."""
    widget.try_phrase("red")
    panel, other = PoolPage(notebook.page), PoolPage(notebook.page, 1)
    panel.open()
    panel.search("red")
    panel.expect_pictures()
    first = panel.row(1)
    panel.tile(1).focus()
    panel.tile(1).press("a")
    expect(panel.get("pool-counts")).to_have_text("Accepted 1 as square; rejected 0.")
    expect(panel.tile(1)).to_be_focused()
    other.open()
    other.expect_pictures()
    other.panel.screenshot(path=screenshots / "pool-marimo.png")
    other.get("pool-undo").click()
    panel.expect_row(1, first)


# In the editor the page is the same, and each kernel would load torch anew.
@pytest.mark.parametrize("served", ["run"], indirect=True)
def test_an_encoder_is_fine_tuned_in_marimo_and_gone_on_with(notebook: Notebook, screenshots: Path) -> None:
    WidgetPage(notebook.page, 1)  # both views of the first widget are there
    notebook.press("show birds")
    panel = FinetuningPage(notebook.page, 2)
    retrain = panel.widget.get("retrain")
    panel.open()
    panel.get("finetune").click()
    panel.expect_running()
    expect(panel.get("finetuning-progress")).to_contain_text("Epoch 6 of 20")
    expect(retrain).to_be_disabled()
    panel.get("finetuning-cancel").click()
    expect(panel.get("finetuning-message")).to_contain_text("as they were")
    expect(retrain).to_be_enabled()

    panel.get("finetune").click()
    expect(panel.get("finetuning-progress")).to_contain_text("Epoch 6 of 20")
    notebook.press("let fine-tuning end")
    expect(panel.get("finetuning-done")).to_contain_text("Fine-tuned against “forest”, “water”.")
    panel.panel.screenshot(path=screenshots / "finetuning-marimo.png")
    notebook.press("go on in the new session")
    next_widget = WidgetPage(notebook.page, 3)
    expect(next_widget.root).to_contain_text("demo, fine-tuned")
    next_widget.try_phrase("forest")
