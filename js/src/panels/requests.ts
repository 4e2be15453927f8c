import type { Host } from "../panel-loader";
import { strings } from "./strings";

export interface PoolRequests {
  /** Says what came to nothing. */
  readonly alert: HTMLElement;
  search(phrase: string): Promise<void>;
  /** Null rejects. */
  decide(split: string, rows: number[], className: string | null): Promise<void>;
  undo(): Promise<void>;
  add(): Promise<void>;
  retrain(objective: string): Promise<void>;
  dispose(): void;
}

/** What the panel of the pool asks the kernel for, and where it says that something went wrong. */
export function poolRequests({ channel, h, icon, setText, Superseded }: Host): PoolRequests {
  const message = h("p", { class: "cw-alert-text" });
  const alert = h(
    "div",
    { class: "cw-alert", role: "alert", "data-testid": "pool-error", hidden: true },
    icon("warning"),
    message,
    h(
      "button",
      {
        class: "cw-icon-button",
        type: "button",
        "aria-label": strings.pool.dismiss,
        title: strings.pool.dismiss,
        onclick: () => say(""),
      },
      icon("cross"),
    ),
  );
  let disposed = false;

  function say(text: string): void {
    alert.hidden = text === "";
    setText(message, text);
  }

  async function ask(type: string, fields: Record<string, unknown> = {}, lane?: string): Promise<void> {
    say("");
    try {
      await channel.request(type, fields, lane ? { lane, timeoutSeconds: 120 } : {});
    } catch (reason) {
      if (!disposed && !(reason instanceof Superseded)) say((reason as Error).message);
    }
  }

  return {
    alert,
    search: (phrase) => ask("pool_search", { phrase }, "pool"),
    decide: (split, rows, class_name) => ask("pool_decide", { split, rows, class_name }),
    undo: () => ask("pool_undo"),
    add: () => ask("pool_add"),
    retrain: (objective) => ask("retrain", { objective }),
    dispose() {
      disposed = true;
    },
  };
}
