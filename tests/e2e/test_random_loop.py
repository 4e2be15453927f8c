"""Random actions in JupyterLab: page, kernel and a session without a widget agree after every one of them.

The actions are drawn by a seed from those that are possible, so the seed that a failure names replays it:

    CLARIFY_RANDOM_SEED=7 CLARIFY_RANDOM_ACTIONS=1000 pytest tests/e2e/test_random_loop.py
"""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.e2e.lab import PATIENCE
from tests.e2e.problems import HTML, small_session
from tests.e2e.reference import READ, Reference, comparable, page_of
from tests.e2e.widget_page import WidgetPage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from playwright.sync_api import Locator, Page

    from tests.e2e.lab import Lab, NotebookPage

SOURCE = """
import json
import clarify_widget as cw
from clarify_widget.session import presentation
from tests.e2e.problems import waiting_session

session = waiting_session()
session.gate.set()
session.autosave("loop")
widget = cw.ClarifyWidget(session)

def show():
    names = NAMES
    traits = {name: getattr(widget, name) for name in names}
    traits["error"] = "" if widget.error is None else widget.error["message"]
    traits["status"] = {name: widget.status[name] for name in ("state", "message")}
    print(json.dumps([traits, presentation.facts(session)]))

widget
"""
logger = logging.getLogger(__name__)

ACTIONS = int(os.environ.get("CLARIFY_RANDOM_ACTIONS", "80"))
SEED = int(os.environ.get("CLARIFY_RANDOM_SEED", "1"))
PHRASES = ("red", "crimson", "blue", "round", "velvet", "red AND round", "red NOT round", HTML)
NO_PHRASES = ("corduroy", "red AND", "")
KEYS = ("ArrowLeft", "ArrowRight", "PageUp", "PageDown", "Home", "End", "Shift+ArrowLeft", "Shift+ArrowRight")
REST = 1100  # milliseconds after which a page takes what was typed for what was meant


