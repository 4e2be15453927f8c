import { h, icon } from "../dom";
import type { Annotation } from "../model";
import type { State } from "../state";
import { strings } from "../strings";
import type { Tools, View } from "./view";

const keyOf = ({ class_name, phrase }: Annotation): string => JSON.stringify([class_name, phrase]);

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

  function toggle(annotation: Annotation): HTMLElement {
    const { phrase, class_name, active } = annotation;
    const box = h("input", {
      type: "checkbox",
      class: "cw-checkbox",
      "aria-label": strings.switchOn(phrase, class_name),
      "data-testid": "switch",
      "data-key": keyOf(annotation),
      onchange: () => void actions.switch(annotation, box.checked),
    });
    box.checked = active;
    return box;
  }

  function row(annotation: Annotation): HTMLElement {
    const { class_name, phrase, threshold, score, active, used } = annotation;
    const label = strings.remove(phrase, class_name);
    return h(
      "li",
      {
        class: active ? "cw-annotation" : "cw-annotation cw-off",
        title: strings.annotationTitle(class_name, phrase, threshold),
      },
      readonly ? icon("bookmark") : toggle(annotation),
      h(
        "span",
        { class: "cw-annotation-text" },
        h("span", { class: "cw-muted" }, class_name),
        h("span", { class: "cw-annotation-phrase" }, phrase),
      ),
      active ? null : h("span", { class: "cw-tag" }, strings.off),
      active && !used ? h("span", { class: "cw-tag", title: strings.notUsedHelp }, strings.notUsed) : null,
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
      const focused = (list.getRootNode() as Document | ShadowRoot).activeElement as HTMLElement | null;
      const key = focused && list.contains(focused) ? focused.dataset.key : undefined;
      list.replaceChildren(...shown.map(row));
      for (const box of list.querySelectorAll<HTMLElement>("[data-key]")) {
        if (box.dataset.key === key) box.focus();
      }
    },
  };
}
