"""Whatever a person does, in whatever order, page and kernel agree.

A seeded sequence of clicks, keys, reloads and kernel restarts; after each, all that the page shows must come
to equal what the session says. `CLARIFY_RANDOM_ACTIONS` and `CLARIFY_RANDOM_SEED` choose another number
and another sequence; a failure prints both, and what was done last.
"""

from __future__ import annotations

import json
import math
import os
import random
import re
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Error, expect

from tests.e2e.widget_page import PAINTED, WidgetPage

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

    from tests.e2e.lab import Lab, NotebookPage

ACTIONS = int(os.environ.get("CLARIFY_RANDOM_ACTIONS", "100"))
SEED = int(os.environ.get("CLARIFY_RANDOM_SEED", "1"))
PATIENCE = 60  # seconds until a difference between page and kernel is one
REACH = 2_000  # milliseconds in which what was there a moment ago can be clicked
PHRASES = ["red", "crimson", "blue", "round", "velvet", "red, not blue", "nonsense", " "]
NAME = "node => node.dataset.phrase ?? node.dataset.key ?? node.dataset.name ?? ''"
ROUNDING = {"score": 0.00501, "threshold": 0.00005001}  # half of the last digit that the page shows

SOURCE = """
import json
import clarify_widget as cw
from tests.e2e.problems import truth, waiting_session

session = waiting_session()
session.gate.set()
session.autosave("random")
widget = cw.ClarifyWidget(session)
widget
"""

SHOWN = """view => {
  const root = document.querySelectorAll("[data-cw-painted]")[view];
  if (!root) return null;
  const all = testid => [...root.querySelectorAll(`[data-testid="${testid}"]`)];
  const one = testid => all(testid).find(node => node.checkVisibility()) ?? null;
  const read = (testid, of) => {
    const node = one(testid);
    return node && of(node);
  };
  const size = side => {
    const heading = read(side, node => node.querySelector("header").textContent) ?? "";
    return Number((heading.match(/([\\d,]+) images?\\b/)?.[1] ?? "0").replaceAll(",", ""));
  };
  return {
    painted: root.dataset.cwPainted,
    score: read("error-score", node => Number(node.textContent)),
    threshold: read("threshold-slider", node => Number(node.ariaValueNow)),
    sizes: [size("grid-left"), size("grid-right")],
    history: Object.fromEntries(all("history-item").map(item => [item.dataset.phrase,
      item.dataset.best === "true"])),
    annotations: all("switch").map(box => [...JSON.parse(box.dataset.key), box.checked]),
    objective: all("objective")[0].value,
    undo: !all("undo")[0].disabled,
    redo: !all("redo")[0].disabled,
    compared: read("comparison", node => node.textContent),
    retraining: one("cancel") !== null,
  };
}"""


@pytest.fixture
def notebook(lab: Lab, page: Page) -> NotebookPage:
    shutil.rmtree(lab.folder / "random", ignore_errors=True)
    notebook = lab.show(page, "random.ipynb", SOURCE)
    notebook.run_all()
    return notebook


def test_page_and_kernel_agree_whatever_a_person_does(notebook: NotebookPage) -> None:
    person = Person(notebook, random.Random(SEED))
    person.expect_agreement()
    for _ in range(ACTIONS):
        person.act()
        person.expect_agreement()


