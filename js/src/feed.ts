// The images of the class that is shown. They are too many for a trait, which would be saved with every
// notebook: the kernel sends them as a message before the trait that names them, and again when asked. Which
// images they are comes once, and then only their similarities to each phrase. Those come after the trait, and
// with it what can be shown of them at a glance.

import type { Channel } from "./channel";
import { afterPaint } from "./dom";
import { Examples, Members } from "./examples";
import type { Buffer, Listener, Model } from "./model";

/** What came with it: similarities, then, where they are others than before, members and confidences. */
interface About {
  key: string;
  /** Names the members. */
  members: string;
}

function isSent(content: unknown): content is About {
  return (
    typeof content === "object" && content !== null && (content as { type?: unknown }).type === "examples"
  );
}

const NONE = new Examples(Members.decode(null));

/** Similarities that have not come this long after a glance at them were lost. */
const LATE_MS = 5000;

interface Held {
  key: string;
  examples: Examples;
}

export class ExampleFeed {
  /** The latest, and those before: a trait names the latest only a moment after they have come. */
  private held: Held[] = [];
  private members: { name: string; members: Members } | null = null;
  private asked = "";
  private readonly subscribers = new Set<() => void>();
  private readonly listener: Listener;

  constructor(
    private readonly model: Model,
    private readonly channel: Channel,
  ) {
    this.listener = (content: unknown, buffers?: Buffer[]) => {
      if (isSent(content)) this.hold(content, buffers ?? []);
    };
    model.on("msg:custom", this.listener);
  }

  /** Null while they are on their way. */
  get(key: string): Examples | null {
    if (key === "") return NONE;
    const found = this.held.find((held) => held.key === key) ?? this.glimpse(key);
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
    this.held = [];
  }

  /** Examples whose similarities are on their way. */
  private glimpse(key: string): Held | null {
    const glance = this.model.get("glance");
    if (glance?.key !== key || this.members?.name !== glance.members) return null;
    const held = { key, examples: new Examples(this.members.members, null, glance) };
    this.held = [held, ...this.held.slice(0, 1)];
    setTimeout(() => {
      if (!held.examples.complete && this.held.includes(held)) this.ask(key);
    }, LATE_MS);
    return held;
  }

  private ask(key: string): void {
    if (this.asked === key) return;
    this.asked = key;
    this.channel
      .request<About>("examples")
      .then(({ result, buffers }) => this.hold(result, buffers))
      .catch(() => {
        this.asked = "";
      });
  }

  private hold({ key, members: name }: About, [similarities, packed, confidences]: Buffer[]): void {
    if (packed) this.members = { name, members: Members.decode(packed, confidences) };
    // A page that came later asks for all of it when it needs it.
    if (this.members?.name !== name) return;
    const glimpsed = this.held.find((held) => held.key === key && !held.examples.complete);
    if (glimpsed) {
      glimpsed.examples.fill(similarities ?? null);
      // What was shown at a glance stays right, unless the threshold has moved meanwhile.
      afterPaint(() => this.tell(key));
      return;
    }
    const others = this.held.filter((held) => held.key !== key);
    const examples = Examples.decode(this.members.members, similarities);
    this.held = [{ key, examples }, ...others.slice(0, 1)];
    this.tell(key);
  }

  private tell(key: string): void {
    if (this.model.get("examples_key") !== key) return;
    for (const subscriber of [...this.subscribers]) subscriber();
  }
}
