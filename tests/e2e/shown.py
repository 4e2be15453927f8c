"""What a page should show of a widget's traits, and what it does show."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from tests.e2e.reference import CHIPS_ABOVE, CHIPS_WITHIN

if TYPE_CHECKING:
    from collections.abc import Collection

    from clarify_widget.session import PhraseComparison
    from tests.e2e.reference import Json, Reference

ROWS_OF_A_KIND = 8  # rows of a comparison that are shown at first
TILES = 6  # of each grid that are looked at


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
    return "\N{EN DASH}" if value is None else f"{fixed(100 * value, 1)}%"


def _share(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else fixed(value, 2)


def page_of(traits: Json, reference: Reference) -> Json:
    """What every view shows of traits, and of the images that `reference` has, as `READ` reads it.

    What one view shows alone is not in it: what was typed there, and what is compared.
    """
    running = traits["status"]["state"] == "retraining"
    score, threshold = traits["score"], traits["threshold"]
    phrases = traits["suggestions"]["phrases"]
    above = [row["phrase"] for row in phrases if row["above_noise"]][:CHIPS_ABOVE]
    within = [row["phrase"] for row in phrases if not row["above_noise"]][:CHIPS_WITHIN]
    marks = traits["marks"]
    marked = f"{len(marks['has'])} marked “has it”, {len(marks['has_not'])} “has it not”"
    in_use = next((model["number"] for model in traits["models"] if model["in_use"]), 0)
    grids = [reference.rows(side) for side in ("left", "right")]
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
        "sizes": [len(rows) for rows in grids],
        "tiles": [_tiles(rows[:TILES], reference.correct, traits) for rows in grids],
        "selected": f"{len(traits['selected'])} selected" if traits["selected"] else "",
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


def compared_of(compared: PhraseComparison | None) -> list[str] | None:
    """What the panel shows of two phrases beside each other."""
    if compared is None:
        return None
    cells = [
        f"{_percent(cell.accuracy)} of {_images(cell.size)} right" if cell.size else "no images"
        for cell in compared.cells
    ]
    agree = f"They agree on {fixed(100 * compared.agreement, 0)}% of the images"
    if not math.isnan(compared.correlation):
        agree += f"; correlation {fixed(compared.correlation, 2)}".replace("-", "\N{MINUS SIGN}")
    return [f"“{compared.first.phrase}” beside “{compared.second.phrase}”", *cells, f"{agree}."]


def _images(size: int) -> str:
    return "1 image" if size == 1 else f"{size:,} images"


def _tiles(rows: list[int], correct: Collection[int], traits: Json) -> list[Any]:
    """Which images, right or wrong, selected, and how they are marked."""
    marks = dict.fromkeys(traits["marks"]["has"], "+ has")
    marks |= dict.fromkeys(traits["marks"]["has_not"], "\N{MINUS SIGN} lacks")
    return [[row, row in correct, row in traits["selected"], marks.get(row)] for row in rows]


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


READ = """([running, most]) => [...document.querySelectorAll("[data-cw-painted]")].map(root => {
  const all = (id, from = root) => [...from.querySelectorAll(`[data-testid="${id}"]`)];
  const texts = (selector, from) => [...from.querySelectorAll(selector)].map(one => one.textContent);
  const one = id => {
    const found = all(id)[0];
    return found && !found.closest("[hidden]") ? found : null;
  };
  const tiles = id => all("tile", one(id))
    .map(tile => [Number(tile.getAttribute("aria-posinset")), tile])
    .filter(([place]) => place <= most)
    .sort(([place], [other]) => place - other)
    .map(([, tile]) => [
      Number(tile.dataset.index),
      tile.dataset.correct === "true",
      tile.getAttribute("aria-selected") === "true",
      all("has", tile)[0]?.textContent ?? null,
    ]);
  const title = id => one(id).disabled ? null : one(id).title;
  const size = id => {
    const found = one(id).querySelector("header").textContent.match(/([\\d,]+) image/);
    return found ? Number(found[1].replace(",", "")) : 0;
  };
  const slider = one("threshold-slider");
  const [comparison, compared] = [one("comparison"), one("compared")];
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
    tiles: [tiles("grid-left"), tiles("grid-right")],
    selected: one("selected-count").textContent,
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
    compared: compared && [
      ...texts("h2", compared),
      ...texts("td .cw-hidden", compared),
      ...texts("p", compared),
    ],
    marked: one("forget-marks") ? one("marked").textContent : null,
    running: one("cancel") !== null,
    message: one("status").textContent,
    error: one("error")?.querySelector("p").textContent ?? null,
  };
})"""
