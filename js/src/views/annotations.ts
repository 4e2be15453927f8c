import { h, icon } from "../dom";
import type { Annotation } from "../model";
import type { State } from "../state";
import { strings } from "../strings";
import type { Tools, View } from "./view";

export function annotationList({ actions, readonly }: Tools): View {
  const list = h("ul", { class: "cw-annotations" });
  const empty = h("p", { class: "cw-quiet" }, strings.annotationsEmpty);
  const root = h(
    "section",
    { class: "cw-section", "data-testid": "annotations" },
    h("h2", { class: "cw-heading" }, strings.annotationsHeading),
    empty,
    list,
  );
  let shown: Annotation[] | null = null;

  function row(annotation: Annotation): HTMLElement {
    const { class_name, phrase, threshold, score } = annotation;
    const label = strings.remove(phrase, class_name);
    return h(
      "li",
      { class: "cw-annotation", title: strings.annotationTitle(class_name, phrase, threshold) },
      icon("bookmark"),
      h(
        "span",
        { class: "cw-annotation-text" },
        h("span", { class: "cw-muted" }, class_name),
        h("span", {}, phrase),
      ),
      h("span", { class: "cw-number" }, score === null ? "" : score.toFixed(2)),
      readonly
        ? null
        : h(
            "button",
            {
              class: "cw-icon-button",
              type: "button",
              "aria-label": label,
              title: label,
              "data-testid": "remove",
              onclick: () => void actions.remove(annotation),
            },
            icon("cross"),
          ),
    );
  }

  return {
    root,
    update(state: State) {
      root.hidden = readonly && state.annotations.length === 0;
      empty.hidden = state.annotations.length > 0;
      if (state.annotations === shown) return;
      shown = state.annotations;
      list.replaceChildren(...shown.map(row));
    },
  };
}
