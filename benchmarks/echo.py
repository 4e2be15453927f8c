"""What the loop costs over the notebook's own round trip, in real JupyterLab.

Four things that a person does, on validation sets of three sizes, against a bare anywidget that echoes a
string; on one page, with one kernel, taking turns:

- phrase: from Enter in the phrase box to the new score and histogram on the screen. Each phrase is new: its
  embedding is looked up in a table, the similarities with every image are computed.
- drag: from a move of the mouse to the threshold and both summaries on the screen, and frames a second.
- scroll: frames a second while the wheel turns over all the thumbnails of one side.
- class switch: from a click to every thumbnail in sight painted, for 12-megapixel JPEGs in a tall window with
  both frames of images pulled down to hold 80, at the first sight of a class and later ones.

Times are taken inside the page, at the end of the first frame after the change.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from large_sessions import OTHERS, phrase, take_photographs

from tests.e2e.lab import VIEWPORT, chromium, jupyterlab, watched_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Page, ViewportSize

    from tests.e2e.lab import Lab, NotebookPage

SIZES = (1_000, 20_000, 200_000)
ROUNDS = 40
WARM_UP = 5
SWITCHES = 20
DRAGS = 3
DRAG_MOVES = 150  # of the mouse there, and as many back
WHEEL_TURNS = 120
WHEEL_PIXELS = 400  # a turn, more than the frame of images is high
THUMBNAILS = 80
PULLED_DOWN = 260  # pixels, about four rows of thumbnails
TALL_WINDOW: ViewportSize = {"width": 1400, "height": 3000}

WIDGET = """
import clarify_widget as cw
from pathlib import Path
from benchmarks.large_sessions import session_of

