// Images marked as having the phrase that is shown, or as not having it.

import type { Marks } from "./model";
import type { Shown } from "./views/view";

const KEYS: Record<string, boolean | null> = { "+": true, "=": true, "-": false, Backspace: null };

/** What a key says of an image; undefined where it says nothing, or where the image cannot be marked. */
export function markOfKey(key: string, image: Shown | undefined): boolean | null | undefined {
  return image && isMarkable(image) ? KEYS[key] : undefined;
}

/** Only validation images are marked: those of a test split are not to be looked at for this. */
export function isMarkable({ split, changed }: Shown): boolean {
  return split === "val" && !changed;
}

/** By row; an image without a mark is not in it. */
export function marksByRow({ has, has_not }: Marks): Map<number, boolean> {
  return new Map([...has.map((row) => [row, true] as const), ...has_not.map((row) => [row, false] as const)]);
}
