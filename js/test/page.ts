// A mounted widget over the fake kernel, and how to find its parts.

import { vi } from "vitest";
import { FakeKernel, sprites } from "../dev/fake";
import widget from "../src/index";
import type { Traits } from "../src/model";

export interface Page {
  kernel: FakeKernel;
  el: HTMLElement;
  root: HTMLElement;
  get(testid: string): HTMLElement;
  all(testid: string): HTMLElement[];
  ask(type: string, fields?: object): Promise<void>;
  close(): void;
}

/** happy-dom lays nothing out: frames of tiles get six columns and room for four rows. */
export const COLUMNS = 6;
export const ROWS_IN_SIGHT = 4;
const FRAME = { clientWidth: 428, clientHeight: 284 };
for (const [name, size] of Object.entries(FRAME)) {
  Object.defineProperty(HTMLElement.prototype, name, {
    configurable: true,
    get(this: HTMLElement) {
      return this.classList.contains("cw-tiles") ? size : 0;
    },
  });
}

export const settle = (ms = 50) => vi.advanceTimersByTimeAsync(ms);

/** Timers are fake: `settle` lets answers come. */
export async function openPage(
  start: Partial<Traits> = {},
  kernel = new FakeKernel(sprites(), start),
): Promise<Page> {
  const el = document.createElement("div");
  document.body.append(el);
  const controller = new AbortController();
  const { initialize, render } = widget();
  initialize({ model: kernel, signal: controller.signal });
  render({ model: kernel, el, signal: controller.signal });
  await settle();
  const root = el.querySelector(".cw-root") as HTMLElement;
  const all = (testid: string) => [...root.querySelectorAll<HTMLElement>(`[data-testid="${testid}"]`)];
  return {
    kernel,
    el,
    root,
    all,
    get(testid) {
      const [found] = all(testid);
      if (!found) throw new Error(`no ${testid}`);
      return found;
    },
    async ask(type, fields = {}) {
      kernel.send({ id: `test-${type}`, type, ...fields });
      await settle();
    },
    close() {
      controller.abort();
      el.remove();
    },
  };
}

/** With "red" scored for squares. */
export async function openScored(): Promise<Page> {
  const page = await openPage();
  await page.ask("select_class", { class_name: "square" });
  await page.ask("score", { class_name: "square", phrase: "red" });
  return page;
}

export function type(box: HTMLElement, text: string): void {
  (box as HTMLInputElement).value = text;
  box.dispatchEvent(new Event("input", { bubbles: true }));
}

export function press(target: Element, key: string, options: KeyboardEventInit = {}): void {
  target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...options }));
}

export const sent = (kernel: FakeKernel, kind: string) => kernel.requests.filter((one) => one.type === kind);
