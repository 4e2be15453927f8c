import type { Host } from "../panel-loader";
import { strings } from "./strings";

export interface Asking {
  /** Says what came to nothing. */
  readonly alert: HTMLElement;
  /** Says what else went wrong; nothing to say hides it. */
  say(text: string): void;
  /** Null when it came to nothing, or to nothing new. */
  ask<T>(type: string, fields?: Record<string, unknown>, lane?: string): Promise<T | null>;
  dispose(): void;
}

const SECONDS = 120;

/** What a panel asks the kernel for, and where it says that something went wrong. */
export function asking({ channel, h, icon, setText, Superseded }: Host, testid: string): Asking {
  const message = h("p", { class: "cw-alert-text" });
  const alert = h(
    "div",
    { class: "cw-alert", role: "alert", "data-testid": testid, hidden: true },
    icon("warning"),
    message,
    h(
      "button",
      {
        class: "cw-icon-button",
        type: "button",
        "aria-label": strings.dismiss,
        title: strings.dismiss,
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

  return {
    alert,
    say,
    async ask<T>(type: string, fields: Record<string, unknown> = {}, lane?: string): Promise<T | null> {
      say("");
      try {
        const options = lane ? { lane, timeoutSeconds: SECONDS } : {};
        return (await channel.request<T>(type, fields, options)).result;
      } catch (reason) {
        if (!disposed && !(reason instanceof Superseded)) say((reason as Error).message);
        return null;
      }
    },
    dispose() {
      disposed = true;
    },
  };
}
