import { h, setText } from "../dom";
import type { State } from "../state";
import { strings } from "../strings";
import type { Tools, View } from "./view";

/** How many images are selected, and what can be done with them: `others` come after "Clear". */
export function selectionBar({ actions, readonly }: Tools, others: View[] = []): View {
  const hint = h("span", { class: "cw-quiet" }, readonly ? strings.zoomHint : strings.selectHint);
  const text = h("span", { role: "status", "data-testid": "selected-count" });
  const clear = h(
    "button",
    {
      class: "cw-button cw-ghost",
      type: "button",
      "data-testid": "clear-selection",
      onclick: () => actions.select([]),
    },
    strings.clear,
  );
  const verbs = h("span", { class: "cw-selection-verbs" }, clear, ...others.map((other) => other.root));
  const root = h("div", { class: "cw-selection", "data-testid": "selection" }, hint, text, verbs);

  return {
    root,
    update(state: State) {
      const { size } = state.selected;
      hint.hidden = size > 0;
      verbs.hidden = size === 0;
      setText(text, size ? strings.selected(size) : "");
      for (const other of others) other.update(state);
    },
    dispose() {
      for (const other of others) other.dispose?.();
    },
  };
}
