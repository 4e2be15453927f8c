// Light or dark: the theme trait decides, else the luminance of the nearest opaque background.

import type { Theme } from "./model";

function parent(node: Element): Element | null {
  if (node.parentElement) return node.parentElement;
  const root = node.getRootNode();
  return root instanceof ShadowRoot ? root.host : null;
}

/** Relative luminance of an opaque CSS colour in 0..1; null when it is see-through or not understood. */
export function luminance(colour: string): number | null {
  const numbers = colour.match(/[\d.]+%?/g)?.map((part) => Number.parseFloat(part));
  if (!colour.startsWith("rgb") || !numbers || numbers.length < 3) return null;
  const [red = 0, green = 0, blue = 0, alpha = 1] = numbers;
  if (alpha < 0.5) return null;
  return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255;
}

export function isDark(element: Element): boolean {
  for (let node = parent(element); node; node = parent(node)) {
    const found = luminance(getComputedStyle(node).backgroundColor);
    if (found !== null) return found < 0.5;
  }
  return false;
}

/** Keeps `root` marked as light or dark while the host changes its theme. Returns how to stop. */
export function watchTheme(root: HTMLElement, chosen: () => Theme): { apply(): void; stop(): void } {
  const apply = () => {
    const theme = chosen();
    const dark = theme === "auto" ? isDark(root) : theme === "dark";
    root.classList.toggle("cw-dark", dark);
    // A chosen theme must not mix with the colours of the host.
    root.classList.toggle("cw-own", theme !== "auto");
  };
  let later: ReturnType<typeof setTimeout> | undefined;
  const changed = () => {
    apply();
    // The host swaps its style sheet after it has marked its body.
    clearTimeout(later);
    later = setTimeout(apply, 400);
  };
  const observer = new MutationObserver(changed);
  for (const element of [document.documentElement, document.body]) {
    observer.observe(element, { attributes: true });
  }
  const scheme = globalThis.matchMedia?.("(prefers-color-scheme: dark)");
  scheme?.addEventListener?.("change", changed);
  return {
    apply,
    stop() {
      observer.disconnect();
      clearTimeout(later);
      scheme?.removeEventListener?.("change", changed);
    },
  };
}
