import { expect, it } from "vitest";

import type { Thumbnails } from "../../src/thumbnails";
import { tooltip } from "../../src/views/tooltip";

const picture = { split: "val", index: 0, url: "blob:small" };

function place(element: HTMLElement, left: number, top: number, width: number, height: number): void {
  element.getBoundingClientRect = () => new DOMRect(left, top, width, height);
}

/** A widget in a shadow root, inside a part that scrolls and ends 100 px above the end of the window. */
function inScroller(tileTop: number) {
  const scroller = document.createElement("div");
  scroller.style.overflow = "auto";
  const host = document.createElement("div");
  const widget = document.createElement("div");
  const tile = document.createElement("div");
  const tip = tooltip({ want: () => () => {} } as unknown as Thumbnails);
  scroller.append(host);
  host.attachShadow({ mode: "open" }).append(widget);
  widget.append(tile, tip.root);
  document.body.append(scroller);
  place(scroller, 0, 0, 900, window.innerHeight - 100);
  place(widget, 0, -500, 900, 3000);
  place(tile, 100, tileTop, 96, 96);
  Object.defineProperties(tip.root, { offsetWidth: { value: 332 }, offsetHeight: { value: 400 } });
  return { tip, tile, top: () => Number.parseFloat(tip.root.style.top) - 500 };
}

it("keeps an enlarged picture inside the part of the notebook that can be seen", () => {
  const end = window.innerHeight - 100;
  const { tip, tile, top } = inScroller(end - 60);
  tip.zoom(tile, ["Label: square"], picture);
  expect(top() + 400).toBeLessThanOrEqual(end);
});

it("puts a line below an image whose upper side is at the edge of what can be seen", () => {
  const { tip, tile, top } = inScroller(10);
  tip.show(tile, ["Label: square"]);
  expect(top()).toBeGreaterThanOrEqual(10 + 96);
});
