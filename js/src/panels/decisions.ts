import type { ClassSummary } from "../model";
import type { Host } from "../panel-loader";
import type { State } from "../state";
import { panelStrings } from "../strings";
import type { PoolRequests } from "./requests";

const words = panelStrings.pool;

export interface DecisionBar {
  readonly root: HTMLElement;
  update(state: State): void;
  /** Says how many images are selected. */
  select(rows: number[]): void;
  accept(rows: number[]): void;
  reject(rows: number[]): void;
}

/** Accept the selected images as a class, reject them, or take the last decision back. */
export function decisionBar(
  { h, icon, setText }: Host,
  requests: PoolRequests,
  selected: () => number[],
): DecisionBar {
  const button = (testid: string, name: "check" | "cross" | "undo", text: string, act: () => void) =>
    h(
      "button",
      { class: "cw-button", type: "button", "data-testid": testid, onclick: act },
      icon(name),
      text,
    );
  const size = h("span", { role: "status", "data-testid": "pool-selected" });
  const accepting = button("pool-accept", "check", words.acceptAs, () => accept(selected()));
  const classes = h("select", {
    class: "cw-input",
    "aria-label": words.acceptClass,
    "data-testid": "pool-class",
    onchange: () => {
      chosen = classes.value;
    },
  });
  const rejecting = button("pool-reject", "cross", words.reject, () => reject(selected()));
  const undo = button("pool-undo", "undo", words.undo, () => void requests.undo());
  const root = h(
    "div",
    { class: "cw-row-of-buttons" },
    h("span", { class: "cw-pool-accept" }, accepting, classes),
    rejecting,
    undo,
    size,
  );
  let offered: ClassSummary[] | null = null;
  /** Once a class was chosen here, it stays; before that it is the one that is looked at above. */
  let chosen = "";
  let split = "";

  function accept(rows: number[]): void {
    if (rows.length) void requests.decide(split, rows, classes.value);
  }

  function reject(rows: number[]): void {
    if (rows.length) void requests.decide(split, rows, null);
  }

  return {
    root,
    accept,
    reject,
    select(rows) {
      accepting.disabled = rejecting.disabled = rows.length === 0;
      setText(size, rows.length ? words.selected(rows.length) : "");
    },
    update(state) {
      split = state.pool?.split ?? "";
      if (state.classes !== offered) {
        offered = state.classes;
        const names = offered.map(({ name }) => name).sort();
        classes.replaceChildren(...names.map((name) => h("option", { value: name }, name)));
      }
      classes.value = chosen || state.class_name;
      const what = state.pool?.undo ?? "";
      undo.disabled = what === "";
      undo.title = what ? words.undoWhat(what) : words.undo;
      undo.setAttribute("aria-label", undo.title);
    },
  };
}
