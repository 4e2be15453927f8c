// Who uses the keyboard must not be thrown out of the widget when what had the focus is disabled, hidden or gone.

const STOPS = "button, input, select, summary, a[href], [tabindex]";

function usable(element: HTMLElement): boolean {
  if (!element.isConnected || element.matches(":disabled") || element.closest("[hidden]")) return false;
  const dialog = element.closest("dialog");
  return dialog === null || dialog.open;
}

function ancestors(element: HTMLElement, root: HTMLElement): HTMLElement[] {
  const found: HTMLElement[] = [];
  for (let node = element.parentElement; node && root.contains(node); node = node.parentElement)
    found.push(node);
  return found;
}

/** What comes next to `gone` in the smallest part around it that still has something to focus. */
function neighbour(gone: HTMLElement, around: HTMLElement[]): HTMLElement | undefined {
  for (const part of around) {
    if (!part.isConnected) continue;
    const stops = [...part.querySelectorAll<HTMLElement>(STOPS)].filter(
      (stop) => stop.tabIndex >= 0 && stop !== gone && usable(stop),
    );
    const after = stops.find(
      (stop) => gone.compareDocumentPosition(stop) === Node.DOCUMENT_POSITION_FOLLOWING,
    );
    const found = after ?? stops.at(gone.isConnected ? -1 : 0);
    if (found) return found;
  }
  return undefined;
}

/** Moves the focus to a neighbour whenever what has it cannot have it any more. Returns how to stop. */
export function keepFocus(root: HTMLElement): () => void {
  let focused: HTMLElement | null = null;
  let around: HTMLElement[] = [];

  root.addEventListener("focusin", (event) => {
    focused = event.target as HTMLElement;
    around = ancestors(focused, root);
  });
  root.addEventListener("focusout", ({ target: left }) => {
    // What is being removed loses the focus while it is still there; what was left is there a moment later too.
    queueMicrotask(() => {
      if (focused === left && usable(left as HTMLElement)) focused = null;
    });
  });
  const observer = new MutationObserver(() => {
    if (!focused || usable(focused)) return;
    const next = neighbour(focused, around);
    focused = null;
    next?.focus();
  });
  observer.observe(root, {
    subtree: true,
    childList: true,
    attributes: true,
    attributeFilter: ["disabled", "hidden"],
  });
  return () => observer.disconnect();
}
