import { h, icon } from "../dom";
import { strings } from "../strings";
import type { Thumbnail, Thumbnails } from "../thumbnails";
import type { Shown, Tools } from "./view";

function prediction({ correct, changed }: Shown, predicted: string | undefined): string[] {
  if (changed) {
    const now = correct ? strings.nowRight : strings.nowWrong;
    return predicted ? [`${strings.predictedBefore}: ${predicted}`, now] : [now];
  }
  if (!predicted) return correct ? [] : [strings.wrongMark];
  return [`${strings.predicted}: ${predicted}${correct ? "" : `, ${strings.wrongMark}`}`];
}

/** What is known of an image, one line each. */
export function describe(shown: Shown, thumbnail: Thumbnail | null): string[] {
  const label = thumbnail?.label || shown.label;
  const lines = label ? [`${strings.label}: ${label}`] : [];
  lines.push(...prediction(shown, thumbnail?.predicted));
  if (shown.similarity !== null) {
    lines.push(`${strings.similarityLabel}: ${strings.similarity(shown.similarity)}`);
  }
  if (shown.marked !== undefined) lines.push(shown.marked ? strings.hasIt : strings.hasItNot);
  if (thumbnail && !thumbnail.url) {
    lines.push(thumbnail.readable ? strings.notInReport : strings.unreadable);
  }
  return lines;
}

/** One image of fixed size; the picture comes when the kernel has sent it. */
export class Tile {
  readonly root: HTMLButtonElement;
  private thumbnail: Thumbnail | null = null;
  private drawn = false;
  private stop: () => void = () => {};
  private shown: Shown;

  constructor(
    shown: Shown,
    private readonly tools: Tools,
    open: (tile: Tile) => void,
    testid: string,
  ) {
    this.shown = shown;
    this.root = h("button", {
      class: "cw-tile",
      type: "button",
      tabindex: -1,
      "data-testid": testid,
      "data-index": shown.index,
      onclick: () => open(this),
      onpointerenter: () => this.tip(),
      onpointerleave: () => tools.tip(null),
      onfocus: () => this.tip(),
      onblur: () => tools.tip(null),
    });
    this.update(shown);
    this.load(tools.thumbnails);
  }

  get image(): Shown {
    return this.shown;
  }

  update(shown: Shown): void {
    const { correct, similarity, marked: has } = this.shown;
    const same = correct === shown.correct && similarity === shown.similarity && has === shown.marked;
    if (this.drawn && same) return;
    this.drawn = true;
    this.shown = shown;
    const wrong = !shown.correct;
    const marked = this.root.querySelector(".cw-mark");
    this.root.classList.toggle("cw-wrong", wrong);
    this.root.dataset.correct = String(shown.correct);
    if (wrong && !marked) {
      this.root.append(h("span", { class: "cw-mark" }, icon("cross"), strings.wrongMark));
    } else if (!wrong) marked?.remove();
    this.badge(shown.marked);
    this.relabel();
  }

  dispose(): void {
    this.stop();
  }

  private badge(has: boolean | undefined): void {
    this.root.querySelector(".cw-has")?.remove();
    if (has === undefined) return;
    const badge = h(
      "span",
      { class: "cw-has", "data-testid": "has" },
      has ? strings.hasMark : strings.hasNotMark,
    );
    badge.classList.toggle("cw-has-not", !has);
    this.root.append(badge);
  }

  private load(thumbnails: Thumbnails): void {
    this.stop = thumbnails.want(this.shown.split, this.shown.index, (thumbnail) => {
      this.thumbnail = thumbnail;
      const picture = thumbnail.url
        ? h("img", {
            class: "cw-picture",
            src: thumbnail.url,
            alt: "",
            draggable: "false",
            decoding: "async",
          })
        : h(
            "span",
            { class: "cw-unreadable" },
            thumbnail.readable ? strings.notInReport : strings.unreadable,
          );
      this.root.prepend(picture);
      this.relabel();
    });
  }

  private relabel(): void {
    const name = this.thumbnail?.name || strings.imageName(this.shown.index);
    this.root.setAttribute("aria-label", [name, ...describe(this.shown, this.thumbnail)].join(", "));
  }

  private tip(): void {
    this.tools.tip(this.root, describe(this.shown, this.thumbnail));
  }
}
