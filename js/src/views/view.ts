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
  /** Marked as having the phrase that is shown, or as not having it. */
  marked?: boolean | undefined;
  /** Among the images that retraining changed; what is predicted is then what was predicted before it. */
  changed?: boolean;
}

/** What the parts share. */
export interface Tools {
  actions: Actions;
  thumbnails: Thumbnails;
  readonly: boolean;
  /** Opens the original of `images[at]`; the others can be stepped to. */
  open(images: Shown[], at: number): void;
  /** Shows `lines` beside `anchor`, or hides them. */
  tip(anchor: HTMLElement | null, lines?: string[]): void;
}
