import { h } from "../dom";
import type { Host, LoadPanels, PanelName } from "../panel-loader";
import type { State } from "../state";
import { strings } from "../strings";
import { lateView } from "./late";
import type { View } from "./view";

/** Parts below the others that open when they are asked for. */
export function latePanels(host: Host, load: LoadPanels): View {
  const names = Object.keys(strings.panels) as PanelName[];
  const panels = names.map((name) => latePanel(name, host, load));
  const root = h("div", {}, ...panels.map((panel) => panel.root));

  return {
    root,
    update(state) {
      for (const panel of panels) panel.update(state);
    },
    dispose() {
      for (const panel of panels) panel.dispose?.();
    },
  };
}

function latePanel(name: PanelName, host: Host, load: LoadPanels): View {
  const view = lateView(
    load,
    () => root.open,
    (panels) => panels[name](host),
  );
  let last: State | null = null;
  const root = h(
    "details",
    { class: "cw-panel", "data-testid": `panel-${name}`, ontoggle: () => last && view.update(last) },
    h("summary", { class: "cw-heading" }, strings.panels[name]),
    view.root,
  );

  return {
    root,
    update(state) {
      last = state;
      root.hidden = state[name] === null;
      view.update(state);
    },
    dispose: () => view.dispose?.(),
  };
}
