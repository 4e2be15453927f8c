import { h } from "../dom";
import type { Thumbnails } from "../thumbnails";
import type { Picture, Tip } from "./view";

const GAP = 6;
const ZOOMED = 320;
const LEAST = 160;
const HOVER_MS = 350;

interface Area {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** What can be seen of an element, less a gap: hosts scroll notebooks inside parts that end above a status bar. */
function seen(element: Element): Area {
  const { left, right, top, bottom } = element.getBoundingClientRect();
  const area = {
    left: Math.max(0, left),
    right: Math.min(window.innerWidth, right),
    top: Math.max(0, top),
    bottom: Math.min(window.innerHeight, bottom),
  };
  for (let at = around(element); at && at !== document.body; at = around(at)) {
    if (!/auto|scroll|hidden|clip/.test(getComputedStyle(at).overflow)) continue;
    const box = at.getBoundingClientRect();
    area.left = Math.max(area.left, box.left);
    area.right = Math.min(area.right, box.right);
    area.top = Math.max(area.top, box.top);
    area.bottom = Math.min(area.bottom, box.bottom);
  }
  return {
    left: area.left + GAP,
    right: area.right - GAP,
    top: area.top + GAP,
    bottom: area.bottom - GAP,
  };
}

/** The parent, out of a shadow root too. */
function around(element: Element): Element | null {
  return element.parentElement ?? (element.getRootNode() as ShadowRoot).host ?? null;
}

/**
 * What is known of the image under the pointer or in focus; with its picture, enlarged, once the pointer rests
 * or when a key asks for it. Screen readers read the tile's own label.
 */
export function tooltip(enlarged: Thumbnails): Tip & { root: HTMLElement } {
  const image = h("img", { class: "cw-zoom", alt: "" });
  const text = h("div", {});
  const root = h(
    "div",
    { class: "cw-tip", "aria-hidden": "true", "data-testid": "tip", hidden: true },
    image,
    text,
  );
  let anchor: HTMLElement | null = null;
  let zoomed = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stop = () => {};
  image.hidden = true;

  const onEscape = (event: KeyboardEvent) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    end();
    place();
  };

  function end(): void {
    clearTimeout(timer);
    stop();
    stop = () => {};
    zoomed = false;
    image.hidden = true;
    root.classList.remove("cw-zoomed");
    root.ownerDocument.removeEventListener("keydown", onEscape, true);
  }

  /** The small picture at once, the large one when it comes. */
  function enlarge({ split, index, url }: Picture): void {
    clearTimeout(timer);
    stop();
    zoomed = true;
    root.classList.add("cw-zoomed");
    image.hidden = url === null;
    if (url) image.src = url;
    stop = enlarged.want(split, index, (found) => {
      if (!found.url) return;
      image.src = found.url;
      image.hidden = false;
      place();
    });
    place();
    root.ownerDocument.addEventListener("keydown", onEscape, true);
  }

  function show(next: HTMLElement | null, lines: string[] = [], picture?: Picture): void {
    const keep = zoomed && picture?.hovered === false;
    if (!keep) end();
    anchor = next;
    root.hidden = next === null || lines.length === 0;
    if (root.hidden) {
      end();
      return;
    }
    text.replaceChildren(...lines.map((line) => h("div", {}, line)));
    if (picture && keep) enlarge(picture);
    else if (picture?.hovered) timer = setTimeout(() => enlarge(picture), HOVER_MS);
    place();
  }

  function zoom(next: HTMLElement, lines: string[], picture: Picture): void {
    const already = zoomed && anchor === next;
    show(next, lines, picture);
    if (already) end();
    else enlarge(picture);
    place();
  }

  function place(): void {
    const frame = root.parentElement?.getBoundingClientRect();
    if (!anchor || !frame || root.hidden) return;
    const box = anchor.getBoundingClientRect();
    const area = seen(root.parentElement as Element);
    const { left, top } = zoomed ? beside(box, area) : above(box, area);
    root.style.left = `${left - frame.left}px`;
    root.style.top = `${top - frame.top}px`;
  }

  function above(box: DOMRect, area: Area): { left: number; top: number } {
    const { offsetWidth: width, offsetHeight: height } = root;
    const middle = box.left + (box.width - width) / 2;
    const left = Math.max(area.left, Math.min(area.right - width, middle));
    const top = box.top - height - GAP;
    return { left, top: top >= area.top ? top : box.bottom + GAP };
  }

  /** Never over the image itself: right or left of it where there is room, else below or above. */
  function beside(box: DOMRect, area: Area): { left: number; top: number } {
    const room = Math.max(area.right - box.right, box.left - area.left) - 2 * GAP;
    const sideways = room >= LEAST;
    const most = Math.min(ZOOMED, sideways ? room : area.right - area.left);
    root.style.setProperty("--cw-zoom", `${most}px`);
    if (!sideways) {
      const words = text.offsetHeight + 4 * GAP;
      const tall = Math.max(area.bottom - box.bottom, box.top - area.top) - words;
      root.style.setProperty("--cw-zoom", `${Math.max(LEAST / 2, Math.min(most, tall))}px`);
    }
    const { offsetWidth: width, offsetHeight: height } = root;
    const within = (value: number, low: number, high: number) => Math.max(low, Math.min(high, value));
    if (sideways) {
      const onRight = area.right - box.right >= box.left - area.left || area.right - box.right >= width + GAP;
      return {
        left: onRight ? box.right + GAP : box.left - width - GAP,
        top: within(box.top + (box.height - height) / 2, area.top, area.bottom - height),
      };
    }
    const isBelow = area.bottom - box.bottom >= box.top - area.top;
    return {
      left: within(box.left, area.left, area.right - width),
      top: isBelow ? box.bottom + GAP : box.top - height - GAP,
    };
  }

  return { root, show, zoom };
}
