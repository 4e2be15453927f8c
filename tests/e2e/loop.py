"""A person in JupyterLab with a widget in one or two views, and what kernel and page should come to."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from tests.e2e.lab import PATIENCE
from tests.e2e.problems import small_session
from tests.e2e.reference import Hand, Reference
from tests.e2e.shown import READ, TILES, comparable, compared_of, page_of
from tests.e2e.widget_page import WidgetPage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from playwright.sync_api import Locator

    from tests.e2e.lab import NotebookPage

REST = 2000  # milliseconds after which a page takes what was typed for what was meant


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
        self.compared: dict[int, str] = {}  # which phrase a view lays beside the one that is shown
        self.hands: dict[tuple[int, str], Hand] = {}
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
        if now[0] != self.shown[0]:
            self.compared.clear()
        self.shown = now
        wanted = comparable(self.reference.traits())
        traits = self._wait("the kernel", self.kernel, wanted | {"the session": {}})
        shown = page_of(traits, self.reference)
        self._wait("the page", self.read, [shown | self._of_view(view) for view in range(self.views)])

    def _of_view(self, view: int) -> Any:
        """What this view shows alone."""
        compared = self.reference.compared(self.compared.get(view))
        return {
            "box": self.typed.get(view, self.reference.phrase),
            "compared": compared_of(compared),
        }

    def kernel(self) -> Any:
        """What Python says: the traits, and what the session says where that is something else."""
        self._traits, facts = json.loads(self.notebook.ask("show()"))
        other = {name: fact for name, fact in facts.items() if self._traits[name] != fact}
        return comparable(self._traits) | {"the session": other}

    def read(self) -> Any:
        """What every view shows."""
        return self.page.evaluate(READ, [self.reference.running, TILES])

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
            self.compared.pop(self.view, None)
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
        self.compared.pop(self.view, None)

    # -- two phrases

    def compare(self, phrase: str) -> None:
        """Lay a phrase beside the one that is shown, or take it away."""
        self.get("compare").and_(self.page.locator(f"[data-phrase='{phrase}']")).click()
        if self.compared.get(self.view) == phrase:
            del self.compared[self.view]
        else:
            self.compared[self.view] = phrase

    def close_comparison(self, _: None) -> None:
        self.get("close-comparison").click()
        del self.compared[self.view]

    def join(self, operator: str) -> None:
        phrase = f"{self.reference.phrase} {operator} {self.compared[self.view]}"
        self.get("join").and_(self.page.locator(f"[data-operator={operator}]")).click()
        self.show(phrase)

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

    def tile(self, side: str, place: int) -> tuple[Locator, int]:
        """The tile at a place, from 0, of a grid, and its row."""
        row = self.reference.rows(side)[place]
        return self.get(f"grid-{side}").locator(f'[data-testid="tile"][data-index="{row}"]'), row

    def hand(self, side: str) -> Hand:
        return self.hands.setdefault((self.view, side), Hand(self.reference, side))

    def open_and_close(self, choice: tuple[str, int]) -> None:
        self.tile(*choice)[0].click()
        dialog = self.widget.root.get_by_test_id("original-dialog")
        expect(dialog.locator("img").first).to_be_visible()
        self.page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()

    def toggle(self, choice: tuple[str, int, str]) -> None:
        """Select an image or let it go, by a click with Control, by the corner, or by a key."""
        side, place, how = choice
        tile, row = self.tile(side, place)
        if how == "Control":
            tile.click(modifiers=["Control"])
        elif how == "corner":
            tile.hover()
            tile.get_by_test_id("check").click()
        else:
            tile.press(how)
        self.hand(side).toggle(row)

    def extend_to(self, choice: tuple[str, int]) -> None:
        tile, row = self.tile(*choice)
        tile.click(modifiers=["Shift"])
        self.hand(choice[0]).extend(row)

    def extend_by_key(self, choice: tuple[str, int]) -> None:
        side, place = choice
        tile, row = self.tile(side, place)
        tile.press("Shift+ArrowRight")
        rows = self.reference.rows(side)
        if place + 1 < len(rows):
            self.hand(side).extend(rows[place + 1], row)

    def select_side(self, choice: tuple[str, int]) -> None:
        self.tile(*choice)[0].press("Control+a")
        self.reference.selected |= set(self.reference.rows(choice[0]))

    def deselect_by_key(self, choice: tuple[str, int]) -> None:
        self.tile(*choice)[0].press("Escape")
        self.reference.selected = set()

    def deselect(self, _: None) -> None:
        self.get("clear-selection").click()
        self.reference.selected = set()

    # -- images that have a phrase, and that have it not

    def mark(self, choice: tuple[str, int, str]) -> None:
        side, place, key = choice
        tile, row = self.tile(side, place)
        tile.press(key)
        self.reference.mark([row], {"+": True, "-": False, "Backspace": None}[key])

    def mark_selected(self, has: bool) -> None:
        self.get("selected-has" if has else "selected-has-not").click()
        self.reference.mark(self.reference.selected, has)

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

    def python_selects(self, rows: list[int]) -> None:
        self.notebook.ask(f"widget.selected = {rows!r}")
        self.reference.selected = set(rows)

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
        self.look_at_views()

    def close_second_view(self, _: None) -> None:
        self.notebook.delete_last_cell()
        self.views, self.view = 1, 0
        self.typed.pop(1, None)
        self.compared.pop(1, None)
        for side in ("left", "right"):
            self.hands.pop((1, side), None)

    def reload(self, _: None) -> None:
        self.notebook.save()
        self.notebook.reload()
        self.forget_views()
        self.look_at_views()

    def restart(self, _: None) -> None:
        """What was done is kept in a folder; what was shown, and marks, are not."""
        self.notebook.restart_kernel()
        self.notebook.run_all()
        self.reference.begin()
        self.forget_views()
        self.look_at_views()

    def look_at_views(self) -> None:
        """Bring views that are new into sight: JupyterLab lays nothing out that is far from it."""
        for view in range(self.views):
            WidgetPage(self.page, view).get("grid-right").scroll_into_view_if_needed()

    def forget_views(self) -> None:
        """What is known of a view alone ends with it."""
        self.typed.clear()
        self.compared.clear()
        self.hands.clear()


def _difference(found: Any, wanted: Any, where: str = "") -> str:
    """Name the smallest parts that differ."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        parts = [(name, found.get(name), wanted.get(name)) for name in {**wanted, **found}]
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        parts = [(str(at), one, other) for at, (one, other) in enumerate(zip(found, wanted, strict=True))]
    else:
        return f"{where}: shown {found!r}, should be {wanted!r}"
    return "\n".join(_difference(*pair, f"{where}/{name}") for name, *pair in parts if pair[0] != pair[1])
