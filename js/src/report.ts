// The same face over a model without a kernel: what a session knew, in one page. A module of its own, which no
// notebook needs; it is handed the parts of the widget.

import type { parts } from "./index";
import type {
  Buffer,
  Expected,
  Listener,
  Model,
  Original,
  Score,
  ThumbnailItem,
  Traits,
  Tried,
} from "./model";

/** One phrase of one class; `phrase` "" is the class before any phrase. */
export interface ReportPhrase {
  class_name: string;
  phrase: string;
  threshold: number | null;
  score: Score | null;
  /** What retraining with it would have given, where that was known. */
  expected?: Expected | null;
  similarities_base64: string;
}

/** The images of a class. */
export interface ReportMembers {
  members_base64: string;
  /** Empty where they are not known. */
  confidences_base64: string;
}

export type ReportState = Partial<Omit<Traits, "examples_key">> & {
  phrases: ReportPhrase[];
  members: Record<string, ReportMembers>;
};

export interface ReportImage {
  /** Data URL. */
  src: string;
  name?: string;
  label?: string;
  predicted?: string;
  correct?: boolean;
  confidence?: number | null;
}

export type ReportImages = Record<string, string | ReportImage>;

const DATA_URL = /^data:([^;,]*)(;base64)?,(.*)$/s;

function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** The content-security policy of a viewer may forbid fetching data URLs, so they are decoded here. */
function decodeDataUrl(url: string): { mime: string; bytes: Uint8Array } {
  const [, mime = "", base64, body = ""] = DATA_URL.exec(url) ?? [];
  return { mime, bytes: base64 ? decodeBase64(body) : new TextEncoder().encode(decodeURIComponent(body)) };
}

interface Request {
  id: string;
  type: string;
  class_name?: string;
  phrase?: string;
  split?: string;
  index?: number;
  indices?: number[];
}

class ReportModel implements Model {
  private readonly traits = new Map<keyof Traits, unknown>();
  private readonly listeners = new Map<string, Set<Listener>>();
  private examples: Uint8Array<ArrayBuffer>[] = [];

  constructor(
    private readonly report: ReportState,
    private readonly images: ReportImages,
    names: readonly (keyof Traits)[],
  ) {
    for (const name of names) {
      if (name !== "examples_key" && report[name] !== undefined) this.traits.set(name, report[name]);
    }
    const className = report.class_name || report.classes?.[0]?.name || "";
    if (!this.show(className, report.phrase ?? "")) this.show(className, "");
    if (report.threshold !== undefined && report.threshold !== null) this.set("threshold", report.threshold);
  }

  get<K extends keyof Traits>(name: K): Traits[K] {
    return this.traits.get(name) as Traits[K];
  }

  set<K extends keyof Traits>(name: K, value: Traits[K]): void {
    if (this.traits.get(name) === value) return;
    this.traits.set(name, value);
    this.emit(`change:${name}`, value);
  }

  save_changes(): void {}

  on(event: string, listener: Listener): void {
    const listeners = this.listeners.get(event) ?? new Set();
    this.listeners.set(event, listeners.add(listener));
  }

  off(event: string, listener: Listener): void {
    this.listeners.get(event)?.delete(listener);
  }

  send(content: unknown): void {
    const request = content as Request;
    queueMicrotask(() => {
      const { result, buffers } = this.answer(request);
      this.emit("msg:custom", { id: request.id, ok: true, result }, buffers);
    });
  }

  private emit(event: string, ...values: unknown[]): void {
    for (const listener of [...(this.listeners.get(event) ?? [])]) listener(...values);
  }

  private answer(request: Request): { result: unknown; buffers: Buffer[] } {
    const { type, class_name = "", phrase = "", split = "", index = 0, indices = [] } = request;
    if (type === "select_class") this.show(class_name, "");
    if (type === "score") this.show(class_name, phrase);
    if (type === "examples") {
      const key = this.get("examples_key");
      return { result: { key, members: this.get("class_name") }, buffers: this.examples };
    }
    if (type === "thumbnails") {
      const found = indices.map((at) => this.image(split, at));
      return { result: { items: found.map(({ item }) => item) }, buffers: found.map(({ bytes }) => bytes) };
    }
    if (type === "original") {
      const { item, bytes } = this.image(split, index);
      const { name, label, predicted, correct, mime } = item;
      const { confidence } = this.stored(split, index);
      const about = {
        name,
        label,
        predicted,
        correct,
        confidence: confidence ?? null,
        path: null,
        explains: false,
      };
      const result: Original = { ...about, width: 0, height: 0, mime };
      return { result, buffers: [bytes] };
    }
    return { result: {}, buffers: [] };
  }

  private stored(split: string, index: number): ReportImage {
    const stored = this.images[`${split}/${index}`];
    return typeof stored === "string" ? { src: stored } : (stored ?? { src: "" });
  }

  private image(split: string, index: number): { item: ThumbnailItem; bytes: Uint8Array } {
    const image = this.stored(split, index);
    const { mime, bytes } = decodeDataUrl(image.src);
    const { name = "", label = "", predicted = "", correct = true } = image;
    return { item: { index, name, label, predicted, correct, readable: true, mime }, bytes };
  }

  private show(className: string, phrase: string): boolean {
    const entry = this.report.phrases.find((one) => one.class_name === className && one.phrase === phrase);
    if (!entry) return false;
    this.set("class_name", className);
    this.set("phrase", phrase);
    this.set("threshold", entry.threshold);
    this.set("score", entry.score);
    this.set("history", this.history(className));
    const { members_base64 = "", confidences_base64 = "" } = this.report.members[className] ?? {};
    this.examples = [entry.similarities_base64, members_base64, confidences_base64].map(decodeBase64);
    const key = JSON.stringify([className, phrase]);
    this.emit("msg:custom", { type: "examples", key, members: className }, this.examples);
    this.set("examples_key", key);
    return true;
  }

  private history(className: string): Tried[] {
    const tried = this.report.phrases
      .filter((one) => one.class_name === className)
      .flatMap(({ score, expected = null }) => (score ? { ...score, expected } : []));
    const best = Math.max(...tried.map(({ score }) => score));
    const kept = new Set(
      (this.report.annotations ?? [])
        .filter((one) => one.class_name === className)
        .map(({ phrase }) => phrase),
    );
    return tried.map(({ phrase, score, threshold, direction, p_value, expected }) => ({
      phrase,
      score,
      threshold,
      direction,
      p_value,
      best: score === best,
      kept: kept.has(phrase),
      expected,
    }));
  }
}

/**
 * Shows what a session knew, without a kernel.
 *
 * @param widget the parts of the widget, which is another module
 * @param images thumbnails by "<split>/<row>"
 * @returns how to take the report away
 */
export function renderReport(
  widget: typeof parts,
  root: HTMLElement,
  state: ReportState,
  images: ReportImages,
): () => void {
  const { Channel, ExampleFeed, Thumbnails, TRAITS, mount } = widget;
  const model = new ReportModel(state, images, TRAITS);
  const channel = new Channel(model);
  const feed = new ExampleFeed(model, channel);
  const thumbnails = new Thumbnails(channel);
  const unmount = mount(root, { model, channel, feed, thumbnails, readonly: true });
  return () => {
    unmount();
    thumbnails.dispose();
    feed.dispose();
    channel.dispose();
  };
}
