import type { Host } from "../panel-loader";
import { panelStrings } from "../strings";

export interface Asking {
  /** Says what came to nothing. */
  readonly alert: HTMLElement;
  /** Shows what else went wrong, which the alert above the loop has said already; nothing hides it. */
  show(text: string): void;
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
    { class: "cw-alert", "data-testid": testid, hidden: true },
    icon("warning"),
    message,
    h(
      "button",
      {
        class: "cw-icon-button",
        type: "button",
        "aria-label": panelStrings.dismiss,
        title: panelStrings.dismiss,
        onclick: () => show(""),
      },
      icon("cross"),
    ),
  );
  let disposed = false;

  function show(text: string): void {
    alert.removeAttribute("role");
    alert.hidden = text === "";
    setText(message, text);
  }

  function say(text: string): void {
    alert.setAttribute("role", "alert");
    alert.hidden = false;
    setText(message, text);
  }

  return {
    alert,
    show,
    async ask<T>(type: string, fields: Record<string, unknown> = {}, lane?: string): Promise<T | null> {
      show("");
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
