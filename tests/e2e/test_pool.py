"""Gathering targeted data: a pool is searched by phrase, its images accepted or rejected, and trained on."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.e2e.everyone import BEYOND, RUN_AXE, resize
from tests.e2e.lab import VIEWPORT
from tests.e2e.pool_page import PoolPage
from tests.e2e.problems import small_session, unlabelled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page, ViewportSize

    from clarify_widget.session.gathering import Gathering
    from tests.e2e.lab import Lab, NotebookPage

TALL: ViewportSize = {"width": 1400, "height": 2400}
SOURCE = """
import json
import clarify_widget as cw
from tests.e2e.problems import small_session, unlabelled

session = small_session()
pool = unlabelled(session)
widget = cw.ClarifyWidget(session, pool=pool)
widget.class_name, widget.phrase = "square", "red"
widget
"""


@pytest.fixture(scope="module")
def twin() -> Gathering:
    """The pool that the notebook opens, where nothing is decided."""
    return unlabelled(small_session())


@pytest.fixture
def notebook(lab: Lab, page: Page) -> Iterator[NotebookPage]:
    notebook = lab.show(page, "pool.ipynb", SOURCE)
    notebook.run_all()
    yield notebook
    page.emulate_media(forced_colors="none")
    page.set_viewport_size(VIEWPORT)
    notebook.set_theme(dark=False)


@pytest.fixture
def panel(notebook: NotebookPage) -> PoolPage:
    panel = PoolPage(notebook.page)
    panel.widget.expect_painted("square", "red")
    panel.open()
    return panel


def known(notebook: NotebookPage) -> dict[str, Any]:
    """What Python knows of the review."""
    asked = (
        "print(json.dumps({'accepted': sorted(pool.accepted.items()), 'rejected': sorted(pool.rejected),"
        " 'training': len(session.dataset.train)}))"
    )
    found: dict[str, Any] = json.loads(notebook.ask(asked))
    return found


def test_a_pool_is_searched_reviewed_added_and_trained_on(
    notebook: NotebookPage, panel: PoolPage, twin: Gathering, screenshots: Path
) -> None:
    """Most squares are blue in training: red ones are looked for."""
    expect(panel.get("pool-phrase")).to_have_value("red")
    panel.search("red")
    hits = [hit.row for hit in twin.search("red", k=300).rows]
    expect(panel.get("pool-found")).to_contain_text("of 300")
    assert [panel.row(place) for place in range(1, 6)] == hits[:5]
    panel.expect_pictures()

    # By key: the one in focus, and the focus goes on to the image that follows.
    expect(panel.get("pool-class")).to_have_value("square")
    panel.tile(1).focus()
    panel.tile(1).press("a")
    expect(panel.get("pool-counts")).to_have_text("Accepted 1 as square; rejected 0.")
    panel.expect_row(1, hits[1])
    expect(panel.tile(1)).to_be_focused()
    panel.tile(1).press("r")
    expect(panel.get("pool-counts")).to_have_text("Accepted 1 as square; rejected 1.")
    panel.expect_row(1, hits[2])

    # By mouse: several at once.
    panel.tile(2).click(modifiers=["Control"])
    panel.tile(4).click(modifiers=["Shift"])
    expect(panel.get("pool-selected")).to_have_text("3 selected")
    panel.widget.screenshot(screenshots / "pool-selected-light.png")
    panel.get("pool-accept").click()
    expect(panel.get("pool-counts")).to_have_text("Accepted 4 as square; rejected 1.")
    expect(panel.get("pool-selected")).to_have_text("")
    panel.get("pool-class").select_option("oval")
    panel.tile(1).focus()
    panel.tile(1).press("a")
    expect(panel.get("pool-counts")).to_have_text("Accepted 4 as square, 1 as oval; rejected 1.")
    panel.get("pool-undo").click()
    expect(panel.get("pool-counts")).to_have_text("Accepted 4 as square; rejected 1.")
    panel.expect_row(1, hits[2])
    accepted = [hits[0], *hits[3:6]]
    assert known(notebook) == {
        "accepted": sorted([row, "square"] for row in accepted),
        "rejected": [hits[1]],
        "training": 400,
    }

    # The page may be loaded anew.
    notebook.save()
    notebook.reload()
    again = PoolPage(notebook.page)
    again.open()
    expect(again.get("pool-counts")).to_have_text("Accepted 4 as square; rejected 1.")
    again.expect_row(1, hits[2])

    again.get("pool-add").click()
    expect(again.get("pool-counts")).to_contain_text("4 added to the training data.")
    assert known(notebook)["training"] == 404

    # That is a step like any other.
    again.widget.get("undo").click()
    expect(again.get("pool-counts")).to_have_text("Accepted 4 as square; rejected 1.")
    assert known(notebook)["training"] == 400
    again.widget.get("redo").click()
    expect(again.get("pool-counts")).to_contain_text("4 added to the training data.")
    assert known(notebook)["training"] == 404
    again.get("pool-retrain").click()
    expect(again.widget.get("comparison")).to_contain_text("ERM")
    assert json.loads(notebook.ask("print(json.dumps(session.retraining.comparison.objective))")) == "erm"


def test_a_killed_kernel_loses_nothing(lab: Lab, page: Page) -> None:
    shutil.rmtree(lab.folder / "pool", ignore_errors=True)
    kept = SOURCE.replace("pool = unlabelled", 'session.autosave("pool")\npool = unlabelled')
    notebook = lab.show(page, "kept_pool.ipynb", kept)
    notebook.run_all()
    panel = PoolPage(page)
    panel.open()
    panel.search("red")
    first, second, third = (panel.row(place) for place in (1, 2, 3))
    for key, told in (
        ("a", "Accepted 1 as square; rejected 0."),
        ("r", "Accepted 1 as square; rejected 1."),
    ):
        panel.tile(1).press(key)
        expect(panel.get("pool-counts")).to_have_text(told)
    panel.get("pool-add").click()
    expect(panel.get("pool-counts")).to_contain_text("1 added")

    notebook.start_cell(notebook.append_cell("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
    notebook.wait_until_restarted()
    notebook.delete_last_cell()
    notebook.run_all()
    again = PoolPage(page)
    again.open()
    expect(again.get("pool-counts")).to_have_text(
        "Accepted 1 as square; rejected 1. 1 added to the training data."
    )
    again.search("red")
    again.expect_row(1, third)
    assert known(notebook) == {"accepted": [[first, "square"]], "rejected": [second], "training": 401}


def test_two_views_agree(notebook: NotebookPage, panel: PoolPage) -> None:
    notebook.run_cell(notebook.append_cell("widget"))
    other = PoolPage(notebook.page, 1)
    other.open()
    panel.search("blue")
    expect(other.get("pool-phrase")).to_have_value("blue")
    first = panel.row(1)
    other.expect_row(1, first)
    other.tile(1).focus()
    other.tile(1).press("r")
    expect(panel.get("pool-counts")).to_have_text("Accepted none; rejected 1.")
    expect(panel.tile(1)).not_to_have_attribute("data-index", str(first))
    notebook.ask("pool.undo()")
    panel.expect_row(1, first)
    other.expect_row(1, first)


def test_what_cannot_be_searched_for_is_said_in_the_panel(panel: PoolPage) -> None:
    panel.search("red")
    before = panel.row(1)
    panel.get("pool-phrase").fill("never heard of")
    panel.get("pool-search").click()
    expect(panel.get("pool-error")).to_contain_text("never heard of")
    panel.expect_row(1, before)
    expect(panel.widget.get("error")).to_be_hidden()
    panel.search("blue")
    expect(panel.get("pool-error")).to_be_hidden()


def test_the_original_of_an_image_opens_and_closes(panel: PoolPage, twin: Gathering) -> None:
    panel.search("red")
    panel.tile(2).click()
    dialog = panel.widget.page.get_by_test_id("original-dialog")
    expect(dialog.get_by_role("heading")).to_have_text(twin.image_name(panel.row(2)))
    expect(dialog.locator("img")).to_be_visible()
    expect(dialog).not_to_contain_text("Predicted")
    panel.widget.page.keyboard.press("ArrowRight")
    panel.widget.page.keyboard.press("Escape")
    expect(panel.tile(3)).to_be_focused()


def test_the_panel_is_for_everyone(
    notebook: NotebookPage, panel: PoolPage, axe: str, screenshots: Path
) -> None:
    page = notebook.page
    page.set_viewport_size(TALL)
    page.evaluate(axe)
    panel.search("red")
    panel.tile(1).focus()
    panel.tile(1).press("a")
    panel.tile(3).click(modifiers=["Control"])
    expect(panel.get("pool-selected")).to_have_text("1 selected")
    for look in ("light", "dark", "forced"):
        page.emulate_media(forced_colors="active" if look == "forced" else "none")
        notebook.set_theme(dark=look == "dark")
        for width in (940, 400):
            resize(page, width)
            panel.expect_pictures()
            page.mouse.move(0, 0)
            panel.panel.screenshot(path=screenshots / f"pool-{look}-{width}.png")
            assert page.evaluate(BEYOND) == []
            assert look == "forced" or page.evaluate(RUN_AXE) == []
    resize(page, 640)
    page.evaluate("document.querySelector('.cw-root').style.zoom = 2")
    panel.panel.screenshot(path=screenshots / "pool-twice-640.png")
    assert page.evaluate(BEYOND) == []
