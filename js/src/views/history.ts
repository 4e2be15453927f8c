import { h, icon } from "../dom";
import type { Tried } from "../model";
import type { State } from "../state";
import { strings } from "../strings";
import type { Tools, View } from "./view";

function item(tried: Tried, choose: () => void): HTMLElement {
  const bar = h("span", {
    class: tried.direction >= 0 ? "cw-bar-fill" : "cw-bar-fill cw-bar-right",
    style: `width:${(100 * tried.score).toFixed(1)}%`,
  });
  return h(
    "button",
    {
      class: "cw-tried",
      type: "button",
      title: strings.chance(tried.p_value),
      "data-testid": "history-item",
      "data-phrase": tried.phrase,
      "data-best": tried.best,
      onclick: choose,
    },
    h("span", { class: "cw-tried-phrase" }, tried.phrase),
    tried.best ? h("span", { class: "cw-tag cw-tag-star" }, icon("star"), strings.best) : null,
    tried.kept
      ? h("span", { class: "cw-tag" }, icon("bookmark"), h("span", { class: "cw-hidden" }, strings.kept))
      : null,
    tried.direction >= 0 ? null : h("span", { class: "cw-tag" }, strings.rightSide),
    h("span", { class: "cw-bar", "aria-hidden": "true" }, bar),
    h("span", { class: "cw-number" }, tried.score.toFixed(2)),
  );
}

export function historyList({ actions }: Tools): View {
  const list = h("div", { class: "cw-history" });
  const root = h(
    "section",
    { class: "cw-section", hidden: true },
    h("h2", { class: "cw-heading" }, strings.historyHeading),
    list,
  );
  let shown: Tried[] | null = null;

  return {
    root,
    update(state: State) {
      root.hidden = state.history.length === 0;
      if (state.history !== shown) {
        shown = state.history;
        const active = (list.getRootNode() as Document | ShadowRoot).activeElement;
        const focused = active && list.contains(active) ? (active as HTMLElement).dataset.phrase : undefined;
        list.replaceChildren(...shown.map((tried) => item(tried, () => actions.choose(tried.phrase))));
        if (focused !== undefined) {
          for (const child of list.children) {
            if ((child as HTMLElement).dataset.phrase === focused) (child as HTMLElement).focus();
          }
        }
      }
      for (const child of list.children) {
        const current = (child as HTMLElement).dataset.phrase === state.phrase;
        child.setAttribute("aria-current", String(current));
      }
    },
  };
}
