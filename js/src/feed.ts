// The images of the class that is shown. They are too many for a trait, which would be saved with every
// notebook: the kernel sends them as a message before the trait that names them, and again when asked.

import type { Channel } from "./channel";
import { Examples } from "./examples";
import type { Buffer, Listener, Model } from "./model";

interface Sent {
  type: "examples";
  key: string;
}

function isSent(content: unknown): content is Sent {
  return typeof content === "object" && content !== null && (content as Partial<Sent>).type === "examples";
}

const NONE = Examples.decode(null);

export class ExampleFeed {
  /** The latest, and those before: a trait names the latest only a moment after they have come. */
  private held: { key: string; examples: Examples }[] = [];
  private asked = "";
  private readonly subscribers = new Set<() => void>();
  private readonly listener: Listener;

  constructor(
    private readonly model: Model,
    private readonly channel: Channel,
  ) {
    this.listener = (content: unknown, buffers?: Buffer[]) => {
      if (isSent(content)) this.hold(content.key, buffers ?? []);
    };
    model.on("msg:custom", this.listener);
  }

  /** Null while they are on their way. */
  get(key: string): Examples | null {
    if (key === "") return NONE;
    const found = this.held.find((held) => held.key === key);
    if (!found) this.ask(key);
    return found?.examples ?? null;
  }

  /** Calls back when the examples that the trait names already have come. Returns how to stop. */
  subscribe(subscriber: () => void): () => void {
    this.subscribers.add(subscriber);
    return () => this.subscribers.delete(subscriber);
  }

  dispose(): void {
    this.model.off("msg:custom", this.listener);
    this.subscribers.clear();
  }

  private ask(key: string): void {
    if (this.asked === key) return;
    this.asked = key;
    this.channel
      .request<{ key: string }>("examples")
      .then(({ result, buffers }) => this.hold(result.key, buffers))
      .catch(() => {
        this.asked = "";
      });
  }

  private hold(key: string, [packed = null, confidences = null]: (Buffer | null)[]): void {
    const others = this.held.filter((held) => held.key !== key);
    this.held = [{ key, examples: Examples.decode(packed, confidences) }, ...others.slice(0, 1)];
    if (this.model.get("examples_key") !== key) return;
    for (const subscriber of [...this.subscribers]) subscriber();
  }
}
