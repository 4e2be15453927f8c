import { h, setText, svg } from "../dom";
import type { Comparison, ComparisonKind, ComparisonRow, Objective } from "../model";
import type { State } from "../state";
import { strings } from "../strings";

const KINDS: readonly ComparisonKind[] = ["overall", "worst", "slice", "group", "class"];
const ROWS = 8;
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

function accuracyCell(value: number | null, low: number | null, high: number | null): HTMLElement {
  const cell = h("td", { class: "cw-number", role: "cell" }, strings.percent(value));
  if (known(low) && known(high)) cell.title = strings.interval(low, high);
  return cell;
}

// The rows are laid out as a grid, with the name on a line of its own; the roles keep it a table.
function tableRow(row: ComparisonRow): HTMLElement {
  const change = known(row.after) && known(row.before) ? row.after - row.before : null;
  const headline = row.kind === "overall" || row.kind === "worst";
  const direction = (change ?? 0) > 0.0005 ? "cw-better" : (change ?? 0) < -0.0005 ? "cw-worse" : "";
  return h(
    "tr",
    { class: row.kind === "worst" ? "cw-row cw-row-worst" : "cw-row", role: "row", "data-kind": row.kind },
    h(
      "th",
      { class: "cw-row-name", scope: "row", role: "rowheader" },
      headline ? row.name.charAt(0).toUpperCase() + row.name.slice(1) : row.name,
      h("span", { class: "cw-row-size" }, strings.images(row.size)),
    ),
    h("td", { role: "cell" }, dumbbell(row)),
    accuracyCell(row.before, row.before_low, row.before_high),
    accuracyCell(row.after, row.after_low, row.after_high),
    h("td", { class: `cw-number cw-change ${direction}`, role: "cell" }, strings.points(change)),
  );
}

function kindBody(kind: ComparisonKind, rows: ComparisonRow[]): HTMLTableSectionElement {
  const body = h("tbody", { role: "rowgroup" });
  if (kind !== "overall" && kind !== "worst") {
    body.append(
      h("tr", { role: "row" }, h("th", { class: "cw-kind", role: "rowheader" }, strings.kinds[kind])),
    );
  }
  body.append(...rows.slice(0, ROWS).map(tableRow));
  if (rows.length > ROWS) {
    const cell = h("td", { role: "cell" });
    const rest = h("tr", { role: "row" }, cell);
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

export function comparisonTable() {
  const caption = h("p", { class: "cw-quiet" });
  const table = h("table", { class: "cw-table", role: "table", "aria-label": strings.comparisonHeading });
  const sentence = h("p", { class: "cw-quiet", "aria-live": "polite" });
  const notes = h("div", {});
  const root = h(
    "section",
    { class: "cw-section", "data-testid": "comparison", hidden: true },
    h("h2", { class: "cw-heading" }, strings.comparisonHeading),
    caption,
    table,
    sentence,
    notes,
  );
  let shown: Comparison | null = null;

  function build(comparison: Comparison, objectives: Objective[]): void {
    const label = objectives.find(({ value }) => value === comparison.objective)?.label;
    setText(caption, strings.comparisonCaption(label ?? comparison.objective, comparison.split));
    const column = (label: string, key: HTMLElement | null) =>
      h("th", { class: "cw-number", scope: "col", role: "columnheader" }, key, label);
    const head = h(
      "thead",
      { role: "rowgroup" },
      h(
        "tr",
        { class: "cw-row", role: "row" },
        h("td", { role: "cell" }),
        column(strings.before, h("i", { class: "cw-key cw-key-before" })),
        column(strings.after, h("i", { class: "cw-key cw-key-after" })),
        column(strings.change, null),
      ),
    );
    const bodies = KINDS.map((kind) => [kind, comparison.rows.filter((row) => row.kind === kind)] as const)
      .filter(([, rows]) => rows.length > 0)
      .map(([kind, rows]) => kindBody(kind, rows));
    table.replaceChildren(head, ...bodies);
    setText(sentence, comparison.sentence);
    notes.replaceChildren(...(comparison.notes ?? []).map((note) => h("p", { class: "cw-quiet" }, note)));
  }

  return {
    root,
    update({ comparison, objectives }: Pick<State, "comparison" | "objectives">): void {
      root.hidden = comparison === null;
      if (comparison === shown) return;
      shown = comparison;
      if (shown) build(shown, objectives);
    },
  };
}
