import { h, setText } from "../dom";
import type { State } from "../state";
import { strings } from "../strings";
import type { Tools, View } from "./view";

/** The images that were marked for the phrase that is shown, and what can be done with them. */
export function markedImages({ actions }: Tools): View {
  const text = h("p", { class: "cw-quiet", "data-testid": "marked" });
  const sharpen = h(
    "button",
    {
      class: "cw-button",
      type: "button",
      "data-testid": "sharpen",
      onclick: () => actions.sharpen(),
    },
    strings.sharpen,
  );
  const forget = h(
    "button",
    {
      class: "cw-button cw-ghost",
      type: "button",
      "data-testid": "forget-marks",
      onclick: () => void actions.mark(marked, null),
    },
    strings.forgetMarks,
  );
  const buttons = h("div", { class: "cw-row-of-buttons" }, sharpen, forget);
  const root = h("section", { class: "cw-section cw-marked" }, text, buttons);
  let marked: number[] = [];

  return {
    root,
    update({ marks, phrase, scoring }: State) {
      marked = [...marks.has, ...marks.has_not];
      root.hidden = phrase === "";
      buttons.hidden = marked.length === 0;
      setText(
        text,
        marked.length ? strings.marked(marks.has.length, marks.has_not.length) : strings.markHint,
      );
      sharpen.title = strings.sharpenHelp(phrase);
      sharpen.disabled = scoring;
    },
  };
}

/** Marks all selected images at once. */
export function markSelected({ actions }: Tools): View {
  const button = (has: boolean) =>
    h(
      "button",
      {
        class: "cw-button cw-ghost",
        type: "button",
        "data-testid": has ? "selected-has" : "selected-has-not",
        onclick: () => void actions.mark(rows, has),
      },
      has ? strings.markHas : strings.markHasNot,
    );
  const buttons = [button(true), button(false)];
  const root = h("span", {}, ...buttons);
  let rows: number[] = [];

  return {
    root,
    update({ selected, phrase }: State) {
      rows = [...selected];
      root.hidden = phrase === "";
      for (const one of buttons) one.title = strings.markQuestion(phrase);
    },
  };
}
