import type { Actions } from "../actions";
import { type Channel, RequestError, Superseded } from "../channel";
import { h, icon, setText } from "../dom";
import { isMarkable, markOfKey, marksByRow } from "../marking";
import type { Original } from "../model";
import type { State } from "../state";
import { strings } from "../strings";
import { blobUrl, type Thumbnails } from "../thumbnails";
import type { Listing, Looking, ShowMap, Shown } from "./view";

export interface OriginalDialog {
  readonly root: HTMLDialogElement;
  open(listing: Listing, at: number, closed: (at: number) => void): void;
  update(state: State): void;
  dispose(): void;
}

/** The original image with what is known of it; the arrow keys step to its neighbours. */
export function originalDialog(
  channel: Channel,
  actions: Actions,
  thumbnails: Thumbnails,
  lookingBar: (show: ShowMap) => Looking,
): OriginalDialog {
  const picture = h("img", { class: "cw-original", alt: "" });
  const message = h("p", { class: "cw-quiet cw-original-message" });
  const title = h("h2", { class: "cw-dialog-title" });
  const facts = h("div", { class: "cw-facts" });
  const button = (name: "cross" | "left" | "right" | "copy", label: string, act: () => void) =>
    h(
      "button",
      { class: "cw-icon-button", type: "button", "aria-label": label, title: label, onclick: act },
      icon(name),
    );
  const markButton = (has: boolean) =>
    h(
      "button",
      {
        class: "cw-button",
        type: "button",
        "data-testid": has ? "mark-has" : "mark-has-not",
        onclick: () => mark(current(has) ? null : has),
      },
      has ? strings.markHas : strings.markHasNot,
    );
  const markButtons = [markButton(true), markButton(false)] as const;
  const question = h("span", { class: "cw-muted" });
  const marking = h("div", { class: "cw-row-of-buttons" }, question, ...markButtons);
  const looking = lookingBar((map, about) => {
    const source = map ?? url;
    if (source && source !== picture.src) picture.src = source;
    picture.alt = map ? strings.mapAlt(about, alt) : alt;
  });
  const previous = button("left", strings.previous, () => step(-1));
  const next = button("right", strings.next, () => step(1));
  const root = h(
    "dialog",
    {
      class: "cw-dialog",
      "data-testid": "original-dialog",
      onclose: () => clear(),
      onclick: (event: MouseEvent) => {
        if (event.target === root) root.close();
      },
      onkeydown: (event: KeyboardEvent) => {
        if (event.key === "ArrowLeft") step(-1);
        else if (event.key === "ArrowRight") step(1);
        const has = markOfKey(event.key, image());
        if (has !== undefined) mark(has);
        // Escape and arrows belong to the dialog, not to the notebook below it.
        event.stopPropagation();
      },
    },
    h(
      "div",
      { class: "cw-dialog-body" },
      h(
        "div",
        { class: "cw-dialog-header" },
        title,
        previous,
        next,
        button("cross", strings.close, () => root.close()),
      ),
      h("div", { class: "cw-original-frame" }, picture, message),
      looking.root,
      facts,
      marking,
    ),
  );
  let listing: Listing | null = null;
  let at = 0;
  let url: string | null = null;
  let alt = "";
  let closed: ((at: number) => void) | null = null;
  let last: State | null = null;

  function image(): Shown | undefined {
    return listing?.image(at);
  }

  function mark(has: boolean | null): void {
    const shown = image();
    if (shown) void actions.mark([shown.index], has);
  }

  function current(has: boolean): boolean {
    const row = image()?.index ?? -1;
    return last !== null && marksByRow(last.marks).get(row) === has;
  }

  function showMarks(): void {
    const shown = image();
    marking.hidden = !shown || !isMarkable(shown) || !last?.phrase;
    setText(question, strings.markQuestion(last?.phrase ?? ""));
    markButtons.forEach((one, not) => {
      one.setAttribute("aria-pressed", String(current(not === 0)));
    });
  }

  function clear(): void {
    looking.clear();
    if (url) URL.revokeObjectURL(url);
    url = null;
    picture.removeAttribute("src");
    picture.hidden = true;
    closed?.(at);
    closed = null;
  }

  function fact(name: string, value: string, after: HTMLElement | null = null): HTMLElement {
    return h(
      "div",
      { class: "cw-fact" },
      h("span", { class: "cw-muted" }, name),
      h("span", {}, value, after),
    );
  }

  function wrongMark(): HTMLElement {
    return h("span", { class: "cw-inline-mark" }, icon("cross"), strings.wrongMark);
  }

  /** Pages that are not secure have no clipboard; there the path can be marked and copied. */
  function copyButton(path: string): HTMLElement | null {
    const { clipboard } = navigator;
    return clipboard ? button("copy", strings.copyPath, () => void clipboard.writeText(path)) : null;
  }

  /** The title never changes: it is the name, or empty until that is known. */
  function describe(shown: Shown, original: Original | null, nameless = ""): void {
    const name = original?.name || thumbnails.known(shown.split, shown.index)?.name;
    setText(title, name || nameless);
    const rows: HTMLElement[] = [];
    const label = original?.label ?? shown.label;
    if (label) rows.push(fact(strings.label, label));
    if (original?.predicted) {
      const name = shown.changed ? strings.predictedBefore : strings.predicted;
      rows.push(fact(name, original.predicted, original.correct ? null : wrongMark()));
    }
    const confidence = shown.confidence ?? original?.confidence ?? null;
    if (confidence !== null) rows.push(fact(strings.confidence, strings.percent(confidence)));
    if (shown.similarity !== null) {
      rows.push(fact(strings.similarityLabel, strings.similarity(shown.similarity)));
    }
    if (original?.width) rows.push(fact(strings.size, strings.pixels(original.width, original.height)));
    if (original?.path) rows.push(fact(strings.path, original.path, copyButton(original.path)));
    facts.replaceChildren(...rows);
  }

  async function load(): Promise<void> {
    const shown = image();
    if (!listing || !shown) return;
    const nameless = strings.imageName(shown.index);
    previous.disabled = at === 0;
    next.disabled = at === listing.rows.length - 1;
    describe(shown, null);
    showMarks();
    looking.offer(null);
    setText(message, strings.loadingOriginal);
    message.hidden = !picture.hidden;
    try {
      const { result, buffers } = await channel.request<Original>(
        "original",
        { split: shown.split, index: shown.index },
        { lane: "original" },
      );
      if (!root.open) return;
      describe(shown, result, nameless);
      const buffer = buffers[0];
      if (url) URL.revokeObjectURL(url);
      url = buffer && buffer.byteLength > 0 ? blobUrl(buffer, result.mime) : null;
      picture.hidden = url === null;
      alt = [result.name, result.label].filter(Boolean).join(", ");
      looking.offer(shown, result.explains ? namesFor(result) : []);
      message.hidden = url !== null;
      setText(message, strings.unreadable);
    } catch (reason) {
      if (reason instanceof Superseded) return;
      describe(shown, null, nameless);
      picture.hidden = true;
      message.hidden = false;
      setText(message, reason instanceof RequestError ? reason.message : String(reason));
    }
  }

  function namesFor({ label, predicted }: Original): string[] {
    return [...new Set([label, predicted, last?.phrase ?? ""])].filter(Boolean);
  }

  function step(by: number): void {
    if (listing?.rows[at + by] === undefined) return;
    at += by;
    void load();
  }

  return {
    root,
    open(images, start, whenClosed) {
      listing = images;
      at = start;
      closed = whenClosed;
      picture.hidden = true;
      if (!root.open) root.showModal();
      void load();
    },
    update(state) {
      last = state;
      if (root.open) showMarks();
    },
    dispose() {
      closed = null;
      if (root.open) root.close();
      clear();
    },
  };
}
