// The module that a notebook loads: an anywidget front-end module whose default export makes one widget.

import { Channel } from "./channel";
import { ExampleFeed } from "./feed";
import { type Model, TRAITS } from "./model";
import { type LoadPanels, panelLoader } from "./panel-loader";
import { Thumbnails } from "./thumbnails";
import { mount } from "./views/app";

/** What a report is made of; see report.ts. */
export const parts = { Channel, ExampleFeed, Thumbnails, TRAITS, mount };

interface Shared {
  channel: Channel;
  feed: ExampleFeed;
  thumbnails: Thumbnails;
  loadPanels: LoadPanels;
  dispose(): void;
}

interface Context {
  model: Model;
  signal?: AbortSignal;
}

function share(model: Model): Shared {
  const channel = new Channel(model);
  const feed = new ExampleFeed(model, channel);
  const thumbnails = new Thumbnails(channel);
  return {
    channel,
    feed,
    thumbnails,
    loadPanels: panelLoader(channel),
    dispose() {
      thumbnails.dispose();
      feed.dispose();
      channel.dispose();
    },
  };
}

/** Called once per model by the host, so that its views share one channel, one feed and one set of images. */
export default function widget() {
  let shared: Shared | null = null;
  return {
    initialize({ model, signal }: Context) {
      const own = share(model);
      shared = own;
      const dispose = () => {
        own.dispose();
        if (shared === own) shared = null;
      };
      signal?.addEventListener("abort", dispose, { once: true });
      return dispose;
    },

    render({ model, el, signal }: Context & { el: HTMLElement }) {
      const own = shared ? null : share(model);
      const unmount = mount(el, { model, ...(shared ?? (own as Shared)) });
      let disposed = false;
      const dispose = () => {
        if (disposed) return;
        disposed = true;
        unmount();
        own?.dispose();
      };
      signal?.addEventListener("abort", dispose, { once: true });
      return dispose;
    },
  };
}
