import { h, setText } from "../dom";
import type { Comparison } from "../model";
import type { State } from "../state";
import { strings } from "../strings";
import { Tiles } from "./tiles";
import type { Shown, Tools, View } from "./view";

/** One side of what retraining changed: images that became right, or wrong. */
function half(tools: Tools, fixed: boolean) {
  const tiles = new Tiles(tools, fixed ? "fixed-tile" : "broken-tile");
  const summary = h("p", { class: "cw-grid-summary" });
  const root = h(
    "section",
    { class: "cw-grid", "data-testid": fixed ? "fixed" : "broken" },
    h(
      "header",
      { class: "cw-grid-header" },
      h("h3", { class: "cw-grid-title" }, fixed ? strings.fixed : strings.broken),
      summary,
    ),
    tiles.root,
  );

  return {
    root,
    update({ split, ...comparison }: Comparison): void {
      const total = fixed ? comparison.fixed : comparison.broken;
      const indices = fixed ? comparison.fixed_indices : comparison.broken_indices;
      if (total > 0) setText(summary, fixed ? strings.fixedSummary(total) : strings.brokenSummary(total));
      else setText(summary, fixed ? strings.noneFixed : strings.noneBroken);
      const rows = Int32Array.from(indices);
      const image = (at: number): Shown => ({
        split,
        index: rows[at] as number,
        label: null,
        correct: fixed,
        similarity: null,
        confidence: null,
        changed: true,
      });
      tiles.show({ rows, image }, summary.textContent ?? "");
    },
    dispose: () => tiles.dispose(),
  };
}

/** The images that retraining fixed and broke. */
export function changedImages(tools: Tools): View {
  const halves = [half(tools, true), half(tools, false)];
  const root = h(
    "section",
    { class: "cw-changed", "data-testid": "changed", hidden: true },
    h("h2", { class: "cw-heading" }, strings.changedHeading),
    h("div", { class: "cw-grids" }, ...halves.map((one) => one.root)),
  );
  let shown: Comparison | null = null;

  return {
    root,
    update({ comparison }: State) {
      root.hidden = comparison === null;
      if (comparison === shown) return;
      shown = comparison;
      if (comparison) for (const one of halves) one.update(comparison);
    },
    dispose() {
      for (const one of halves) one.dispose();
    },
  };
}
