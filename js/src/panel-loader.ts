// Panels that few people open are not in the widget itself: the kernel sends their module when it is asked for.

import type { Channel, Superseded } from "./channel";
import type { h, icon, setText, uniqueId } from "./dom";
import type { Buffer } from "./model";
import type { strings } from "./strings";
import { blobUrl } from "./thumbnails";
import type { comparisonTable } from "./views/comparison";
import type { curveChart } from "./views/curve";
import type { Tiles } from "./views/tiles";
import type { Tools, View } from "./views/view";

export type PanelName = "attributes" | "finetuning" | "pool";

/** What a panel shares with the widget that it joins, so that nothing is loaded twice. */
export interface Host extends Tools {
  channel: Channel;
  h: typeof h;
  icon: typeof icon;
  setText: typeof setText;
  uniqueId: typeof uniqueId;
  strings: typeof strings;
  Tiles: typeof Tiles;
  Superseded: typeof Superseded;
  curveChart: typeof curveChart;
  comparisonTable: typeof comparisonTable;
}

export type Panels = Record<PanelName, (host: Host) => View>;

export type LoadPanels = () => Promise<Panels>;

async function load(channel: Channel): Promise<Panels> {
  const { buffers } = await channel.request("panels");
  const url = blobUrl(buffers[0] as Buffer, "text/javascript");
  try {
    return await import(url);
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** Asks the kernel once; after an error, again. */
export function panelLoader(channel: Channel): LoadPanels {
  let loaded: Promise<Panels> | null = null;
  return () => {
    loaded ??= load(channel).catch((reason) => {
      loaded = null;
      throw reason;
    });
    return loaded;
  };
}