class Loop:
    """A notebook with a widget in one or two views, and what it should show."""

    def __init__(self, notebook: NotebookPage, seed: int) -> None:
        self.notebook = notebook
        self.page = notebook.page
        self.reference = Reference(small_session())
        self.random = random.Random(seed)
        self.views = 1
        self.view = 0
        self.typed: dict[int, str] = {}  # what is in the phrase box of a view and could not be scored
        self.shown = (self.reference.class_name, "")

    @property
    def widget(self) -> WidgetPage:
        return WidgetPage(self.page, self.view)

    def get(self, testid: str) -> Locator:
        return self.widget.get(testid)

    # -- agreement

    def agree(self) -> None:
        """Wait until kernel and page have come to what they should show; raises with what differs."""
        now = (self.reference.class_name, self.reference.phrase)
        if now != self.shown:
            self.typed.clear()
        self.shown = now
        wanted = comparable(self.reference.traits())
        traits = self._wait("the kernel", self.kernel, wanted | {"the session": {}})
        shown = page_of(traits, self.reference.sizes())
        boxes = [self.typed.get(view, self.reference.phrase) for view in range(self.views)]
        self._wait("the page", self.read, [shown | {"box": box} for box in boxes])

    def kernel(self) -> Any:
        """What Python says: the traits, and what the session says where that is something else."""
        self._traits, facts = json.loads(self.notebook.ask("show()"))
        other = {name: fact for name, fact in facts.items() if self._traits[name] != fact}
        return comparable(self._traits) | {"the session": other}

    def read(self) -> Any:
        """What every view shows."""
        return self.page.evaluate(READ, self.reference.running)

    def _wait(self, who: str, read: Callable[[], Any], wanted: Any) -> Any:
        deadline = time.monotonic() + PATIENCE / 1000
        while (found := read()) != wanted or not self._at_rest:
            if time.monotonic() > deadline:
                raise AssertionError(f"{who} shows something else:\n{_difference(found, wanted)}")
            self.page.wait_for_timeout(20)
        return self._traits

    @property
    def _at_rest(self) -> bool:
        """Whether what retraining would give is known for every phrase."""
        tried = self._traits["history"]
        return self.reference.running or all(row["expected"] is not None for row in tried)

    def adopt_threshold(self) -> None:
        """Take the threshold that a person put with mouse or keys, once the kernel has heard of it."""
        shown = self.widget.threshold
        deadline = time.monotonic() + PATIENCE / 1000
        while True:
            heard = json.loads(self.notebook.ask("print(json.dumps(widget.threshold))"))
            if abs(heard - shown) < 1e-4:
                return self.reference.put(heard)
            if time.monotonic() > deadline:
                raise AssertionError(f"the page shows a threshold of {shown}, the kernel has {heard}")
            self.page.wait_for_timeout(20)

    # -- words

    def show(self, phrase: str) -> None:
        """A phrase was asked for in this view, and comes to be shown in all, or an error does."""
        self.reference.score(phrase)
        if self.reference.error:
            self.typed[self.view] = phrase
        else:
            self.typed.pop(self.view, None)

    def enter(self, phrase: str) -> None:
        self.widget.enter(phrase)
        self.show(phrase)

    def type(self, phrase: str) -> None:
        """Type without Enter, and wait until the page takes the phrase for meant."""
        self.get("phrase-input").fill(phrase)
        if phrase:
            self.show(phrase)
        elif self.reference.phrase:
            self.reference.choose(self.reference.class_name)
            self.typed.pop(self.view, None)
        else:
            self.typed.pop(self.view, None)
        self.agree()
        self.page.evaluate("rest => new Promise(resolve => setTimeout(resolve, rest))", REST)

    def choose_tried(self, phrase: str) -> None:
        self.get("history-item").and_(self.page.locator(f"[data-phrase='{phrase}']")).click()
        self.show(phrase)

    def choose_suggested(self, phrase: str) -> None:
        self.get("suggestion").and_(self.page.locator(f"[data-phrase='{phrase}']")).click()
        self.show(phrase)

    def choose_class(self, name: str) -> None:
        self.get("class-option").and_(self.page.locator(f'[data-name="{name}"]')).click()
        self.reference.choose(name)
        self.typed.pop(self.view, None)

    # -- threshold

    def drag(self, pixels: int) -> None:
        self.widget.drag_threshold(pixels)
        self.adopt_threshold()

    def press(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.widget.slider.press(key)
        self.adopt_threshold()

    def write_threshold(self, threshold: float) -> None:
        self.get("threshold-value").fill(str(threshold))
        self.get("threshold-value").press("Enter")
        self.reference.put(threshold)

    def best(self, threshold: float) -> None:
        self.get("threshold-best").click()
        self.reference.put(threshold)

    # -- images

    def open_and_close(self, side: str) -> None:
        self.get(side).get_by_test_id("tile").first.click()
        dialog = self.widget.root.get_by_test_id("original-dialog")
        expect(dialog.locator("img").first).to_be_visible()
        self.page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()

    def mark(self, choice: tuple[str, str]) -> None:
        side, key = choice
        tile = self.get(side).get_by_test_id("tile").first
        row = int(tile.get_attribute("data-index") or -1)
        tile.press(key)
        self.reference.mark(row, key == "+")

    def forget_marks(self, _: None) -> None:
        self.get("forget-marks").click()
        self.reference.forget_marks()

    def sharpen(self, _: None) -> None:
        self.get("sharpen").click()
        self.reference.sharpen()
        self.typed.pop(self.view, None)

    # -- correcting

    def keep(self, _: None) -> None:
        self.get("keep").click()
        shown = self.reference
        self.reference.do(lambda session: session.annotate(shown.class_name, shown.phrase, shown.threshold))

    def remove(self, at: int) -> None:
        kept = tuple(self.reference.session.annotations)[at]
        self.get("remove").nth(at).click()
        self.reference.do(lambda session: session.remove(kept.class_name, kept.phrase))

    def switch(self, at: int) -> None:
        kept = tuple(self.reference.session.annotations)[at]
        self.get("switch").nth(at).click()
        self.reference.do(lambda session: session.switch(kept.class_name, kept.phrase, on=not kept.active))

    def undo(self, _: None) -> None:
        self.get("undo").click()
        self.reference.do(lambda session: session.undo())

    def redo(self, _: None) -> None:
        self.get("redo").click()
        self.reference.do(lambda session: session.redo())

    def choose_objective(self, objective: str) -> None:
        self.get("objective").select_option(objective)
        self.reference.objective = objective

    def choose_model(self, number: int) -> None:
        self.get("model").and_(self.page.locator(f'[data-number="{number}"]')).click()
        self.reference.do(lambda session: session.use_model(number))

    def retrain(self, _: None) -> None:
        self.get("retrain").click()
        self.reference.begin_retraining()
        self.reference.end_retraining()

    def begin_retraining(self, _: None) -> None:
        """Retraining that goes on until it is let go or cancelled."""
        self.notebook.ask("session.gate.clear()")
        self.get("retrain").click()
        self.reference.begin_retraining()

    def let_it_end(self, _: None) -> None:
        self.notebook.ask("session.gate.set()")
        self.reference.end_retraining()

    def cancel(self, _: None) -> None:
        self.get("cancel").click()
        expect(self.get("retrain")).to_be_visible()
        self.notebook.ask("session.gate.set()")
        self.reference.cancel()

    # -- Python

    def python_chooses(self, name: str) -> None:
        self.notebook.ask(f"widget.class_name = {name!r}")
        if name != self.reference.class_name:
            self.reference.choose(name)

    def python_types(self, phrase: str) -> None:
        self.notebook.ask(f"widget.phrase = {phrase!r}")
        if phrase:
            self.reference.score(phrase)
        elif self.reference.phrase:
            self.reference.choose(self.reference.class_name)

    def python_moves(self, threshold: float) -> None:
        self.notebook.ask(f"widget.threshold = {threshold!r}")
        self.reference.put(threshold)

    def python_keeps(self, choice: tuple[str, str]) -> None:
        self.notebook.ask(f"session.annotate(*{choice!r})")
        self.reference.do(lambda session: session.annotate(*choice), clears=False)

    def python_undoes(self, _: None) -> None:
        self.notebook.ask("widget.undo()")
        self.reference.do(lambda session: session.undo(), clears=False)

    # -- the notebook

    def open_second_view(self, _: None) -> None:
        self.notebook.run_cell(self.notebook.append_cell("widget"))
        self.views = 2

    def close_second_view(self, _: None) -> None:
        self.notebook.delete_last_cell()
        self.views, self.view = 1, 0
        self.typed.pop(1, None)

    def reload(self, _: None) -> None:
        self.notebook.save()
        self.notebook.reload()
        self.typed.clear()

    def restart(self, _: None) -> None:
        """What was done is kept in a folder; what was shown, and marks, are not."""
        self.notebook.restart_kernel()
        self.notebook.run_all()
        self.reference.begin()
        self.typed.clear()


@dataclass(frozen=True)
class Action:
    """Something that a person does: how often, with which choices now, and how; `None` is the only choice."""

    do: Callable[[Loop, Any], None]
    weight: float
    choices: Callable[[Loop], Sequence[Any]]


def only_if(possible: Callable[[Loop], bool]) -> Callable[[Loop], Sequence[Any]]:
    return lambda loop: [None] if possible(loop) else []


def shown(loop: Loop) -> bool:
    return loop.reference.phrase != ""


def idle(loop: Loop) -> bool:
    return not loop.reference.running


def thresholds(loop: Loop) -> Sequence[float]:
    """Values inside the histogram of the phrase that is shown."""
    reference = loop.reference
    if not reference.phrase:
        return []
    rows = reference.session.members(reference.class_name).indices
    similar = sorted(reference.session.similarities(reference.phrase)[rows].tolist())
    return [round(similar[len(similar) * part // 10], 3) for part in range(1, 10)]


def best_threshold(loop: Loop) -> Sequence[float]:
    reference = loop.reference
    tried = reference.session.history(reference.class_name)
    best = [one.threshold for one in tried if one.phrase == reference.phrase]
    return [threshold for threshold in best if threshold != reference.threshold]


def sides_with_tiles(loop: Loop) -> Sequence[str]:
    sizes = loop.reference.sizes()
    return [side for side, size in zip(("grid-left", "grid-right"), sizes, strict=True) if size]


def markable(loop: Loop) -> Sequence[tuple[str, str]]:
    words = loop.reference.phrase
    if not words or " AND " in words or " NOT " in words:
        return []
    return [(side, key) for side in sides_with_tiles(loop) for key in "+-"]


def kept(loop: Loop) -> Sequence[int]:
    return range(len(loop.reference.session.annotations))


def other_models(loop: Loop) -> Sequence[int]:
    session = loop.reference.session
    in_use = session.retraining.number if session.retraining else 0
    return [number for number in range(len(session.models) + 1) if number != in_use and idle(loop)]


def objectives(loop: Loop) -> Sequence[str]:
    all_of_them = ("slice_balanced", "worst_slice", "class_balanced", "worst_class", "dfr", "group_dro")
    return all_of_them if idle(loop) else ()


def tried(loop: Loop) -> Sequence[str]:
    reference = loop.reference
    return [one.phrase for one in reference.session.history(reference.class_name)]


def class_names(loop: Loop) -> Sequence[str]:
    return loop.reference.session.class_names


POSSIBLE = (
    Action(Loop.choose_class, 4, class_names),
    Action(Loop.enter, 7, lambda _: PHRASES),
    Action(Loop.enter, 2, lambda _: NO_PHRASES),
    Action(Loop.type, 2, lambda _: (*PHRASES, *NO_PHRASES)),
    Action(Loop.choose_tried, 5, tried),
    Action(Loop.choose_suggested, 4, lambda loop: loop.reference.suggested if idle(loop) else ()),
    Action(Loop.drag, 5, lambda loop: (-150, -60, -12, 12, 60, 150) if shown(loop) else ()),
    Action(
        Loop.press,
        5,
        lambda loop: [loop.random.choices(KEYS, k=loop.random.randint(1, 4))] if shown(loop) else (),
    ),
    Action(Loop.write_threshold, 3, thresholds),
    Action(Loop.best, 3, best_threshold),
    Action(Loop.open_and_close, 2, sides_with_tiles),
    Action(Loop.mark, 4, markable),
    Action(Loop.forget_marks, 1, only_if(lambda loop: shown(loop) and loop.reference.marks > 0)),
    Action(Loop.sharpen, 1, only_if(lambda loop: shown(loop) and loop.reference.marks > 0)),
    Action(Loop.keep, 9, only_if(lambda loop: shown(loop) and not loop.reference.kept_as_shown)),
    Action(Loop.remove, 2, kept),
    Action(Loop.switch, 3, kept),
    Action(Loop.undo, 6, only_if(lambda loop: idle(loop) and loop.reference.session.undoable != "")),
    Action(Loop.redo, 6, only_if(lambda loop: idle(loop) and loop.reference.session.redoable != "")),
    Action(Loop.choose_objective, 2, objectives),
    Action(Loop.choose_model, 3, other_models),
    Action(Loop.retrain, 4, only_if(idle)),
    Action(Loop.begin_retraining, 3, only_if(idle)),
    Action(Loop.let_it_end, 6, only_if(lambda loop: loop.reference.running)),
    Action(Loop.cancel, 6, only_if(lambda loop: loop.reference.running)),
    Action(Loop.python_chooses, 2, class_names),
    Action(Loop.python_types, 3, lambda _: (*PHRASES, "")),
    Action(Loop.python_moves, 2, thresholds),
    Action(
        Loop.python_keeps,
        2,
        lambda loop: [(name, phrase) for name in class_names(loop) for phrase in PHRASES],
    ),
    Action(Loop.python_undoes, 1, only_if(lambda loop: idle(loop) and loop.reference.session.undoable != "")),
    Action(Loop.open_second_view, 1.5, only_if(lambda loop: loop.views == 1)),
    Action(Loop.close_second_view, 1, only_if(lambda loop: loop.views == 2)),
    Action(Loop.reload, 0.8, only_if(lambda _: True)),
    Action(Loop.restart, 0.8, only_if(lambda _: True)),
)


def _difference(found: Any, wanted: Any, where: str = "") -> str:
    """Name the smallest parts that differ."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        parts = [(name, found.get(name), wanted.get(name)) for name in {**wanted, **found}]
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        parts = [(str(at), one, other) for at, (one, other) in enumerate(zip(found, wanted, strict=True))]
    else:
        return f"{where}: shown {found!r}, should be {wanted!r}"
    return "\n".join(_difference(*pair, f"{where}/{name}") for name, *pair in parts if pair[0] != pair[1])


@pytest.fixture
def notebook(lab: Lab, page: Page) -> NotebookPage:
    shutil.rmtree(lab.folder / "loop", ignore_errors=True)
    names = ["class_name", "phrase", "threshold", "score", "history", "sides", "suggestions", "marks"]
    names += ["classes", "annotations", "comparison", "can_undo", "can_redo", "models", "notes", "objective"]
    notebook = lab.show(page, "random_loop.ipynb", SOURCE.replace("NAMES", repr(names)))
    notebook.run_all()
    return notebook


def test_page_and_kernel_agree_after_every_action(notebook: NotebookPage) -> None:
    loop, log = Loop(notebook, SEED), []
    loop.agree()
    try:
        for number in range(1, ACTIONS + 1):
            loop.view = loop.random.randrange(loop.views)
            possible = [(action, choices) for action in POSSIBLE if (choices := action.choices(loop))]
            weights = [action.weight for action, _ in possible]
            ((action, choices),) = loop.random.choices(possible, weights)
            choice = loop.random.choice(choices)
            log.append(f"{number}. view {loop.view}: {action.do.__name__} {choice!r}")
            logger.info(log[-1])
            action.do(loop, choice)
            loop.agree()
    except Exception as error:
        raise AssertionError("\n".join([*log, f"Seed {SEED}: after these actions {error}"])) from error
