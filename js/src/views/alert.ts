import { h, icon, setText } from "../dom";
import type { State } from "../state";
import { strings } from "../strings";
import type { Tools, View } from "./view";

/** One clear sentence about what went wrong; stays until it is dismissed or something else is tried. */
export function errorAlert({ actions }: Tools): View {
  const message = h("p", { class: "cw-alert-text" });
  const root = h(
    "div",
    { class: "cw-alert", role: "alert", "data-testid": "error", hidden: true },
    icon("warning"),
    message,
    h(
      "button",
      {
        class: "cw-icon-button",
        type: "button",
        "aria-label": strings.dismiss,
        title: strings.dismiss,
        "data-testid": "dismiss",
        onclick: () => actions.dismissError(),
      },
      icon("cross"),
    ),
  );
  return {
    root,
    update({ error }: State) {
      root.hidden = error === null;
      setText(message, error?.message ?? "");
    },
  };
}
