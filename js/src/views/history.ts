import { h, icon, setChildren } from "../dom";
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
  const { expected, accuracies } = tried;
  return [
    h("span", { class: "cw-tried-phrase" }, tried.phrase),
    tried.best ? h("span", { class: "cw-tag cw-tag-star" }, icon("star"), strings.best) : null,
    tried.kept
      ? h("span", { class: "cw-tag" }, icon("bookmark"), h("span", { class: "cw-hidden" }, strings.kept))
      : null,
    tried.direction >= 0 ? null : h("span", { class: "cw-tag" }, strings.rightSide),
    h("span", { class: "cw-bar", "aria-hidden": "true" }, bar),
    h("span", { class: "cw-number" }, tried.score.toFixed(2)),
    accuracies ? h("span", { class: "cw-accuracies" }, strings.accuracies(...accuracies)) : null,
    expected || (expected === null && !readonly) ? expectedLine(expected) : null,
  ];
}

/** One phrase. It stays where it is, with its focus, when more becomes known of it. */
class Row {
  readonly root: HTMLElement;
  private readonly choose: HTMLElement;
  private readonly compare: HTMLElement | null;
  private shown = "";

  constructor({ actions, readonly }: Tools, phrase: string, isCompared: () => boolean) {
    this.choose = h("button", {
      class: "cw-tried",
      type: "button",
      "data-testid": "history-item",
      "data-phrase": phrase,
      onclick: () => actions.choose(phrase),
    });
    const label = strings.compareWith(phrase);
    this.compare = readonly
      ? null
      : h(
          "button",
          {
            class: "cw-icon-button cw-compare",
            type: "button",
            "aria-label": label,
            title: label,
            "data-testid": "compare",
            "data-phrase": phrase,
            onclick: () => actions.compare(isCompared() ? null : phrase),
          },
          icon("columns"),
        );
    this.root = h("div", { class: "cw-tried-row" }, this.choose, this.compare);
  }

  update(tried: Tried, readonly: boolean): void {
    const all = JSON.stringify(tried);
    if (all === this.shown) return;
    this.shown = all;
    this.choose.title = strings.chance(tried.p_value);
    this.choose.dataset.best = String(tried.best);
    this.choose.replaceChildren(...parts(tried, readonly).filter((part) => part !== null));
  }

  mark(current: boolean, compared: boolean): void {
    this.choose.setAttribute("aria-current", String(current));
    this.compare?.setAttribute("aria-pressed", String(compared));
    this.compare?.classList.toggle("cw-not-now", current);
    this.compare?.toggleAttribute("disabled", current);
  }
}

export function historyList(tools: Tools): View {
  const { readonly } = tools;
  const list = h("div", { class: "cw-history" });
  const order = h("button", {
    class: "cw-link",
    type: "button",
    "data-testid": "history-order",
    onclick: () => {
      bestFirst = !bestFirst;
      if (shown) show(shown);
    },
  });
  const root = h(
    "section",
    { class: "cw-section", hidden: true },
    h(
      "header",
      { class: "cw-history-header" },
      h("h2", { class: "cw-heading" }, strings.historyHeading),
      order,
    ),
    list,
  );
  let shown: Tried[] | null = null;
  let rows = new Map<string, Row>();
  let compared: string | null = null;
  let bestFirst = false;

  function show(history: Tried[]): void {
    order.hidden = history.length < 2;
    order.textContent = bestFirst ? strings.bestFirst : strings.newestFirst;
    const next = new Map<string, Row>();
    const ordered = bestFirst ? [...history].sort((a, b) => b.score - a.score) : history;
    for (const tried of ordered) {
      const { phrase } = tried;
      const row = rows.get(phrase) ?? new Row(tools, phrase, () => compared === phrase);
      row.update(tried, readonly);
      next.set(phrase, row);
    }
    const same = [...next.keys()].join("\n") === [...rows.keys()].join("\n");
    rows = next;
    if (same) return;
    const active = (list.getRootNode() as Document | ShadowRoot).activeElement as HTMLElement | null;
    setChildren(
      list,
      [...rows.values()].map((row) => row.root),
    );
    if (active && list.contains(active)) active.focus();
  }

  return {
    root,
    update(state: State) {
      root.hidden = state.history.length === 0;
      compared = state.compared;
      if (state.history !== shown) {
        shown = state.history;
        show(shown);
      }
      for (const [phrase, row] of rows) row.mark(phrase === state.phrase, phrase === compared);
    },
  };
}
