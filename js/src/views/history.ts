import { h, icon } from "../dom";
import type { Expected, Tried } from "../model";
import type { State } from "../state";
import { strings } from "../strings";
import type { Tools, View } from "./view";

/** What the eye reads of a change, and how it is meant: the two numbers are rounded, so the change is too. */
function verdictOf({ within_noise }: Expected, before: number, after: number): [string, string] {
  const change = Number(after.toFixed(2)) - Number(before.toFixed(2));
  if (within_noise || change === 0) return [strings.withinNoise, "cw-quiet"];
  return change > 0 ? [strings.better(change), "cw-better"] : [strings.worse(change), "cw-worse"];
}

function expectedLine(expected: Expected | null): HTMLElement {
  if (expected === null) {
    const help = { title: strings.expectedPendingHelp, "aria-hidden": "true" };
    return h("span", { class: "cw-expected", ...help }, strings.expectedPending);
  }
  const { before, after, sentence, reason } = expected;
  const line = h("span", { class: "cw-expected", title: sentence || reason, "data-testid": "expected" });
  if (before === null || after === null) {
    line.classList.add("cw-expected-none");
    line.append(strings.noPreview(reason));
    return line;
  }
  const [verdict, className] = verdictOf(expected, before, after);
  line.append(
    h("span", { "aria-hidden": "true" }, strings.expected(before, after)),
    h("span", { class: className, "aria-hidden": "true" }, verdict),
    h("span", { class: "cw-hidden" }, strings.expectedSpoken(before, after, verdict)),
  );
  return line;
}

function parts(tried: Tried, readonly: boolean): (Node | null)[] {
  const bar = h("span", {
    class: tried.direction >= 0 ? "cw-bar-fill" : "cw-bar-fill cw-bar-right",
    style: `width:${(100 * tried.score).toFixed(1)}%`,
  });
  const { expected } = tried;
  return [
    h("span", { class: "cw-tried-phrase" }, tried.phrase),
    tried.best ? h("span", { class: "cw-tag cw-tag-star" }, icon("star"), strings.best) : null,
    tried.kept
      ? h("span", { class: "cw-tag" }, icon("bookmark"), h("span", { class: "cw-hidden" }, strings.kept))
      : null,
    tried.direction >= 0 ? null : h("span", { class: "cw-tag" }, strings.rightSide),
    h("span", { class: "cw-bar", "aria-hidden": "true" }, bar),
    h("span", { class: "cw-number" }, tried.score.toFixed(2)),
    expected || (expected === null && !readonly) ? expectedLine(expected) : null,
  ];
}

/** One phrase. It stays where it is, with its focus, when more becomes known of it. */
class Row {
  readonly root: HTMLElement;
  private shown = "";

  constructor(phrase: string, choose: (phrase: string) => void) {
    this.root = h("button", {
      class: "cw-tried",
      type: "button",
      "data-testid": "history-item",
      "data-phrase": phrase,
      onclick: () => choose(phrase),
    });
  }

  update(tried: Tried, readonly: boolean): void {
    const all = JSON.stringify(tried);
    if (all === this.shown) return;
    this.shown = all;
    this.root.title = strings.chance(tried.p_value);
    this.root.dataset.best = String(tried.best);
    this.root.replaceChildren(...parts(tried, readonly).filter((part) => part !== null));
  }
}

export function historyList({ actions, readonly }: Tools): View {
  const list = h("div", { class: "cw-history" });
  const root = h(
    "section",
    { class: "cw-section", hidden: true },
    h("h2", { class: "cw-heading" }, strings.historyHeading),
    list,
  );
  let shown: Tried[] | null = null;
  let rows = new Map<string, Row>();

  function show(history: Tried[]): void {
    const next = new Map<string, Row>();
    for (const tried of history) {
      const row = rows.get(tried.phrase) ?? new Row(tried.phrase, (phrase) => actions.choose(phrase));
      row.update(tried, readonly);
      next.set(tried.phrase, row);
    }
    const same = [...next.keys()].join("\n") === [...rows.keys()].join("\n");
    rows = next;
    if (same) return;
    const active = (list.getRootNode() as Document | ShadowRoot).activeElement;
    const focused = [...rows.values()].find((row) => row.root === active);
    list.replaceChildren(...[...rows.values()].map((row) => row.root));
    focused?.root.focus();
  }

  return {
    root,
    update(state: State) {
      root.hidden = state.history.length === 0;
      if (state.history !== shown) {
        shown = state.history;
        show(shown);
      }
      for (const [phrase, row] of rows) {
        row.root.setAttribute("aria-current", String(phrase === state.phrase));
      }
    },
  };
}
