// What few people open is not in the widget itself: the kernel sends its module when it is first wanted.

import type { Channel, Superseded } from "./channel";
import type { h, icon, setText, uniqueId } from "./dom";
import type { Buffer } from "./model";
import type { strings } from "./strings";
import { blobUrl } from "./thumbnails";
import type { comparisonTable } from "./views/comparison";
import type { curveChart } from "./views/curve";
import type { Tiles } from "./views/tiles";
import type { Looking, ShowMap, Tools, View } from "./views/view";

export type PanelName = "attributes" | "finetuning" | "pool";

/** What that module is handed of the widget, so that nothing is loaded twice. */
export interface Shared {
  channel: Channel;
  h: typeof h;
  icon: typeof icon;
  setText: typeof setText;
  uniqueId: typeof uniqueId;
  blobUrl: typeof blobUrl;
  strings: typeof strings;
  Tiles: typeof Tiles;
  Superseded: typeof Superseded;
  curveChart: typeof curveChart;
  comparisonTable: typeof comparisonTable;
}

export interface Host extends Tools, Shared {}

export interface Panels extends Record<PanelName, (host: Host) => View> {
  phraseComparison(host: Host): View;
  lookingBar(shared: Shared, show: ShowMap): Looking;
}

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
