"""The widget for everyone: axe, the keyboard alone, few colours, narrow and magnified pages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.everyone import BEYOND, RUN_AXE, resize
from tests.e2e.widget_page import WidgetPage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.e2e.lab import Lab, NotebookPage

WIDTHS = (1400, 400)
SOURCE = """
import clarify_widget as cw
from tests.e2e.problems import waiting_session

session = waiting_session()
widget = cw.ClarifyWidget(session)
widget
"""

# What has the focus: whether it is ours, and whether a person can see that.
_FOCUS = """() => {
  let active = document.activeElement;
  while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
  const ringed = node => {
    const {outlineStyle, outlineWidth} = getComputedStyle(node);
    return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
  };
  return {
    inside: active?.closest(".cw-root") !== null,
    ring: [active, ...active.querySelectorAll("*")].some(ringed),
    testid: active.dataset.testid ?? "",
    text: (active.getAttribute("aria-label") ?? active.textContent).trim(),
    html: active.outerHTML.slice(0, 160),
  };
}"""


@pytest.fixture
def notebook(lab: Lab, page: Page) -> Iterator[NotebookPage]:
    notebook = lab.show(page, "accessible.ipynb", SOURCE)
    notebook.run_all()
    yield notebook
    page.emulate_media(forced_colors="none", contrast="no-preference")
    notebook.set_theme(dark=False)
    page.evaluate("document.documentElement.style.zoom = ''")


@pytest.fixture
def widget(notebook: NotebookPage) -> WidgetPage:
    return WidgetPage(notebook.page)


def states(notebook: NotebookPage, widget: WidgetPage) -> Iterator[str]:
    """Go through what the widget can show; each name is of what is on the screen now."""
    yield "class"
    widget.try_phrase("velvet")
    yield "noise"
    widget.try_phrase("blue")
    yield "often right"
    widget.try_phrase("red")
    widget.expect_previews()
    yield "scored"
    widget.keep()
    widget.choose_class("oval")
    widget.try_phrase("blue")
    widget.keep()
    widget.expect_tiles()
    widget.get("tile").first.hover()
    yield "kept"
    unfold(widget)
    yield "unfolded"
    widget.get("grid-right").get_by_test_id("tile").first.click()
    expect(widget.get("original-dialog").locator("img").first).to_be_visible()
    yield "original"
    widget.page.keyboard.press("Escape")
    widget.get("retrain").click()
    expect(widget.get("progress")).to_be_visible()
    yield "retraining"
    notebook.run_cell(notebook.append_cell("session.gate.set()"))
    expect(widget.get("comparison")).to_be_visible()
    yield "compared"
    widget.choose_class("square")
    widget.try_phrase("crimson")
    widget.slider.press("End")
    widget.keep()
    widget.get("retrain").click()
    expect(widget.get("error")).to_be_visible()
    yield "error"


def unfold(widget: WidgetPage) -> None:
    """Open whatever can be opened."""
    widget.root.evaluate(
        """root => {
          for (const details of root.querySelectorAll("details")) details.open = true;
          for (const closed of root.querySelectorAll("[aria-expanded='false']")) closed.click();
        }"""
    )


def test_axe_finds_nothing_in_any_state_theme_or_width(
    notebook: NotebookPage, widget: WidgetPage, axe: str, screenshots: Path
) -> None:
    page = notebook.page
    page.evaluate(axe)
    found: dict[str, list[str]] = {}
    for state in states(notebook, widget):
        for dark in (False, True):
            notebook.set_theme(dark)
            for width in WIDTHS:
                resize(page, width)
                where = f"{state}, {'dark' if dark else 'light'}, {width} px"
                for violation in page.evaluate(RUN_AXE) + [f"beyond: {one}" for one in page.evaluate(BEYOND)]:
                    found.setdefault(violation, []).append(where)
                name = f"everyone-{state.replace(' ', '-')}-{'dark' if dark else 'light'}-{width}.png"
                page.screenshot(path=screenshots / name) if state == "original" else widget.screenshot(
                    screenshots / name
                )
        notebook.set_theme(dark=False)
        resize(page, WIDTHS[0])
    assert not found, json.dumps(found, indent=1)


class Keyboard:
    """Somebody who has no mouse."""

    def __init__(self, widget: WidgetPage) -> None:
        self.widget = widget
        self.keyboard = widget.page.keyboard

    def focus(self) -> dict[str, str]:
        """What has the focus; it must be in the widget and be seen to be there."""
        focus: dict[str, str] = self.widget.page.evaluate(_FOCUS)
        assert focus["inside"], f"the focus is lost: {focus['html']}"
        assert focus["ring"], f"no ring around {focus['html']}"
        return focus

    def enter(self) -> None:
        """Come in from the notebook."""
        for _ in range(40):
            self.keyboard.press("Tab")
            if self.widget.page.evaluate(_FOCUS)["inside"]:
                return
        raise AssertionError("Tab does not lead into the widget")

    def go_to(self, wanted: Callable[[dict[str, str]], bool], *, back: bool = False) -> None:
        for _ in range(60):
            if wanted(self.focus()):
                return
            self.keyboard.press("Shift+Tab" if back else "Tab")
        raise AssertionError("Tab does not lead there")

    def go_to_part(self, testid: str, *, back: bool = False) -> None:
        self.go_to(lambda focus: focus["testid"] == testid, back=back)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.keyboard.press(key)
            self.focus()

    def describe(self, class_name: str, phrase: str, *, by: str, back: bool = False) -> None:
        """Choose the next class with an arrow key, and say what its wrong images share."""
        self.go_to_part("class-option", back=back)
        self.press(by, "Enter")
        self.widget.expect_painted(class_name, "")
        self.go_to_part("phrase-input")
        self.keyboard.type(phrase)
        self.press("Enter")
        self.widget.expect_painted(class_name, phrase)

    def keep(self, *, back: bool = False) -> None:
        self.go_to_part("keep", back=back)
        self.press("Enter")
        phrase = self.widget.painted.split("|", 1)[1]
        expect(self.widget.get("annotations")).to_contain_text(phrase)
        self.focus()


def test_the_keyboard_alone_goes_round_the_loop(notebook: NotebookPage, widget: WidgetPage) -> None:
    notebook.run_cell(notebook.append_cell("session.gate.set()"))
    widget.page.keyboard.press("Escape")
    keys = Keyboard(widget)
    keys.enter()

    keys.describe("oval", "blue", by="ArrowDown")
    before = widget.threshold
    keys.go_to_part("threshold-slider")
    keys.press("ArrowLeft", "ArrowLeft", "Shift+ArrowRight")
    assert widget.threshold != before
    keys.keep(back=True)
    keys.describe("square", "red", by="ArrowUp", back=True)
    keys.keep()

    keys.go_to_part("retrain")
    keys.press("Enter")
    expect(widget.get("comparison")).to_be_visible()
    expect(widget.get("retrain")).to_be_visible()
    keys.focus()
    spoken = widget.get("comparison").locator("[aria-live]")
    expect(spoken.first).to_contain_text("fixed")

    keys.go_to_part("tile", back=True)
    first = keys.focus()["text"]
    keys.press("ArrowRight")
    assert keys.focus()["text"] != first
    opened = keys.focus()["text"]
    keys.press("Enter")
    dialog = widget.get("original-dialog")
    expect(dialog).to_be_visible()
    keys.press("ArrowRight", "ArrowRight", "ArrowLeft")
    expect(dialog).to_contain_text("64 px")  # the last one has come
    assert dialog.get_by_role("heading").inner_text() != opened.split(",")[0]
    last = dialog.get_by_role("heading").inner_text()
    keys.press("Escape")
    expect(dialog).to_be_hidden()
    assert keys.focus()["text"].startswith(f"{last},"), "the focus is on the image that was looked at last"

    for _ in range(3):
        keys.go_to_part("undo", back=True)
        keys.press("Enter")
        expect(widget.get("comparison")).to_be_hidden()
    expect(widget.get("annotations")).not_to_contain_text("blue")
    keys.focus()


def test_a_kept_phrase_can_be_removed_and_the_focus_stays(widget: WidgetPage) -> None:
    widget.try_phrase("red")
    widget.keep()
    keys = Keyboard(widget)
    widget.get("remove").focus()
    keys.keyboard.press("Enter")
    expect(widget.get("remove")).to_have_count(0)
    keys.focus()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_with_the_systems_colours_only_all_marks_can_be_told_apart(
    notebook: NotebookPage, widget: WidgetPage, screenshots: Path, dark: bool
) -> None:
    page = notebook.page
    page.emulate_media(forced_colors="active", color_scheme="dark" if dark else "light")
    notebook.run_cell(notebook.append_cell("session.gate.set()"))
    widget.try_phrase("red")
    widget.keep()
    widget.retrain()
    widget.expect_tiles()
    widget.slider.press("ArrowLeft")
    ground = colour(widget, ".cw-card", "background-color")
    for part, style in {
        ".cw-meter-fill": "background-color",
        ".cw-class[aria-selected='true']": "background-color",
        ".cw-slider-grip": "background-color",
        ".cw-swatch-right": "background-color",
        ".cw-swatch-wrong": "border-top-color",
        ".cw-bars-right": "fill",
        ".cw-bars-wrong": "stroke",
        ".cw-dot-after": "stroke",
        ".cw-parts": "background-color",
    }.items():
        assert colour(widget, part, style) != ground, f"{part} cannot be seen on {ground}"
    assert colour(widget, ".cw-bars-right", "fill") != colour(widget, ".cw-bars-wrong", "stroke")
    Keyboard(widget).focus()
    widget.screenshot(screenshots / f"everyone-forced-colours-{'dark' if dark else 'light'}.png")


def colour(widget: WidgetPage, selector: str, style: str) -> str:
    script = "(node, style) => getComputedStyle(node).getPropertyValue(style)"
    return str(widget.root.locator(selector).first.evaluate(script, style))


def test_more_contrast_is_given_where_it_is_wanted(
    notebook: NotebookPage, widget: WidgetPage, screenshots: Path
) -> None:
    usual = colour(widget, ".cw-card", "border-top-color")
    notebook.page.emulate_media(contrast="more")
    assert colour(widget, ".cw-card", "border-top-color") != usual
    widget.try_phrase("red")
    widget.screenshot(screenshots / "everyone-more-contrast.png")


def test_nothing_is_cut_off_at_twice_the_size(
    notebook: NotebookPage, widget: WidgetPage, screenshots: Path
) -> None:
    page = notebook.page
    widget.try_phrase("red")
    widget.keep()
    for width in (1400, 800, 640):
        resize(page, width)
        page.evaluate("document.querySelector('.cw-root').style.zoom = 2")
        assert page.evaluate(BEYOND) == []
        widget.screenshot(screenshots / f"everyone-twice-the-size-{width}.png")
        page.evaluate("document.querySelector('.cw-root').style.zoom = ''")


def test_right_and_wrong_differ_for_who_sees_no_colours(widget: WidgetPage, screenshots: Path) -> None:
    widget.try_phrase("red")
    widget.expect_tiles()
    session = widget.page.context.new_cdp_session(widget.page)
    for deficiency in ("deuteranopia", "protanopia", "achromatopsia"):
        session.send("Emulation.setEmulatedVisionDeficiency", {"type": deficiency})
        widget.screenshot(screenshots / f"everyone-{deficiency}.png")
    session.send("Emulation.setEmulatedVisionDeficiency", {"type": "none"})
    session.detach()
    for tile in widget.get("tile").all():
        wrong = tile.get_attribute("data-correct") == "false"
        assert ("wrong" in tile.inner_text()) == wrong
        assert ("wrong" in (tile.get_attribute("aria-label") or "")) == wrong


def test_every_picture_and_every_number_has_its_words(notebook: NotebookPage, widget: WidgetPage) -> None:
    """Pictures and drawings say in words what they show, or stand beside those words and are skipped."""
    notebook.run_cell(notebook.append_cell("session.gate.set()"))
    widget.try_phrase("red")
    widget.keep()
    widget.retrain()
    widget.expect_tiles()
    silent = widget.root.evaluate(
        """root => {
          const named = node => (node.getAttribute("aria-label") ?? "").trim() !== "";
          const skipped = node => node.closest("[aria-hidden='true']") !== null;
          const told = node => node.closest("button, [role='option']")?.getAttribute("aria-label");
          const pictures = [...root.querySelectorAll("svg, img")].filter(
            node => !skipped(node) && !named(node) && !(node.alt ?? "").trim() && !told(node)
              && !node.closest("dialog"));
          const values = [...root.querySelectorAll("[role='slider'], [role='meter'], [role='progressbar']")]
            .filter(node => node.checkVisibility() && !(named(node) && node.getAttribute("aria-valuenow")));
          return [...pictures, ...values].map(node => node.outerHTML.slice(0, 160));
        }"""
    )
    assert silent == []
    label = widget.get("tile").first.get_attribute("aria-label") or ""
    assert "Label: " in label
    assert "Similarity: " in label
    assert "right" in (widget.slider.get_attribute("aria-valuetext") or "")
