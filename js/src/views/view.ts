import type { Actions } from "../actions";
import type { State } from "../state";
import type { Thumbnails } from "../thumbnails";

/** One part of the face: made once, then told the state whenever it changes. */
export interface View {
  readonly root: HTMLElement;
  update(state: State): void;
  dispose?(): void;
}

/** An image on the screen. */
export interface Shown {
  split: string;
  index: number;
  label: string | null;
  correct: boolean;
  /** Null without a phrase. */
  similarity: number | null;
  /** The probability of what is predicted; null where it is not known. */
  confidence: number | null;
  /** Marked as having the phrase that is shown, or as not having it. */
  marked?: boolean | undefined;
  /** Among the images that retraining changed; what is predicted is then what was predicted before it. */
  changed?: boolean;
}

/** Images in an order, each made when it is needed. */
export interface Listing {
  /** Their rows in the split. */
  rows: Int32Array;
  image(at: number): Shown;
}

/** A picture that can be enlarged. */
export interface Picture {
  split: string;
  index: number;
  /** Of the thumbnail, where it is here. */
  url: string | null;
  /** Under the pointer, not in focus. */
  hovered?: boolean;
}

export interface Tip {
  /** Shows `lines` beside `anchor`, or hides them. */
  show(anchor: HTMLElement | null, lines?: string[], picture?: Picture): void;
  /** Enlarges the picture beside `anchor`, or makes it small again. */
  zoom(anchor: HTMLElement, lines: string[], picture: Picture): void;
}

/** What the parts share. */
export interface Tools {
  actions: Actions;
  thumbnails: Thumbnails;
  readonly: boolean;
  /** Opens the original at a place of the listing; `closed` hears of the place that was stepped to. */
  open(listing: Listing, at: number, closed: (at: number) => void): void;
  tip: Tip["show"];
  zoom: Tip["zoom"];
}

/** Buttons that show where in an image the model looks. */
export interface Looking {
  readonly root: HTMLElement;
  /** The image in sight and what can be asked of it; null while there is none. */
  offer(image: { split: string; index: number } | null, names?: string[]): void;
  clear(): void;
}

/** Gets the map, null where it is taken away, and what speaks for it. */
export type ShowMap = (map: string | null, about: string) => void;
