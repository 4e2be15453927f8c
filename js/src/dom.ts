// Small helpers over the DOM. Text only ever enters as text nodes or attributes, never as markup.

type Child = Node | string | null | undefined | false;
type Value = string | number | boolean | null | undefined | ((event: never) => void);

const SVG = "http://www.w3.org/2000/svg";

function assign(node: Element, attributes: Record<string, Value>): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name.slice(2), value as EventListener);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
}

function append(node: Element, children: Child[]): void {
  for (const child of children) if (child) node.append(child);
}

/** `h("button", { class: "cw-button", onclick: save }, "Save")` */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, Value> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  assign(node, attributes);
  append(node, children);
  return node;
}

export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Record<string, Value> = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const node = document.createElementNS(SVG, tag);
  assign(node, attributes);
  append(node, children);
  return node;
}

/** Makes these the children, in order, and leaves alone those that are in place already. */
export function setChildren(node: Element, children: readonly Element[]): void {
  const wanted = new Set(children);
  for (const child of [...node.children]) if (!wanted.has(child)) child.remove();
  let next = node.firstElementChild;
  for (const child of children) {
    if (child === next) next = next.nextElementSibling;
    else node.insertBefore(child, next);
  }
}

/** Writes text only when it differs, so that live regions do not repeat themselves. */
export function setText(node: Element, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

/** An identifier that no other view on the page has. */
export function uniqueId(): string {
  return `cw${Math.random().toString(36).slice(2, 10)}`;
}

const ICONS = {
  check: "M3 8.5 6.5 12 13 4.5",
  cross: "M4 4l8 8M12 4l-8 8",
  undo: "M6 3 3 6l3 3M3 6h6.5a3.5 3.5 0 0 1 0 7H6",
  redo: "M10 3l3 3-3 3M13 6H6.5a3.5 3.5 0 0 0 0 7H10",
  bookmark: "M4.5 2.5h7v11L8 10.8l-3.5 2.7z",
  warning: "M8 2.2 14.5 13.5h-13zM8 6.5v3.2M8 11.6v.2",
  left: "M10 3 5 8l5 5",
  right: "M6 3l5 5-5 5",
  columns: "M2.5 3h4.2v10H2.5zM9.3 3h4.2v10H9.3z",
  copy: "M6 5.5V3h7v8h-2.5M3 5.5h7v8H3z",
  info: "M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8zM8 7.2v4M8 4.8v.2",
} as const;

export type IconName = keyof typeof ICONS | "star";

const STAR = "M8 1.6l1.95 4.1 4.5.55-3.3 3.1.85 4.45L8 11.6l-4 2.2.85-4.45-3.3-3.1 4.5-.55z";

/** Decoration: the words beside it carry the meaning. */
export function icon(name: IconName): SVGSVGElement {
  const filled = name === "star";
  return svg(
    "svg",
    { class: "cw-icon", viewBox: "0 0 16 16", "aria-hidden": "true", focusable: "false" },
    svg("path", {
      d: name === "star" ? STAR : ICONS[name],
      fill: filled ? "currentColor" : "none",
      stroke: filled ? "none" : "currentColor",
      "stroke-width": 1.6,
      "stroke-linecap": "round",
      "stroke-linejoin": "round",
    }),
  );
}

/** Calls back once the next frame is on the screen; returns what calls it off. */
export function afterPaint(callback: () => void): () => void {
  // The frame after the next: what runs right after a frame holds up its painting.
  let frame = requestAnimationFrame(() => {
    frame = requestAnimationFrame(callback);
  });
  return () => cancelAnimationFrame(frame);
}
