import { h } from "../dom";

const GAP = 6;

/** What is known of the image under the pointer or in focus. Screen readers read the tile's own label. */
export function tooltip() {
  const root = h("div", { class: "cw-tip", "aria-hidden": "true", hidden: true });

  function show(anchor: HTMLElement | null, lines: string[] = []): void {
    root.hidden = anchor === null || lines.length === 0;
    if (anchor === null || root.hidden) return;
    root.replaceChildren(...lines.map((line) => h("div", {}, line)));
    const frame = root.parentElement?.getBoundingClientRect();
    const box = anchor.getBoundingClientRect();
    if (!frame) return;
    const middle = box.left - frame.left + box.width / 2;
    const half = root.offsetWidth / 2;
    const left = Math.max(half + GAP, Math.min(frame.width - half - GAP, middle));
    const above = box.top - frame.top - root.offsetHeight - GAP;
    root.style.left = `${left}px`;
    root.style.top = `${above >= 0 ? above : box.bottom - frame.top + GAP}px`;
  }

  return { root, show };
}
