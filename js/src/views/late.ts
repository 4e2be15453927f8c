import { type Channel, Superseded } from "../channel";
import { h, icon, setText, uniqueId } from "../dom";
import type { LoadPanels, Panels, Shared } from "../panel-loader";
import type { State } from "../state";
import { strings } from "../strings";
import { blobUrl } from "../thumbnails";
import { comparisonTable } from "./comparison";
import { curveChart } from "./curve";
import { Tiles } from "./tiles";
import type { Looking, ShowMap, View } from "./view";

export function sharedWith(channel: Channel): Shared {
  return {
    channel,
    h,
    icon,
    setText,
    uniqueId,
    blobUrl,
    strings,
    Tiles,
    Superseded,
    curveChart,
    comparisonTable,
  };
}

/** A view that is loaded when a state first wants it; until then its root is a line that says so. */
export function lateView(
  load: LoadPanels,
  wanted: (state: State) => boolean,
  make: (panels: Panels) => View,
): View {
  const message = h("p", { class: "cw-quiet", role: "status", hidden: true });
  let view: View | null = null;
  let loading = false;
  let last: State;
  let disposed = false;

  async function open(): Promise<void> {
    loading = true;
    message.hidden = false;
    setText(message, strings.loadingPanel);
    try {
      const panels = await load();
      if (disposed) return;
      view = make(panels);
      view.update(last);
      message.replaceWith(view.root);
    } catch (reason) {
      setText(message, (reason as Error).message);
    } finally {
      loading = false;
    }
  }

  return {
    root: message,
    update(state) {
      last = state;
      if (view) return view.update(state);
      if (!wanted(state)) message.hidden = true;
      else if (!loading) void open();
    },
    dispose() {
      disposed = true;
      view?.dispose?.();
    },
  };
}

/** The bar is loaded when there is first something that can be asked. */
export function lateLooking(load: LoadPanels, shared: Shared, show: ShowMap): Looking {
  const root = h("div", {});
  let bar: Looking | null = null;
  let offered: Parameters<Looking["offer"]> = [null];

  async function open(): Promise<void> {
    try {
      const { lookingBar } = await load();
      if (!bar) {
        bar = lookingBar(shared, show);
        root.replaceChildren(bar.root);
      }
      bar.offer(...offered);
    } catch (reason) {
      setText(root, (reason as Error).message);
    }
  }

  return {
    root,
    offer(...what) {
      offered = what;
      if (bar) bar.offer(...what);
      else if (what[1]?.length) void open();
    },
    clear() {
      offered = [null];
      bar?.clear();
    },
  };
}
