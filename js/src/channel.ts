// Requests from the page to the kernel and their answers, over custom messages.

import type { Buffer, Listener, Model, WidgetError } from "./model";
import { strings } from "./strings";

export interface Answer<T> {
  result: T;
  buffers: Buffer[];
}

/** The kernel answered with an error, or did not answer. */
export class RequestError extends Error {
  constructor(readonly error: WidgetError) {
    super(error.message);
    this.name = error.type;
  }
}

/** A later request of the same lane took this one's place; nobody waits for its answer any more. */
export class Superseded extends Error {}

interface Waiting {
  lane: string | null;
  resolve(answer: Answer<unknown>): void;
  reject(reason: Error): void;
  timer: ReturnType<typeof setTimeout>;
}

interface Reply {
  id: string;
  ok: boolean;
  result?: unknown;
  error?: WidgetError;
}

function isReply(content: unknown): content is Reply {
  return typeof content === "object" && content !== null && "id" in content && "ok" in content;
}

export interface RequestOptions {
  /** At most one request of a lane is waited for: the latest. */
  lane?: string;
  timeoutSeconds?: number;
}

export class Channel {
  private readonly prefix = Math.random().toString(36).slice(2, 12);
  private readonly waiting = new Map<string, Waiting>();
  private readonly listener: Listener;
  private sent = 0;

  constructor(private readonly model: Model) {
    this.listener = (content: unknown, buffers?: Buffer[]) => this.receive(content, buffers ?? []);
    model.on("msg:custom", this.listener);
  }

  request<T>(
    type: string,
    fields: Record<string, unknown> = {},
    { lane, timeoutSeconds = 30 }: RequestOptions = {},
  ): Promise<Answer<T>> {
    const id = `${this.prefix}-${++this.sent}`;
    if (lane) this.supersede(lane);
    return new Promise<Answer<T>>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(id);
        reject(new RequestError({ type: "Timeout", message: strings.timeout(timeoutSeconds) }));
      }, timeoutSeconds * 1000);
      this.waiting.set(id, {
        lane: lane ?? null,
        resolve: resolve as (answer: Answer<unknown>) => void,
        reject,
        timer,
      });
      try {
        this.model.send({ id, type, ...fields });
      } catch {
        this.take(id)?.reject(new RequestError({ type: "Disconnected", message: strings.gone }));
      }
    });
  }

  dispose(): void {
    this.model.off("msg:custom", this.listener);
    for (const id of [...this.waiting.keys()]) this.take(id)?.reject(new Superseded());
  }

  private supersede(lane: string): void {
    for (const [id, { lane: other }] of [...this.waiting]) {
      if (other === lane) this.take(id)?.reject(new Superseded());
    }
  }

  private take(id: string): Waiting | undefined {
    const waiting = this.waiting.get(id);
    if (waiting) {
      clearTimeout(waiting.timer);
      this.waiting.delete(id);
    }
    return waiting;
  }

  private receive(content: unknown, buffers: Buffer[]): void {
    if (!isReply(content)) return;
    const waiting = this.take(content.id);
    if (!waiting) return;
    if (content.ok) waiting.resolve({ result: content.result, buffers });
    else waiting.reject(new RequestError(content.error ?? { type: "Error", message: strings.gone }));
  }
}
