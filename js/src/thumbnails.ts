// Images of one size, asked for in batches when a tile wants them, those in sight first, and kept as Blob URLs,
// the least recently used dropped first.

import type { Channel } from "./channel";
import type { Buffer, ThumbnailItem } from "./model";

export interface Thumbnail extends ThumbnailItem {
  /** Blob URL; null when the image cannot be read. */
  url: string | null;
}

const BATCH = 24;
const IN_FLIGHT = 2;
/** Of the short side. */
const THUMBNAIL = 192;
const ENLARGED = 320;

export function blobUrl(buffer: Buffer, mime: string): string {
  return URL.createObjectURL(new Blob([buffer as BlobPart], { type: mime }));
}

interface Wanted {
  split: string;
  index: number;
  listeners: Set<(thumbnail: Thumbnail) => void>;
  inSight: boolean;
}

export class Thumbnails {
  private readonly cache = new Map<string, Thumbnail>();
  private readonly wanted = new Map<string, Wanted>();
  private readonly asked = new Set<string>();
  private inFlight = 0;
  private scheduled = false;
  private disposed = false;

  constructor(
    private readonly channel: Channel,
    private readonly capacity = 1500,
    private readonly pixels = THUMBNAIL,
  ) {}

  static enlarged(channel: Channel): Thumbnails {
    return new Thumbnails(channel, 100, ENLARGED);
  }

  /** An image that has come. */
  known(split: string, index: number): Thumbnail | undefined {
    return this.cache.get(`${split}/${index}`);
  }

  /** Calls `listener` at once if the image is here, else when it comes. Returns how to stop wanting it. */
  want(split: string, index: number, listener: (thumbnail: Thumbnail) => void, inSight = true): () => void {
    const key = `${split}/${index}`;
    const cached = this.cache.get(key);
    if (cached) {
      this.cache.delete(key);
      this.cache.set(key, cached);
      listener(cached);
      return () => {};
    }
    const wanted = this.wanted.get(key) ?? { split, index, listeners: new Set(), inSight };
    wanted.listeners.add(listener);
    wanted.inSight ||= inSight;
    this.wanted.set(key, wanted);
    this.schedule();
    return () => {
      wanted.listeners.delete(listener);
      if (wanted.listeners.size === 0 && !this.asked.has(key)) this.wanted.delete(key);
    };
  }

  dispose(): void {
    this.disposed = true;
    for (const { url } of this.cache.values()) if (url) URL.revokeObjectURL(url);
    this.cache.clear();
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      while (this.inFlight < IN_FLIGHT && this.askBatch());
    });
  }

  private askBatch(): boolean {
    const notAsked = [...this.wanted].filter(([key]) => !this.asked.has(key));
    const seen = notAsked.filter(([, { inSight }]) => inSight);
    const open = seen.length ? seen : notAsked;
    const split = open[0]?.[1].split;
    if (split === undefined || this.disposed) return false;
    const batch = open.filter(([, wanted]) => wanted.split === split).slice(0, BATCH);
    const keys = batch.map(([key]) => key);
    for (const key of keys) this.asked.add(key);
    this.inFlight++;
    this.channel
      .request<{ items: ThumbnailItem[] }>("thumbnails", {
        split,
        indices: batch.map(([, wanted]) => wanted.index),
        size: this.pixels,
      })
      .then(({ result, buffers }) => {
        result.items.forEach((item, i) => {
          this.receive(`${split}/${item.index}`, item, buffers[i]);
        });
      })
      // Placeholders stay; the images are asked for again when a tile wants them again.
      .catch(() => {})
      .finally(() => {
        for (const key of keys) {
          this.asked.delete(key);
          this.wanted.delete(key);
        }
        this.inFlight--;
        if (!this.disposed) this.schedule();
      });
    return true;
  }

  private receive(key: string, item: ThumbnailItem, buffer: Buffer | undefined): void {
    if (this.disposed) return;
    const url = item.readable && buffer && buffer.byteLength > 0 ? blobUrl(buffer, item.mime) : null;
    const thumbnail: Thumbnail = { ...item, url };
    this.cache.set(key, thumbnail);
    for (const listener of this.wanted.get(key)?.listeners ?? []) listener(thumbnail);
    this.wanted.delete(key);
    this.evict();
  }

  private evict(): void {
    for (const [key, { url }] of this.cache) {
      if (this.cache.size <= this.capacity) return;
      this.cache.delete(key);
      if (url) URL.revokeObjectURL(url);
    }
  }
}
