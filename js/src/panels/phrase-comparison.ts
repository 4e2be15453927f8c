import type { PhraseComparison } from "../model";
import type { Host } from "../panel-loader";
import type { State } from "../state";
import { panelStrings } from "../strings";
import type { View } from "../views/view";
import { join, type Operator } from "./combine";

const words = panelStrings.compared;

const OPERATORS: Operator[] = ["AND", "OR", "NOT"];

/** The phrase that is shown beside another one: where they say the same, and what to do with both. */
export function phraseComparison({ actions, h, icon, strings: shared }: Host): View {
  const root = h("section", { class: "cw-section cw-compared", "data-testid": "compared", hidden: true });
  let asked: unknown[] = [];

  function table({ first, second, cells }: PhraseComparison): HTMLElement {
    const worst = Math.min(...cells.map(({ accuracy }) => accuracy ?? 1));
    const cell = ({ name, accuracy, size }: PhraseComparison["cells"][number]) =>
      h(
        "td",
        { class: accuracy === worst ? "cw-worst-cell" : null, title: name },
        h("strong", { class: "cw-cross-share", "aria-hidden": "true" }, words.share(accuracy)),
        accuracy === worst ? h("span", { class: "cw-cross-worst" }, words.worst) : null,
        h("span", { class: "cw-muted", "aria-hidden": "true" }, size ? shared.images(size) : "–"),
        h(
          "span",
          { class: "cw-hidden" },
          size ? words.cell(shared.percent(accuracy), shared.images(size)) : words.emptyCell,
        ),
      );
    const row = (head: string, from: number) =>
      h("tr", {}, h("th", { scope: "row" }, head), ...cells.slice(from, from + 2).map(cell));
    return h(
      "table",
      { class: "cw-cross" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("td", {}),
          h("th", { scope: "col" }, words.with(second.phrase)),
          h("th", { scope: "col" }, words.without),
        ),
      ),
      h("tbody", {}, row(words.with(first.phrase), 0), row(words.without, 2)),
    );
  }

  function joinButton(operator: Operator, first: string, second: string): HTMLElement {
    const phrase = join(first, operator, second);
    const label = words.joinTry(phrase);
    return h(
      "button",
      {
        class: "cw-button cw-more",
        type: "button",
        title: label,
        "aria-label": label,
        "data-testid": "join",
        "data-operator": operator,
        onclick: () => actions.choose(phrase),
      },
      operator,
    );
  }

  function show(comparison: PhraseComparison): void {
    const [first, second] = [comparison.first.phrase, comparison.second.phrase];
    root.replaceChildren(
      h(
        "header",
        { class: "cw-compared-header" },
        h("h2", { class: "cw-heading" }, words.heading(first, second)),
        h(
          "button",
          {
            class: "cw-icon-button",
            type: "button",
            "aria-label": words.close,
            title: words.close,
            "data-testid": "close-comparison",
            onclick: () => actions.compare(null),
          },
          icon("cross"),
        ),
      ),
      table(comparison),
      h(
        "p",
        { class: "cw-quiet", title: comparison.sentence },
        words.agreement(comparison.agreement, comparison.correlation),
      ),
      h(
        "div",
        { class: "cw-row-of-buttons" },
        h("span", { class: "cw-label" }, words.join),
        ...OPERATORS.map((operator) => joinButton(operator, first, second)),
      ),
    );
    root.hidden = false;
  }

  return {
    root,
    update(state: State) {
      const { class_name, phrase, compared, threshold, examples, annotations } = state;
      if (state.previewing || state.scoring || state.waiting) return;
      const on = phrase !== "" && compared !== null && compared !== phrase;
      // Another model is right of other images, and the other phrase may be kept at another threshold.
      const wanted = on ? [class_name, phrase, compared, threshold, examples, annotations] : [];
      if (wanted.length === asked.length && wanted.every((part, i) => part === asked[i])) return;
      asked = wanted;
      root.hidden ||= !on;
      if (!on || compared === null) return;
      void actions.comparison(phrase, compared).then((found) => {
        if (asked !== wanted) return;
        if (found) show(found);
        else root.hidden = true;
      });
    },
  };
}
