import { h, icon } from "../dom";
import { strings } from "../strings";
import type { Thumbnail, Thumbnails } from "../thumbnails";
import type { Picture, Shown } from "./view";

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
  if (shown.confidence !== null) lines.push(`${strings.confidence}: ${strings.percent(shown.confidence)}`);
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
  readonly root: HTMLElement;
  private thumbnail: Thumbnail | null = null;
  private drawn = false;
  private wanted: "now" | "later" | null = null;
  private stop: () => void = () => {};
  private shown: Shown;

  constructor(
    shown: Shown,
    private readonly thumbnails: Thumbnails,
    testid: string,
    selectable: boolean,
  ) {
    this.shown = shown;
    this.root = h(
      "div",
      {
        class: "cw-tile",
        role: "option",
        tabindex: -1,
        "aria-selected": selectable ? "false" : null,
        "data-testid": testid,
        "data-index": shown.index,
      },
      selectable && h("span", { class: "cw-check", "data-testid": "check" }, icon("check")),
    );
  }

  /** Whether the corner that selects was hit. */
  static isCheck(target: EventTarget | null): boolean {
    return (target as Element | null)?.closest(".cw-check") != null;
  }

  get image(): Shown {
    return this.shown;
  }

  get lines(): string[] {
    return describe(this.shown, this.thumbnail);
  }

  get picture(): Picture {
    const { split, index } = this.shown;
    return { split, index, url: this.thumbnail?.url ?? null };
  }

  update(shown: Shown): void {
    const { correct, similarity, confidence, marked: has } = this.shown;
    const same =
      correct === shown.correct &&
      similarity === shown.similarity &&
      confidence === shown.confidence &&
      has === shown.marked;
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

  place(at: number, size: number, left: number, top: number): void {
    this.root.style.transform = `translate(${left}px,${top}px)`;
    this.root.setAttribute("aria-posinset", String(at + 1));
    this.root.setAttribute("aria-setsize", String(size));
  }

  select(selected: boolean): void {
    if (!this.root.hasAttribute("aria-selected")) return;
    this.root.setAttribute("aria-selected", String(selected));
    this.root.classList.toggle("cw-selected", selected);
  }

  /** Wants the picture: before those that are not in sight, or after those that are. */
  load(inSight: boolean): void {
    const when = inSight ? "now" : "later";
    if (this.thumbnail || this.wanted === when) return;
    this.wanted = when;
    this.stop();
    const receive = (thumbnail: Thumbnail) => this.receive(thumbnail);
    this.stop = this.thumbnails.want(this.shown.split, this.shown.index, receive, inSight);
  }

  dispose(): void {
    this.stop();
    this.root.remove();
  }

  private receive(thumbnail: Thumbnail): void {
    this.thumbnail = thumbnail;
    const picture = thumbnail.url
      ? h("img", {
          class: "cw-picture",
          src: thumbnail.url,
          alt: "",
          draggable: "false",
          decoding: "async",
        })
      : h("span", { class: "cw-unreadable" }, thumbnail.readable ? strings.notInReport : strings.unreadable);
    this.root.prepend(picture);
    this.relabel();
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

  private relabel(): void {
    const name = this.thumbnail?.name || strings.imageName(this.shown.index);
    this.root.setAttribute("aria-label", [name, ...this.lines].join(", "));
  }
}
