"""What a ClarifyWidget should show after each step: a Session without a widget, and what a page would say."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from clarify_widget.errors import ClarifyError
from clarify_widget.session import presentation

if TYPE_CHECKING:
    from collections.abc import Callable

    from clarify_widget.session import Session

Json = dict[str, Any]

CHIPS_ABOVE, CHIPS_WITHIN = 6, 3  # suggestions that are shown
ROWS_OF_A_KIND = 8  # rows of a comparison that are shown at first


class Reference:
    """The state of a widget: the session, what is shown of it, and where thresholds were put."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.objective = "slice_balanced"
        self.begin()

    def begin(self) -> None:
        """Show what a new widget shows."""
        self.class_name = self.session.classes()[0].name
        self.phrase = ""
        self.threshold: float | None = None
        self.objective = "slice_balanced"
        self.error = ""
        self.message = ""
        self.running = False
        self.dragged: dict[tuple[str, str], float] = {}
        self.marked: dict[str, dict[int, bool]] = {}

    # -- steps

    def choose(self, class_name: str) -> None:
        self.class_name, self.phrase, self.threshold, self.error = class_name, "", None, ""

    def score(self, phrase: str) -> None:
        if not phrase.strip():
            self.error = "The phrase is empty; type what the wrong images share, for example: red."
        else:
            self._show(lambda: self.session.score(self.class_name, phrase).phrase)

    def sharpen(self) -> None:
        marks = self._marks()
        words = self._words_of(self.phrase)
        self._show(lambda: self.session.sharpen(self.class_name, words, **marks).phrase)

    def put(self, threshold: float) -> None:
        """Move the threshold of the phrase that is shown."""
        if threshold != self.threshold:
            self.threshold = self.dragged[self.class_name, self.phrase] = threshold

    def mark(self, row: int, has: bool) -> None:
        marks = self._marks_of(self.phrase)
        self.marked[self._words_of(self.phrase)] = {**marks, row: has}
        self.error = ""

    def forget_marks(self) -> None:
        self.marked[self._words_of(self.phrase)] = {}
        self.error = ""

    def do(self, change: Callable[[Session], object], *, clears: bool = True) -> None:
        """Change the session; a request of a page that succeeds also `clears` the error that is shown."""
        before = self._kept_threshold()
        try:
            change(self.session)
        except ClarifyError as error:
            self.error = str(error)
            return
        if clears:
            self.error = ""
        after = self._kept_threshold()
        if after is not None and after != before:
            self.threshold = self.dragged[self.class_name, self.phrase] = after

    def begin_retraining(self) -> None:
        self.running, self.error, self.message = True, "", ""

    def end_retraining(self) -> None:
        self.running = False
        self.do(lambda session: session.retrain(self.objective), clears=False)

    def cancel(self) -> None:
        self.running, self.error, self.message = False, "", "Cancelled; the model is as it was."

    def _show(self, find: Callable[[], str]) -> None:
        try:
            self.phrase = find()
        except ClarifyError as error:
            self.error = str(error)
            return
        self.error = ""
        scored = presentation.tried_phrase(self.session, self.class_name, self.phrase)
        assert scored is not None
        self.threshold = self.session.threshold_of(scored, self._dragged())

    # -- what is to be seen

    @property
    def kept_as_shown(self) -> bool:
        return self._kept_threshold() == self.threshold

    @property
    def suggested(self) -> list[str]:
        """The phrases that are offered."""
        rows = self.session.suggest(self.class_name).rows
        above = [row.scored.phrase for row in rows if row.above_noise]
        within = [row.scored.phrase for row in rows if not row.above_noise]
        return above[:CHIPS_ABOVE] + within[:CHIPS_WITHIN]

    @property
    def marks(self) -> int:
        return len(self._marks_of(self.phrase))

    def traits(self) -> Json:
        """What a widget says of all this in its traits."""
        self.session.suggest(self.class_name)
        scored = presentation.tried_phrase(self.session, self.class_name, self.phrase)
        view = presentation.class_view(self.session, self.class_name, scored, self._thresholds())
        del view["similarities"]
        sides = None
        if self.phrase:
            sides = presentation.sides_json(self.session.sides(self.class_name, self.phrase, self.threshold))
        return {
            **presentation.facts(self.session),
            **view,
            "threshold": self.threshold,
            "sides": sides,
            "suggestions": presentation.suggestions(self.session, self.class_name),
            "marks": self._marks(),
            "objective": self.objective,
            "status": {"state": "retraining" if self.running else "ready", "message": self.message},
            "error": self.error,
        }

    def sizes(self) -> list[int]:
        """How many images are in the left and in the right grid."""
        members = self.session.members(self.class_name)
        right = ~members.correct
        if self.threshold is not None:
            right = self.session.similarities(self.phrase)[members.indices] > self.threshold
        return [int((~right).sum()), int(right.sum())]

    def _dragged(self) -> dict[str, float]:
        return {phrase: at for (name, phrase), at in self.dragged.items() if name == self.class_name}

    def _thresholds(self) -> dict[str, float]:
        return self._dragged() if self.threshold is None else self._dragged() | {self.phrase: self.threshold}

    def _kept_threshold(self) -> float | None:
        return presentation.kept_threshold(self.session.annotations, self.class_name, self.phrase)

    def _words_of(self, phrase: str) -> str:
        return next((one.phrase for one in self.session.sharpened if one.name == phrase), phrase)

    def _marks_of(self, phrase: str) -> dict[int, bool]:
        words = self._words_of(phrase)
        if words in self.marked:
            return self.marked[words]
        known = next((one for one in self.session.sharpened if one.name == phrase), None)
        if known is None:
            return {}
        return dict.fromkeys(known.has, True) | dict.fromkeys(known.has_not, False)

    def _marks(self) -> dict[str, list[int]]:
        marks = self._marks_of(self.phrase)
        return {
            name: sorted(row for row, marked in marks.items() if marked is has)
            for name, has in (("has", True), ("has_not", False))
        }


