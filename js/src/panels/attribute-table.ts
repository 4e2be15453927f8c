import type { AttributeRow } from "../model";
import type { Host } from "../panel-loader";
import { panelStrings } from "../strings";
import type { Verdict } from "./attributes";

const words = panelStrings.attributes;
/** Rows that are there before somebody asks for all. */
const FEW = 30;

type Column = keyof typeof words.columns;

interface Verbs {
  /** Null leaves it open again. */
  judge(attribute: string, verdict: Verdict | null): void;
  use(attribute: string): void;
}

export interface AttributeTable {
  readonly root: HTMLElement;
  show(className: string, rows: AttributeRow[]): void;
  /** By attribute. */
  judge(verdicts: ReadonlyMap<string, Verdict>): void;
}

const KEYS: Record<string, Verdict | null> = { h: "healthy", s: "spurious", backspace: null };

/** One row an attribute, in the order of any column; the keys roam from row to row. */
export function attributeTable({ h, icon, strings: shared }: Host, verbs: Verbs): AttributeTable {
  const columns = Object.keys(words.columns) as Column[];
  const headers = columns.map((column) => {
    const button = h(
      "button",
      { class: "cw-link", type: "button", "data-testid": `sort-${column}`, onclick: () => sortBy(column) },
      words.columns[column],
    );
    return h("div", { role: "columnheader", class: "cw-attribute-head" }, button);
  });
  const verdictHeader = h("div", { role: "columnheader", class: "cw-attribute-head" }, words.judgement);
  const header = h(
    "div",
    { role: "row", class: "cw-attribute cw-attribute-header" },
    ...headers,
    verdictHeader,
  );
  const body = h("div", { role: "rowgroup", onkeydown: (event: KeyboardEvent) => onKey(event) });
  const grid = h("div", { role: "grid" }, h("div", { role: "rowgroup" }, header), body);
  const more = h("button", {
    class: "cw-button cw-more",
    type: "button",
    "data-testid": "attributes-all",
    onclick: () => {
      all = true;
      draw();
    },
  });
  const root = h("div", {}, grid, more);
  let className = "";
  let rows: AttributeRow[] = [];
  let verdicts: ReadonlyMap<string, Verdict> = new Map();
  let sorted: { column: Column; down: boolean } | null = null;
  let all = false;
  /** The one stop for the Tab key. */
  let stop = "";

  function sortBy(column: Column): void {
    const again = sorted?.column === column;
    sorted = { column, down: again ? !sorted?.down : isNumber(column) && column !== "p_value" };
    draw();
  }

  function ordered(): AttributeRow[] {
    if (!sorted) return rows;
    const { column, down } = sorted;
    const sign = down ? -1 : 1;
    return [...rows].sort((a, b) => sign * compare(keyOf(a, column), keyOf(b, column)));
  }

  function draw(): void {
    headers.forEach((head, at) => {
      const down = sorted?.column === columns[at] ? sorted?.down : null;
      head.setAttribute("aria-sort", down === null ? "none" : down ? "descending" : "ascending");
    });
    const shown = ordered().slice(0, all ? rows.length : FEW);
    if (!shown.some(({ attribute }) => attribute === stop)) stop = shown[0]?.attribute ?? "";
    grid.hidden = rows.length === 0;
    grid.setAttribute("aria-label", words.caption(className));
    more.hidden = shown.length === rows.length;
    more.textContent = shared.showAllRows(rows.length);
    body.replaceChildren(...shown.map(rowOf));
    roam();
  }

  function rowOf(row: AttributeRow): HTMLElement {
    const { attribute, significant } = row;
    const cell = (column: Column, ...content: (Node | string)[]) =>
      h(
        "div",
        { role: "gridcell", class: "cw-attribute-cell" },
        h("span", { class: "cw-attribute-name cw-muted", "aria-hidden": "true" }, words.columns[column]),
        h("span", {}, ...content),
      );
    const part = ({ accuracy, size }: AttributeRow["with"]) => words.accuracy(shared.percent(accuracy), size);
    const points = (share: number) => shared.points(share);
    return h(
      "div",
      {
        role: "row",
        class: "cw-attribute",
        title: row.sentence,
        "data-testid": "attribute",
        "data-attribute": attribute,
        onfocusin: () => {
          stop = attribute;
          roam();
        },
      },
      h("div", { role: "rowheader", class: "cw-attribute-title" }, attribute),
      cell("with", part(row.with)),
      cell("without", part(row.without)),
      cell("difference", words.difference(points(row.difference), points(row.low), points(row.high))),
      cell("p_value", words.p(row.p_value), significant ? "" : ` ${words.chance}`),
      cell("confused_with", row.confused_with),
      h(
        "div",
        { role: "gridcell", class: "cw-row-of-buttons" },
        verdictButton(attribute, "healthy"),
        verdictButton(attribute, "spurious"),
        h(
          "button",
          {
            class: "cw-button cw-ghost",
            type: "button",
            "aria-label": words.useWhat(attribute),
            "data-testid": "attribute-use",
            onclick: () => verbs.use(attribute),
          },
          words.use,
        ),
      ),
    );
  }

  function verdictButton(attribute: string, verdict: Verdict): HTMLElement {
    const help = words[`${verdict}Help`](attribute, className);
    return h(
      "button",
      {
        class: "cw-button",
        type: "button",
        title: help,
        "aria-label": `${words[verdict]}: ${help}`,
        "aria-pressed": String(verdicts.get(attribute) === verdict),
        "data-testid": `attribute-${verdict}`,
        onclick: () => verbs.judge(attribute, verdicts.get(attribute) === verdict ? null : verdict),
      },
      icon(verdict === "healthy" ? "check" : "cross"),
      words[verdict],
    );
  }

  /** Only the row that was last in focus is a stop, with its buttons. */
  function roam(): void {
    for (const row of body.children as HTMLCollectionOf<HTMLElement>) {
      const tab = row.dataset.attribute === stop ? 0 : -1;
      row.tabIndex = tab;
      for (const button of row.querySelectorAll("button")) button.tabIndex = tab;
    }
  }

  function onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const row = (event.target as Element).closest<HTMLElement>("[data-attribute]");
    const attribute = row?.dataset.attribute;
    if (!row || !attribute) return;
    const key = event.key.toLowerCase();
    const act = moveOf(event.key, row) ?? actOf(key, attribute, event.target === row);
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  function actOf(key: string, attribute: string, onRow: boolean): (() => void) | undefined {
    const verdict = KEYS[key];
    if (verdict !== undefined) return () => verbs.judge(attribute, verdict);
    return key === "enter" && onRow ? () => verbs.use(attribute) : undefined;
  }

  function moveOf(key: string, row: HTMLElement): (() => void) | undefined {
    const target = {
      ArrowDown: row.nextElementSibling,
      ArrowUp: row.previousElementSibling,
      Home: body.firstElementChild,
      End: body.lastElementChild,
    }[key] as HTMLElement | null | undefined;
    return target === undefined ? undefined : () => target?.focus();
  }

  return {
    root,
    show(name, found) {
      if (name !== className) stop = "";
      className = name;
      rows = found;
      all = false;
      draw();
    },
    judge(now) {
      verdicts = now;
      for (const row of body.children as HTMLCollectionOf<HTMLElement>) {
        const verdict = verdicts.get(row.dataset.attribute ?? "");
        for (const one of ["healthy", "spurious"] as const) {
          const button = row.querySelector(`[data-testid="attribute-${one}"]`);
          button?.setAttribute("aria-pressed", String(verdict === one));
        }
      }
    },
  };
}

function isNumber(column: Column): boolean {
  return column !== "attribute" && column !== "confused_with";
}

function keyOf(row: AttributeRow, column: Column): number | string {
  return column === "with" || column === "without" ? row[column].accuracy : row[column];
}

function compare(a: number | string, b: number | string): number {
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
}
