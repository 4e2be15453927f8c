import { h, setText, svg } from "../dom";
import type { Comparison, ComparisonKind, ComparisonRow } from "../model";
import type { State } from "../state";
import { strings } from "../strings";
import { Tiles } from "./tiles";
import type { Shown, Tools, View } from "./view";

const KINDS: readonly ComparisonKind[] = ["overall", "worst", "slice", "group", "class"];
const ROWS = 8;
const THUMBNAILS = 8;
const WIDTH = 100;

const known = (value: number | null): value is number => value !== null && Number.isFinite(value);

/** From before to after on a line from 0 to 100 %, with both intervals as whiskers. */
function dumbbell(row: ComparisonRow): SVGSVGElement {
  const drawing = svg("svg", {
    class: "cw-dumbbell",
    viewBox: `0 0 ${WIDTH} 14`,
    preserveAspectRatio: "none",
    "aria-hidden": "true",
    focusable: "false",
  });
  const line = (from: number, to: number, y: number, name: string) =>
    svg("line", { class: name, x1: WIDTH * from, x2: WIDTH * to, y1: y, y2: y });
  drawing.append(line(0, 1, 7, "cw-track"));
  if (known(row.before_low) && known(row.before_high)) {
    drawing.append(line(row.before_low, row.before_high, 4, "cw-whisker-before"));
  }
  if (known(row.after_low) && known(row.after_high)) {
    drawing.append(line(row.after_low, row.after_high, 10, "cw-whisker-after"));
  }
  // Lines of no length with round caps stay round however the drawing is stretched.
  if (known(row.before)) drawing.append(line(row.before, row.before, 4, "cw-dot-before"));
  if (known(row.after)) drawing.append(line(row.after, row.after, 10, "cw-dot-after"));
  return drawing;
}

function accuracyCell(value: number, low: number, high: number, name: string): HTMLElement {
  const cell = h("td", { class: `cw-number ${name}` }, strings.percent(known(value) ? value : Number.NaN));
  if (known(low) && known(high)) cell.title = strings.interval(low, high);
  return cell;
}

function tableRow(row: ComparisonRow): HTMLElement {
  const change = known(row.after) && known(row.before) ? row.after - row.before : Number.NaN;
  const direction = change > 0.0005 ? "cw-better" : change < -0.0005 ? "cw-worse" : "";
  return h(
    "tr",
    { class: row.kind === "worst" ? "cw-row cw-row-worst" : "cw-row", "data-kind": row.kind },
    h(
      "th",
      { scope: "row" },
      h("span", { class: "cw-row-name", title: `${row.name}: ${strings.images(row.size)}` }, row.name),
      dumbbell(row),
    ),
    accuracyCell(row.before, row.before_low, row.before_high, "cw-before"),
    accuracyCell(row.after, row.after_low, row.after_high, "cw-after"),
    h("td", { class: `cw-number cw-change ${direction}` }, strings.points(change)),
  );
}

function kindBody(kind: ComparisonKind, rows: ComparisonRow[]): HTMLTableSectionElement {
  const body = h("tbody", {});
  if (kind !== "overall" && kind !== "worst") {
    body.append(
      h("tr", {}, h("th", { class: "cw-kind", scope: "rowgroup", colspan: 4 }, strings.kinds[kind])),
    );
  }
  body.append(...rows.slice(0, ROWS).map(tableRow));
  if (rows.length > ROWS) {
    const cell = h("td", { colspan: 4 });
    const rest = h("tr", {}, cell);
    const all = h(
      "button",
      {
        class: "cw-button cw-more",
        type: "button",
        onclick: () => rest.replaceWith(...rows.slice(ROWS).map(tableRow)),
      },
      strings.showAllRows(rows.length),
    );
    cell.append(all);
    body.append(rest);
  }
  return body;
}

/** Images of the comparison that changed sides. */
function changed(tools: Tools, testid: string, nowRight: boolean) {
  const heading = h("h3", { class: "cw-subheading" });
  const tiles = new Tiles(tools, testid, "cw-tiles cw-tiles-small");
  const none = h("p", { class: "cw-quiet" }, nowRight ? strings.noneFixed : strings.noneBroken);
  const more = h("button", {
    class: "cw-button cw-more",
    type: "button",
    onclick: () => show(images.length),
  });
  const root = h("div", { class: "cw-changed" }, heading, tiles.root, none, more);
  let images: Shown[] = [];

  function show(n: number): void {
    tiles.show(images.slice(0, n), heading.textContent ?? "");
    more.hidden = images.length <= n;
    setText(more, strings.showMore(images.length - n));
  }

  return {
    root,
    update(split: string, indices: number[], total: number): void {
      setText(heading, nowRight ? strings.fixed(total) : strings.broken(total));
      none.hidden = total > 0;
      images = indices.map((index) => ({ split, index, label: null, correct: nowRight, similarity: null }));
      show(THUMBNAILS);
    },
    dispose: () => tiles.dispose(),
  };
}

export function comparisonTable(tools: Tools): View {
  const caption = h("p", { class: "cw-quiet" });
  const table = h("table", { class: "cw-table" });
  const sentence = h("p", { class: "cw-quiet", "aria-live": "polite" });
  const fixed = changed(tools, "fixed-tile", true);
  const broken = changed(tools, "broken-tile", false);
  const root = h(
    "section",
    { class: "cw-section", "data-testid": "comparison", hidden: true },
    h("h2", { class: "cw-heading" }, strings.comparisonHeading),
    caption,
    table,
    sentence,
    fixed.root,
    broken.root,
  );
  let shown: Comparison | null = null;

  function build(comparison: Comparison, state: State): void {
    const label = state.objectives.find(({ value }) => value === comparison.objective)?.label;
    setText(caption, strings.comparisonCaption(label ?? comparison.objective, comparison.split));
    const head = h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("td", {}),
        h(
          "th",
          { class: "cw-number", scope: "col" },
          h("i", { class: "cw-key cw-key-before" }),
          strings.before,
        ),
        h(
          "th",
          { class: "cw-number", scope: "col" },
          h("i", { class: "cw-key cw-key-after" }),
          strings.after,
        ),
        h("th", { class: "cw-number", scope: "col" }, strings.change),
      ),
    );
    const bodies = KINDS.map((kind) => [kind, comparison.rows.filter((row) => row.kind === kind)] as const)
      .filter(([, rows]) => rows.length > 0)
      .map(([kind, rows]) => kindBody(kind, rows));
    table.replaceChildren(head, ...bodies);
    setText(sentence, comparison.sentence);
    fixed.update(comparison.split, comparison.fixed_indices, comparison.fixed);
    broken.update(comparison.split, comparison.broken_indices, comparison.broken);
  }

  return {
    root,
    update(state: State) {
      root.hidden = state.comparison === null;
      if (state.comparison === shown) return;
      shown = state.comparison;
      if (shown) build(shown, state);
    },
    dispose() {
      fixed.dispose();
      broken.dispose();
    },
  };
}