session, opened = session_of({size}, {phrases}, {photographs})
widget = cw.ClarifyWidget(session)
widget.class_name = "most"
widget
"""

ECHO_WIDGET = '''
import anywidget, traitlets

class Echo(anywidget.AnyWidget):
    _esm = """
    export default {
      render({ model, el }) {
        const output = document.createElement("output");
        output.dataset.testid = "echo";
        const show = () => { output.textContent = model.get("answer"); };
        output.ask = text => { model.set("question", text); model.save_changes(); };
        model.on("change:answer", show);
        el.append(output);
      },
    };
    """
    question = traitlets.Unicode("").tag(sync=True)
    answer = traitlets.Unicode("").tag(sync=True)

    @traitlets.observe("question")
    def _answer(self, change):
        self.answer = change["new"]

Echo()
'''

# What the scripts below share. `stopwatch` resolves with the milliseconds from `act` to the end of the frame
# that shows its effect: `frame` comes in that frame, and a message is delivered once it has been laid out and
# painted.
COMMON = """
const nextFrame = () => new Promise(requestAnimationFrame);
const afterFrame = callback => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = callback;
  port2.postMessage(null);
};
const stopwatch = (element, act, done, frame) => new Promise((resolve, reject) => {
  const late = setTimeout(() => reject(new Error("no answer in 60 s")), 60000);
  const begin = performance.now();
  const observer = new MutationObserver(() => {
    if (!done()) return;
    observer.disconnect();
    clearTimeout(late);
    frame(() => afterFrame(() => resolve(performance.now() - begin)));
  });
  observer.observe(element, {attributes: true, childList: true, characterData: true, subtree: true});
  act();
});
const root = document.querySelector("[data-cw-painted]");
const all = testid => [...root.querySelectorAll(`[data-testid="${testid}"]`)];
const tilesInSight = () => all("tile").filter(tile => {
  const box = tile.getBoundingClientRect();
  return box.height > 0 && box.bottom > 0 && box.top < innerHeight;
});
const loaded = tile => [...tile.querySelectorAll("img")].some(image => image.complete && image.naturalWidth);
"""

ECHO = (
    "text => {"
    + COMMON
    + """
  const output = document.querySelector('[data-testid="echo"]');
  const done = () => output.textContent === text;
  return stopwatch(output, () => output.ask(text), done, requestAnimationFrame);
}"""
)

# Nothing is being loaded or worked out any more.
QUIET = (
    "async () => {"
    + COMMON
    + """
  const calm = () => all("expected").length === all("history-item").length && tilesInSight().every(loaded);
  for (let frames = 0; frames < 40; frames = calm() ? frames + 1 : 0) await nextFrame();
}"""
)

# The widget marks what is painted in the frame that paints it, so that no other frame is waited for.
PHRASE = (
    "phrase => {"
    + COMMON
    + """
  const input = root.querySelector('[data-testid="phrase-input"]');
  input.focus();
  input.value = phrase;
  const enter = new KeyboardEvent("keydown", {key: "Enter", code: "Enter", bubbles: true, cancelable: true});
  const done = () => root.dataset.cwPainted.endsWith("|" + phrase);
  return stopwatch(root, () => input.dispatchEvent(enter), done, now => now());
}"""
)

# Rows of the second class come first, which tells the tiles of one class from those of the other.
SWITCH = (
    "async ([name, others]) => {"
    + COMMON
    + """
  const begin = performance.now();
  const isNew = tile => (Number(tile.dataset.index) < others) === (name === "others");
  all("class-option").find(option => option.dataset.name === name).click();
  let numbers = 0;
  for (;;) {
    await nextFrame();
    if (performance.now() - begin > 60000) throw new Error("no thumbnails in 60 s");
    if (!root.dataset.cwPainted.startsWith(name + "|")) continue;
    numbers ||= performance.now() - begin;
    const tiles = tilesInSight();
    if (tiles.length && tiles.every(isNew) && tiles.every(loaded)) break;
  }
  const tiles = tilesInSight();
  await Promise.all(tiles.map(tile => tile.querySelector("img").decode()));
  await nextFrame();
  await new Promise(afterFrame);
  const rows = tiles.map(tile => Number(tile.dataset.index));
  return {numbers, thumbnails: performance.now() - begin, rows};
}"""
)

RECORD_FRAMES = (
    "() => {"
    + COMMON
    + """
  const record = window.dragged = {frames: [], moves: [], going: true};
  const onMove = event => {
    requestAnimationFrame(() => afterFrame(() => record.moves.push(performance.now() - event.timeStamp)));
  };
  addEventListener("pointermove", onMove, true);
  const frame = time => {
    record.frames.push(time);
    if (record.going) requestAnimationFrame(frame);
    else removeEventListener("pointermove", onMove, true);
  };
  requestAnimationFrame(frame);
}"""
)


@dataclass
class Measured:
    """What was measured at one size; times in milliseconds."""

    size: int
    echoes: list[float] = field(default_factory=list)
    phrases: list[float] = field(default_factory=list)
    moves: list[float] = field(default_factory=list)
    frames: list[float] = field(default_factory=list)
    frames_a_second: list[float] = field(default_factory=list)
    scroll_frames: list[float] = field(default_factory=list)
    switch_echoes: list[float] = field(default_factory=list)
    switches: list[float] = field(default_factory=list)
    thumbnails: int = 0
    first_numbers: float = 0.0
    first_switch: float = 0.0
    waited_for: int = 0
    """Images out of sight that were opened before the last one in sight, at the first sight of a class."""


@dataclass(frozen=True)
class Requirement:
    """A measured value and its limit; the margin is above 1 where there is room."""

    name: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def margin(self) -> float:
        """How many times better than the limit."""
        if self.at_least:
            return self.value / self.limit
        return self.limit / self.value if self.limit else float(self.value == 0)

    @property
    def line(self) -> str:
        """Name, value, limit and whether it is met."""
        sign = ">=" if self.at_least else "<="
        met = "met" if self.margin >= 1 else "MISSED"
        return f"{self.name:<58} {self.value:9.2f} {sign} {self.limit:<6g} {met}"


def measure_phrases(page: Page, measured: Measured, rounds: int) -> None:
    for turn in range(WARM_UP + rounds):
        page.evaluate(QUIET)
        echo = page.evaluate(ECHO, f"echo {turn}")
        page.evaluate(QUIET)
        painted = page.evaluate(PHRASE, phrase(turn))
        if turn >= WARM_UP:
            measured.echoes.append(echo)
            measured.phrases.append(painted)


def measure_drags(page: Page, measured: Measured) -> None:
    """Drag the threshold to and fro with the mouse while the page counts its frames."""
    slider = page.get_by_test_id("threshold-slider")
    for _ in range(DRAGS):
        page.evaluate(QUIET)
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.evaluate(RECORD_FRAMES)
        for to in (x + 150, x - 150, x):
            page.mouse.move(to, y, steps=DRAG_MOVES)
        record: dict[str, Any] = page.evaluate("() => { dragged.going = false; return dragged; }")
        page.mouse.up()
        frames = record["frames"]
        assert frames[-1] - frames[0] >= 1000, "the drag lasted less than a second"
        measured.moves += record["moves"]
        lasted = [after - before for before, after in itertools.pairwise(frames)]
        measured.frames += lasted
        measured.frames_a_second.append(frames_a_second(lasted))


def measure_scrolls(page: Page, measured: Measured) -> None:
    """Turn the wheel over the images with the phrase while the page counts its frames."""
    page.evaluate(QUIET)
    page.get_by_test_id("grid-right").get_by_role("listbox").hover()
    page.evaluate(RECORD_FRAMES)
    for _ in range(WHEEL_TURNS):
        page.mouse.wheel(0, WHEEL_PIXELS)
    frames = page.evaluate("() => { dragged.going = false; return dragged.frames; }")
    measured.scroll_frames = [after - before for before, after in itertools.pairwise(frames)]


def pull_down(page: Page) -> None:
    """Make both frames of images taller by their lower corner."""
    for side in ("grid-left", "grid-right"):
        frame = page.get_by_test_id(side).get_by_role("listbox")
        frame.scroll_into_view_if_needed()
        box = frame.bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] - 5, box["y"] + box["height"] - 5
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x, y + PULLED_DOWN, steps=5)
        page.mouse.up()


def measure_switches(notebook: NotebookPage, measured: Measured, switches: int) -> None:
    page = notebook.page
    page.evaluate(QUIET)
    pull_down(page)
    page.evaluate(QUIET)
    run(notebook, "opened.clear()")
    first = page.evaluate(SWITCH, ["others", OTHERS])
    measured.thumbnails = len(first["rows"])
    measured.first_numbers, measured.first_switch = first["numbers"], first["thumbnails"]
    opened = [int(row) for row in run(notebook, "print(*opened)").split()]
    last = max(opened.index(row) for row in first["rows"])
    measured.waited_for = len(set(opened[:last]) - set(first["rows"]))
    for turn in range(switches):
        page.evaluate(QUIET)
        measured.switch_echoes.append(page.evaluate(ECHO, f"switch {turn}"))
        page.evaluate(QUIET)
        painted = page.evaluate(SWITCH, [("most", "others")[turn % 2], OTHERS])
        measured.switches.append(painted["thumbnails"])


def run(notebook: NotebookPage, source: str) -> str:
    cell = notebook.append_cell(source)
    notebook.run_cell(cell)
    return notebook.text_of(cell)


def frames_a_second(frames: Sequence[float]) -> float:
    return 1000 * len(frames) / sum(frames)


def percentile_95(times: Sequence[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


def requirements(measured: Measured) -> list[Requirement]:
    size, large = f" at {measured.size:,}", measured.size > 20_000
    median = statistics.median(measured.phrases) / statistics.median(measured.echoes)
    p95 = percentile_95(measured.phrases) / percentile_95(measured.echoes)
    beyond = statistics.median(measured.switches) - statistics.median(measured.switch_echoes)
    scrolling = frames_a_second(measured.scroll_frames)
    return [
        Requirement(f"phrase over echo, median{size}", median, 4 if large else 2),
        Requirement(f"phrase over echo, 95th percentile{size}", p95, 4 if large else 3),
        Requirement(f"drag, frames a second{size}", min(measured.frames_a_second), 50, at_least=True),
        Requirement(f"scroll, frames a second{size}", scrolling, 50, at_least=True),
        Requirement(f"thumbnails in sight{size}", measured.thumbnails, THUMBNAILS, at_least=True),
        Requirement(f"class switch, ms beyond the echo{size}", beyond, 500),
        Requirement(f"images out of sight that a first paint waited for{size}", measured.waited_for, 0),
    ]


def show(measured: Measured) -> None:
    print(f"\n{measured.size:,} validation images, {measured.size - OTHERS:,} of the class shown")
    print(f"{'':<28} {'median ms':>10} {'p95 ms':>10}")
    for label, times in (
        ("echo", measured.echoes),
        ("phrase", measured.phrases),
        ("drag", measured.moves),
        ("echo beside switches", measured.switch_echoes),
        ("class switch", measured.switches),
    ):
        print(f"{label:<28} {statistics.median(times):10.1f} {percentile_95(times):10.1f}")
    print(
        f"longest frame of a drag {max(measured.frames):.0f} ms, of scrolling "
        f"{max(measured.scroll_frames):.0f} ms; first sight of a class: "
        f"numbers after {measured.first_numbers:.0f} ms, all {measured.thumbnails} thumbnails in sight after "
        f"{measured.first_switch:.0f} ms",
    )


def measure(lab: Lab, page: Page, size: int, options: argparse.Namespace, photographs: Path) -> Measured:
    measured = Measured(size)
    phrases = WARM_UP + options.rounds
    page.set_viewport_size(VIEWPORT)
    widget = WIDGET.format(size=size, phrases=phrases, photographs=None)
    lab.show(page, f"phrases-{size}.ipynb", widget, ECHO_WIDGET).run_all()
    page.locator("[data-cw-painted]").wait_for()
    measure_phrases(page, measured, options.rounds)
    measure_drags(page, measured)
    measure_scrolls(page, measured)

    page.set_viewport_size(TALL_WINDOW)
    widget = WIDGET.format(size=size, phrases=1, photographs=f"Path({str(photographs)!r})")
    notebook = lab.show(page, f"classes-{size}.ipynb", widget, ECHO_WIDGET)
    notebook.run_all()
    page.locator("[data-cw-painted]").wait_for()
    measure_switches(notebook, measured, options.switches)
    return measured


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What the loop costs over the notebook's own round trip.")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="validation images")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="phrases at each size")
    parser.add_argument("--switches", type=int, default=SWITCHES, help="class switches at each size")
    return parser.parse_args(arguments)


def main() -> None:
    options = parse()
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryDirectory() as photographs,
        chromium() as browser,
        jupyterlab(Path(folder)) as lab,
        watched_page(browser) as (page, faults),
    ):
        take_photographs(Path(photographs))
        measured = []
        for size in options.sizes:
            measured.append(measure(lab, page, size, options, Path(photographs)))
            show(measured[-1])
        assert not faults, faults
    wanted = [requirement for one in measured for requirement in requirements(one)]
    print(*("", *(requirement.line for requirement in wanted)), sep="\n")
    print(f"echo_ratio_median {wanted[0].value:.2f}")
    print(f"echo_margin {min(requirement.margin for requirement in wanted):.2f}")


if __name__ == "__main__":
    main()