def comparable(traits: Json) -> Json:
    """Leave out of traits what cannot be foreseen: seconds, losses, and what is worked out unasked.

    Nothing is worked out unasked while a model is retrained.
    """
    running = traits["status"]["state"] == "retraining"
    kept = {
        name: value for name, value in traits.items() if not (running and name in ("sides", "suggestions"))
    }
    looked_up = {"expected", "accuracies"} if running else {"expected"}
    return kept | {
        "history": [
            {name: value for name, value in tried.items() if name not in looked_up}
            for tried in traits["history"]
        ],
        "models": [
            {name: value for name, value in model.items() if name != "curve"} for model in traits["models"]
        ],
    }


def fixed(value: float, digits: int) -> str:
    """Write a number as JavaScript's `toFixed` does."""
    return str(Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


def _percent(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else f"{fixed(100 * value, 1)} %"


def _share(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else fixed(value, 2)


def page_of(traits: Json, sizes: list[int]) -> Json:
    """What a page shows of traits, as `READ` reads it."""
    running = traits["status"]["state"] == "retraining"
    score, threshold = traits["score"], traits["threshold"]
    phrases = traits["suggestions"]["phrases"]
    above = [row["phrase"] for row in phrases if row["above_noise"]][:CHIPS_ABOVE]
    within = [row["phrase"] for row in phrases if not row["above_noise"]][:CHIPS_WITHIN]
    marks = traits["marks"]
    marked = f"{len(marks['has'])} marked “has it”, {len(marks['has_not'])} “has it not”"
    in_use = next((model["number"] for model in traits["models"] if model["in_use"]), 0)
    return {
        "painted": f"{traits['class_name']}|{traits['phrase']}",
        "busy": False,
        "classes": [
            [one["name"], one["name"] == traits["class_name"], one["annotated"], _percent(one["error_rate"])]
            for one in traits["classes"]
        ],
        "score": None if score is None else fixed(score["score"], 2),
        "direction": None if score is None else "wrong" if score["direction"] > 0 else "right",
        "threshold": None if threshold is None else float(fixed(threshold, 4)),
        "number": None if threshold is None else fixed(threshold, 3),
        "sizes": sizes,
        "sides": None if running or not traits["sides"] else _sides(traits["sides"]),
        "history": [_tried(tried, traits["phrase"], running) for tried in traits["history"]],
        "annotations": [
            [
                kept["class_name"],
                kept["phrase"],
                "" if kept["score"] is None else fixed(kept["score"], 2),
                kept["active"],
                kept["active"] and not kept["used"],
            ]
            for kept in traits["annotations"]
        ],
        "comparison": _comparison(traits["comparison"]),
        "models": [[number, number == in_use] for number in range(len(traits["models"]) + 1)]
        if traits["models"]
        else [],
        "objective": traits["objective"],
        "undo": f"Undo: {traits['can_undo']}" if traits["can_undo"] and not running else None,
        "redo": f"Redo: {traits['can_redo']}" if traits["can_redo"] and not running else None,
        "suggestions": None if running else above + within,
        "marked": marked if traits["phrase"] and (marks["has"] or marks["has_not"]) else None,
        "running": running,
        "message": traits["status"]["message"],
        "error": traits["error"] or None,
    }


def _sides(sides: Json) -> list[Any]:
    return [[f"{size:,}" for size in (*sides["val"], *sides["train"])], sides["warnings"]]


def _tried(tried: Json, shown: str, running: bool) -> list[Any]:
    tags = ["best"] * tried["best"] + ["kept"] * tried["kept"] + ["often right"] * (tried["direction"] < 0)
    row = [tried["phrase"], tried["phrase"] == shown, fixed(tried["score"], 2), tags]
    if running:
        return row
    without, having = tried["accuracies"]
    expected = tried["expected"]
    said = expected and (expected["sentence"] or expected["reason"])
    return [*row, f"right: {_share(without)} without, {_share(having)} with", said]


def _comparison(comparison: Json | None) -> list[Any] | None:
    if comparison is None:
        return None
    rows = []
    for kind in ("overall", "worst", "slice", "group", "class"):
        of_kind = [row for row in comparison["rows"] if row["kind"] == kind]
        rows += [[kind, _percent(row["before"]), _percent(row["after"])] for row in of_kind[:ROWS_OF_A_KIND]]
    return [comparison["sentence"], rows]


READ = """running => [...document.querySelectorAll("[data-cw-painted]")].map(root => {
  const all = (id, from = root) => [...from.querySelectorAll(`[data-testid="${id}"]`)];
  const texts = (selector, from) => [...from.querySelectorAll(selector)].map(one => one.textContent);
  const one = id => {
    const found = all(id)[0];
    return found && !found.closest("[hidden]") ? found : null;
  };
  const title = id => one(id).disabled ? null : one(id).title;
  const size = id => {
    const found = one(id).querySelector("header").textContent.match(/([\\d,]+) image/);
    return found ? Number(found[1].replace(",", "")) : 0;
  };
  const slider = one("threshold-slider");
  const comparison = one("comparison");
  return {
    painted: root.dataset.cwPainted,
    busy: root.querySelector('[aria-busy="true"]') !== null,
    box: one("phrase-input").value,
    classes: all("class-option").map(option => [
      option.dataset.name,
      option.getAttribute("aria-selected") === "true",
      option.textContent.includes("annotated"),
      option.querySelector(".cw-number").textContent,
    ]),
    score: one("error-score")?.textContent ?? null,
    direction: one("direction")?.querySelector("strong").textContent ?? null,
    threshold: slider ? Number(slider.getAttribute("aria-valuenow")) : null,
    number: one("threshold-value")?.value ?? null,
    sizes: [size("grid-left"), size("grid-right")],
    sides: running || !slider
      ? null
      : [texts("td.cw-number", one("sides")), texts("li", all("side-warnings")[0])],
    history: all("history-item").map(row => [
      row.dataset.phrase,
      row.getAttribute("aria-current") === "true",
      row.querySelector(".cw-number").textContent,
      texts(".cw-tag", row),
      ...(running ? [] : [
        row.querySelector(".cw-accuracies")?.textContent ?? null,
        all("expected", row)[0]?.title ?? null,
      ]),
    ]),
    annotations: [...one("annotations").querySelectorAll("li")].map(row => [
      row.querySelector(".cw-muted").textContent,
      row.querySelector(".cw-annotation-phrase").textContent,
      row.querySelector(".cw-number").textContent,
      all("switch", row)[0].checked,
      texts(".cw-tag", row).includes("not used"),
    ]),
    comparison: comparison && [
      comparison.querySelector("p[aria-live]").textContent,
      [...comparison.querySelectorAll("tr[data-kind]")].map(row => [
        row.dataset.kind,
        ...texts("td.cw-number", row).slice(0, 2),
      ]),
    ],
    models: one("models") ? all("model").map(input => [Number(input.dataset.number), input.checked]) : [],
    objective: one("objective").value,
    undo: title("undo"),
    redo: title("redo"),
    suggestions: running ? null : all("suggestion").map(chip => chip.dataset.phrase),
    marked: one("forget-marks") ? one("marked").textContent : null,
    running: one("cancel") !== null,
    message: one("status").textContent,
    error: one("error")?.querySelector("p").textContent ?? null,
  };
})"""