class Person:
    """Somebody without a plan."""

    def __init__(self, notebook: NotebookPage, chance: random.Random) -> None:
        self.notebook = notebook
        self.page = notebook.page
        self.chance = chance
        self.done: list[str] = []
        self.second_view = False
        often: list[Callable[[], str]] = [
            self.choose_a_class,
            self.enter_a_phrase,
            self.type_a_phrase,
            self.choose_from_the_history,
            self.drag,
            self.press_keys_on_the_slider,
            self.write_a_threshold,
            self.click_best,
            self.keep,
            self.remove,
            self.switch,
            self.choose_an_objective,
            self.retrain,
            self.hold_or_release_retraining,
            self.cancel,
            self.undo,
            self.redo,
            self.choose_a_model,
            self.look_at_an_original,
            self.assign_in_python,
            self.call_in_python,
        ]
        seldom = [self.open_or_close_a_second_view, self.reload, self.restart]
        self.repertoire = 4 * often + 2 * seldom[:2] + seldom[2:]

    def act(self) -> None:
        action = self.chance.choice(self.repertoire)
        self.done.append(f"{action.__name__} ...")
        self.done[-1] = f"{action.__name__} {action()}"

    # -- agreement

    def expect_agreement(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while differences := self.differences():
            if time.monotonic() > deadline:
                last = "\n".join(self.done[-12:])
                pytest.fail(f"seed {SEED}, action {len(self.done)}:\n{last}\n" + "\n".join(differences))
            time.sleep(0.05)

    def differences(self) -> list[str]:
        truth = json.loads(self.notebook.ask("print(json.dumps(truth(widget)))"))
        found = []
        for view in range(1 + self.second_view):
            shown = self.page.evaluate(SHOWN, view)
            if shown is None:
                found.append(f"view {view} is not there")
                continue
            found += [
                f"view {view}, {name}: the kernel has {value!r}, the page {shown[name]!r}"
                for name, value in truth.items()
                if not agree(name, value, shown[name])
            ]
        return found

    # -- what a person can do; each says what it did

    @property
    def widget(self) -> WidgetPage:
        return WidgetPage(self.page, self.chance.randrange(1 + self.second_view))

    def click_one(self, testid: str) -> str:
        """Click one of these, if there is one."""
        targets = [item for item in self.widget.get(testid).all() if item.is_visible() and item.is_enabled()]
        return self.click(self.chance.choice(targets)) if targets else "but there is none"

    def click(self, target: Locator) -> str:
        try:
            said = target.evaluate(
                "node => node.dataset.phrase ?? node.dataset.key ?? node.dataset.name ?? ''"
            )
            target.click(timeout=REACH)
        except Error as error:  # it went away, or was disabled, meanwhile
            return f"but missed it: {str(error).splitlines()[0]}"
        return str(said)

    def choose_a_class(self) -> str:
        return self.click_one("class-option")

    def phrase(self) -> str:
        return self.chance.choice(
            ["red", "crimson", "blue", "round", "velvet", "red, not blue", "nonsense", " "]
        )

    def enter_a_phrase(self) -> str:
        phrase = self.phrase()
        self.widget.enter(phrase)
        return repr(phrase)

    def type_a_phrase(self) -> str:
        phrase = self.phrase()
        box = self.widget.get("phrase-input")
        box.fill("")
        box.press_sequentially(phrase, delay=self.chance.choice([0, 20, 120]))
        return repr(phrase)

    def choose_from_the_history(self) -> str:
        return self.click_one("history-item")

    def drag(self) -> str:
        widget, pixels = self.widget, self.chance.randrange(-150, 150)
        if not widget.slider.is_visible():
            return "but there is no slider"
        widget.drag_threshold(pixels)
        return f"{pixels} pixels"

    def press_keys_on_the_slider(self) -> str:
        slider = self.widget.slider
        if not slider.is_visible():
            return "but there is no slider"
        keys = self.chance.choices(["ArrowLeft", "ArrowRight", "PageUp", "PageDown", "Home", "End"], k=3)
        for key in keys:
            slider.press(key, timeout=REACH)
        return " ".join(keys)

    def write_a_threshold(self) -> str:
        box = self.widget.get("threshold-value")
        if not box.is_visible():
            return "but there is no box"
        number = self.chance.choice(["0.25", "-0.1", "7", ""])
        box.fill(number)
        box.press("Enter")
        return repr(number)

    def click_best(self) -> str:
        return self.click_one("threshold-best")

    def keep(self) -> str:
        return self.click_one("keep")

    def remove(self) -> str:
        return self.click_one("remove")

    def switch(self) -> str:
        return self.click_one("switch")

    def choose_an_objective(self) -> str:
        objective = self.chance.choice(["slice_balanced", "worst_slice", "class_balanced", "dfr"])
        select = self.widget.get("objective")
        if not select.is_enabled():
            return "but it retrains"
        select.select_option(objective)
        return objective

    def retrain(self) -> str:
        return self.click_one("retrain")

    def hold_or_release_retraining(self) -> str:
        verb = self.chance.choice(["clear", "set", "set"])
        self.notebook.ask(f"session.gate.{verb}()")
        return verb

    def cancel(self) -> str:
        return self.click_one("cancel")

    def undo(self) -> str:
        return self.click_one("undo")

    def redo(self) -> str:
        return self.click_one("redo")

    def choose_a_model(self) -> str:
        return self.click_one("model")

    def look_at_an_original(self) -> str:
        done = self.click_one("tile")
        dialogs = self.page.get_by_test_id("original-dialog").locator("visible=true")
        if dialogs.count():
            self.page.keyboard.press(self.chance.choice(["ArrowLeft", "ArrowRight"]))
            self.page.keyboard.press("Escape")
            expect(dialogs).to_have_count(0)
        return done

    def assign_in_python(self) -> str:
        class_name = self.chance.choice(["square", "oval"])
        source = self.chance.choice(
            [
                f"widget.class_name = {class_name!r}",
                "widget.phrase = 'round'",
                "widget.phrase = ''",
                "widget.threshold = 0.125 if widget.phrase else None",
                "widget.objective = 'class_balanced'",
            ]
        )
        if source.startswith("widget.threshold"):
            source = "if widget.phrase: widget.threshold = 0.125"
        self.notebook.ask(source)
        return source

    def call_in_python(self) -> str:
        source = self.chance.choice(
            [
                "session.annotate('oval', 'blue')",
                "session.annotate('square', 'red', 0.25)",
                "session.score('square', 'velvet')",
                "session.undo()",
                "session.redo()",
                "widget.cancel()",
            ]
        )
        self.notebook.ask(source)
        return source

    def open_or_close_a_second_view(self) -> str:
        if self.second_view:
            self.notebook.delete_last_cell()
        else:
            self.notebook.run_cell(self.notebook.append_cell("widget"))
        self.second_view = not self.second_view
        expect(self.page.locator(PAINTED)).to_have_count(1 + self.second_view)
        return "opened" if self.second_view else "closed"

    def reload(self) -> str:
        self.notebook.save()
        self.notebook.reload()
        return ""

    def restart(self) -> str:
        self.notebook.restart_kernel()
        self.notebook.run_all()
        return ""


def agree(name: str, told: Any, shown: Any) -> bool:
    if told is None or shown is None:
        return told is shown
    if name in ROUNDING:
        return math.isclose(told, shown, abs_tol=ROUNDING[name], rel_tol=0)
    if name == "compared":
        return re.sub(r"\s+", " ", told) in re.sub(r"\s+", " ", shown)
    return bool(told == shown)
