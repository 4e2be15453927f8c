"""What the loop costs over the notebook's own round trip, in real JupyterLab.

From Enter in the phrase box to the new score and histogram on the screen, for phrases that are embedded
already, against a bare anywidget that echoes a string; on one page, with one kernel, taking turns. Times are
taken inside the page, at the end of the first frame after the change.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.e2e.lab import chromium, jupyterlab, watched_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROUNDS = 60
WARM_UP = 6
PHRASES = ("red", "blue")

NOTEBOOK = (
    """
import anywidget, traitlets
import clarify_widget as cw

session = cw.Session(cw.datasets.sprites())
session.fit()
class_name = session.classes()[0].name
for phrase in {phrases}:
    session.score(class_name, phrase)
cw.ClarifyWidget(session)
""",
    '''
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
''',
)

# Resolves with milliseconds from `act` to the end of the frame that shows its effect: `frame` comes in that
# frame, and a message is delivered once it has been laid out and painted.
STOPWATCH = """
const stopwatch = (element, act, done, frame) => new Promise((resolve, reject) => {
  const late = setTimeout(() => reject(new Error("no answer in 20 s")), 20000);
  const begin = performance.now();
  const afterFrame = () => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => resolve(performance.now() - begin);
    port2.postMessage(null);
  };
  const observer = new MutationObserver(() => {
    if (!done()) return;
    observer.disconnect();
    clearTimeout(late);
    frame(afterFrame);
  });
  observer.observe(element, {attributes: true, childList: true, characterData: true, subtree: true});
  act();
});
"""

ECHO = (
    "text => {"
    + STOPWATCH
    + """
  const output = document.querySelector('[data-testid="echo"]');
  const done = () => output.textContent === text;
  return stopwatch(output, () => output.ask(text), done, requestAnimationFrame);
}"""
)

# The widget marks what is painted in the frame that paints it, so that no other frame is waited for.
PHRASE = (
    "phrase => {"
    + STOPWATCH
    + """
  const root = document.querySelector("[data-cw-painted]");
  const input = root.querySelector('[data-testid="phrase-input"]');
  input.focus();
  input.value = phrase;
  const enter = new KeyboardEvent("keydown", {key: "Enter", code: "Enter", bubbles: true, cancelable: true});
  const done = () => root.dataset.cwPainted.endsWith("|" + phrase);
  return stopwatch(root, () => input.dispatchEvent(enter), done, now => now());
}"""
)


def measure(page: Page) -> tuple[list[float], list[float]]:
    """Milliseconds of each round: echoes, phrases."""
    echoes, phrases = [], []
    for turn in range(WARM_UP + ROUNDS):
        echoes.append(page.evaluate(ECHO, f"echo {turn}"))
        phrases.append(page.evaluate(PHRASE, PHRASES[turn % 2]))
    return echoes[WARM_UP:], phrases[WARM_UP:]


def percentile_95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        chromium() as browser,
        jupyterlab(Path(folder)) as lab,
        watched_page(browser) as (page, faults),
    ):
        first, second = NOTEBOOK
        notebook = lab.show(page, "echo.ipynb", first.replace("{phrases}", repr(PHRASES)), second)
        notebook.run_all()
        page.locator("[data-cw-painted]").wait_for()
        echoes, phrases = measure(page)
        assert not faults, faults
    print(f"{ROUNDS} rounds each    median ms    p95 ms")
    for label, times in (("echo", echoes), ("phrase", phrases)):
        print(f"{label:<14} {statistics.median(times):12.1f} {percentile_95(times):9.1f}")
    print(f"echo_ratio_p95 {percentile_95(phrases) / percentile_95(echoes):.2f}")
    print(f"echo_ratio_median {statistics.median(phrases) / statistics.median(echoes):.2f}")


if __name__ == "__main__":
    main()
