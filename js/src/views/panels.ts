import { type Channel, Superseded } from "../channel";
import { h, icon, setText, uniqueId } from "../dom";
import type { Host, LoadPanels, PanelName } from "../panel-loader";
import type { State } from "../state";
import { strings } from "../strings";
import { comparisonTable } from "./comparison";
import { curveChart } from "./curve";
import { Tiles } from "./tiles";
import type { Tools, View } from "./view";

/** Parts below the others that open when they are asked for. */
export function latePanels(tools: Tools & { channel: Channel }, load: LoadPanels): View {
  const host: Host = {
    ...tools,
    h,
    icon,
    setText,
    uniqueId,
    strings,
    Tiles,
    Superseded,
    curveChart,
    comparisonTable,
  };
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
  const message = h("p", { class: "cw-quiet", role: "status" });
  const root = h(
    "details",
    { class: "cw-panel", "data-testid": `panel-${name}`, ontoggle: () => void open() },
    h("summary", { class: "cw-heading" }, strings.panels[name]),
    message,
  );
  let panel: View | null = null;
  let last: State | null = null;
  let disposed = false;

  async function open(): Promise<void> {
    if (panel || !root.open) return;
    setText(message, strings.loadingPanel);
    try {
      const make = (await load())[name];
      if (panel || disposed) return;
      panel = make(host);
      if (last) panel.update(last);
      message.replaceWith(panel.root);
    } catch (reason) {
      setText(message, (reason as Error).message);
    }
  }

  return {
    root,
    update(state) {
      last = state;
      root.hidden = state[name] === null;
      panel?.update(state);
    },
    dispose() {
      disposed = true;
      panel?.dispose?.();
    },
  };
}
