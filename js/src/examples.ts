// The class now shown: for each validation image its row, its similarity to the phrase, and whether the
// model is right. Sorted once per phrase, so that a drag of the threshold is a bisection.

import type { Buffer, Glance } from "./model";

export interface Side {
  size: number;
  wrong: number;
  /** NaN for an empty side. */
  accuracy: number;
}

export interface Split {
  threshold: number;
  /** How many images, in ascending similarity, lie at or below the threshold. */
  position: number;
  without: Side;
  with: Side;
}

export type SideName = "right" | "wrong" | "without" | "with";
export type Order = "most-similar" | "least-similar" | "most-confident" | "least-confident" | "index";

export interface Histogram {
  low: number;
  high: number;
  /** Share of the right (wrong) images in each bin; each sums to 1 unless there are none. */
  right: Float64Array;
  wrong: Float64Array;
}

function bytesOf(buffer: Buffer): Uint8Array {
  if (buffer instanceof ArrayBuffer) return new Uint8Array(buffer);
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

/** A copy: what comes over the wire may begin anywhere. */
function floatsOf(buffer: Buffer | null): Float32Array {
  const bytes = buffer ? bytesOf(buffer) : new Uint8Array(0);
  return new Float32Array(bytes.slice(0, bytes.length - (bytes.length % 4)).buffer);
}

function sideOf(size: number, wrong: number): Side {
  return { size, wrong, accuracy: size === 0 ? Number.NaN : (size - wrong) / size };
}

/** Wilson's 95 % interval of an accuracy, as `wilson_interval` in Python; NaN without images. */
export function wilson(right: number, size: number): [number, number] {
  const z = 1.959963984540054;
  const share = right / size;
  const middle = (share + (z * z) / (2 * size)) / (1 + (z * z) / size);
  const half =
    (z * Math.sqrt((share * (1 - share)) / size + (z * z) / (4 * size * size))) / (1 + (z * z) / size);
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

function rowsUpTo(n: number): Int32Array<ArrayBuffer> {
  const rows = new Int32Array(n);
  for (let i = 0; i < n; i++) rows[i] = i;
  return rows;
}

/** Positions of `values` in ascending order: three passes of a radix sort over order-preserving bits. */
export function ascendingOrder(values: Float32Array): Int32Array {
  const n = values.length;
  const bits = new Uint32Array(values.slice().buffer);
  for (let i = 0; i < n; i++) {
    const b = bits[i] as number;
    bits[i] = b & 0x80000000 ? ~b : b | 0x80000000;
  }
  let order = rowsUpTo(n);
  let next = new Int32Array(n);
  for (const shift of [0, 11, 22]) {
    const starts = new Int32Array(2049);
    for (let i = 0; i < n; i++) {
      const digit = ((bits[i] as number) >>> shift) & 2047;
      starts[digit + 1] = (starts[digit + 1] as number) + 1;
    }
    for (let d = 0; d < 2048; d++) starts[d + 1] = (starts[d + 1] as number) + (starts[d] as number);
    for (let i = 0; i < n; i++) {
      const item = order[i] as number;
      const digit = ((bits[item] as number) >>> shift) & 2047;
      const place = starts[digit] as number;
      next[place] = item;
      starts[digit] = place + 1;
    }
    [order, next] = [next, order];
  }
  return order;
}

/** The images of a class: what stays the same while phrases are tried. */
export class Members {
  readonly size: number;
  readonly wrong: number;
  /** Positions by ascending confidence, once they have been asked for. */
  private byConfidence: Int32Array | null = null;

  constructor(
    /** Rows of the validation split, (n,). */
    readonly index: Int32Array,
    readonly correct: Uint8Array,
    /** The probability of what is predicted; null where it is not known. */
    readonly confidence: Float32Array | null = null,
  ) {
    this.size = index.length;
    let right = 0;
    for (let i = 0; i < this.size; i++) right += correct[i] as number;
    this.wrong = this.size - right;
  }

  /** n x int32 row, then n x uint8 correct, little-endian; confidences, where they are known, n x float32. */
  static decode(packed: Buffer | null, confidences: Buffer | null = null): Members {
    const bytes = packed ? bytesOf(packed) : new Uint8Array(0);
    const n = Math.floor(bytes.length / 5);
    const copy = bytes.slice(0, 5 * n);
    const sure = floatsOf(confidences);
    return new Members(
      new Int32Array(copy.buffer, 0, n),
      new Uint8Array(copy.buffer, 4 * n, n),
      n > 0 && sure.length === n ? sure : null,
    );
  }

  get ascendingConfidence(): Int32Array | null {
    if (this.confidence) this.byConfidence ??= ascendingOrder(this.confidence);
    return this.byConfidence;
  }
}

/** Sorted by similarity, so that a threshold is found by bisection. */
interface Sorted {
  /** Positions by ascending similarity. */
  order: Int32Array;
  /** `wrongBefore[k]`: wrong images among the first k of `order`. */
  wrongBefore: Int32Array;
}

export class Examples {
  /** Whether a phrase has given the images similarities. */
  readonly scored: boolean;
  readonly low: number;
  readonly high: number;
  private values: Float32Array;
  /** Similarities that came after a glance: to decode them can wait until they are needed. */
  private packed: Buffer | null = null;
  private kept: Sorted | null = null;
  private waiting: (() => void)[] = [];

  constructor(
    readonly members: Members,
    similarity: Float32Array | null = null,
    private glance: Glance | null = null,
  ) {
    const n = members.size;
    this.scored = n > 0 && (glance !== null || similarity?.length === n);
    this.values = similarity?.length === n ? similarity : new Float32Array(glance ? 0 : n);
    let low = glance?.low ?? this.values[0] ?? 0;
    let high = glance?.high ?? low;
    for (const value of this.values) {
      if (value < low) low = value;
      else if (value > high) high = value;
    }
    this.low = low;
    this.high = high;
  }

  /** n x float32 of n members, little-endian; nothing without a phrase. */
  static decode(members: Members, similarities: Buffer | null = null): Examples {
    return new Examples(members, floatsOf(similarities));
  }

  /** Whether the similarities have come, or there are none. */
  get complete(): boolean {
    return this.glance === null;
  }

  /** Takes the similarities that a glance came before. */
  fill(similarities: Buffer | null): void {
    this.packed = similarities;
    this.glance = null;
    for (const callback of this.waiting.splice(0)) callback();
  }

  /** Calls back at once, or when the similarities have come. */
  whenComplete(callback: () => void): void {
    if (this.complete) callback();
    else this.waiting.push(callback);
  }

  get similarity(): Float32Array {
    if (this.packed) {
      const values = floatsOf(this.packed);
      this.values = values.length === this.size ? values : new Float32Array(this.size);
      this.packed = null;
    }
    return this.values;
  }

  get size(): number {
    return this.members.size;
  }

  get wrong(): number {
    return this.members.wrong;
  }

  get index(): Int32Array {
    return this.members.index;
  }

  get correct(): Uint8Array {
    return this.members.correct;
  }

  get confidence(): Float32Array | null {
    return this.members.confidence;
  }

  /** Sorting takes longer than all else that a new phrase needs, so it waits until an order is needed. */
  private get sorted(): Sorted {
    this.kept ??= this.sort();
    return this.kept;
  }

  private sort(): Sorted {
    const order = this.scored ? ascendingOrder(this.similarity) : rowsUpTo(this.size);
    const wrongBefore = new Int32Array(this.size + 1);
    for (let k = 0; k < this.size; k++) {
      wrongBefore[k + 1] = (wrongBefore[k] as number) + (this.correct[order[k] as number] ? 0 : 1);
    }
    return { order, wrongBefore };
  }

  /** With the phrase: similarity strictly above the threshold, or above that of the glance before they came. */
  split(threshold: number): Split {
    const [position, wrongWithout] =
      this.glance?.without ?? (this.kept ? this.bisect(this.kept, threshold) : this.count(threshold));
    return {
      threshold,
      position,
      without: sideOf(position, wrongWithout),
      with: sideOf(this.size - position, this.wrong - wrongWithout),
    };
  }

  /** How many images lie at or below the threshold, and how many of them are wrong. */
  private count(threshold: number): [number, number] {
    const { similarity } = this;
    let below = 0;
    let wrong = 0;
    for (let i = 0; i < this.size; i++) {
      if ((similarity[i] as number) > threshold) continue;
      below++;
      wrong += 1 - (this.correct[i] as number);
    }
    return [below, wrong];
  }

  private bisect({ order, wrongBefore }: Sorted, threshold: number): [number, number] {
    const { similarity } = this;
    let low = 0;
    let high = this.size;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((similarity[order[middle] as number] as number) > threshold) high = middle;
      else low = middle + 1;
    }
    return [low, wrongBefore[low] as number];
  }

  /** `clarify_widget.session.glance` counts the same bins. */
  histogram(bins: number): Histogram {
    const margin = (this.high - this.low) * 0.02 || 0.01;
    // Similarities are cosines.
    const low = Math.max(Math.min(-1, this.low), this.low - margin);
    const high = Math.min(Math.max(1, this.high), this.high + margin);
    const { right, wrong } = this.glance ?? this.binned(bins, low, high);
    const shares = (counts: ArrayLike<number>, total: number) =>
      Float64Array.from(counts, (count) => count / (total || 1));
    return { low, high, right: shares(right, this.size - this.wrong), wrong: shares(wrong, this.wrong) };
  }

  private binned(bins: number, low: number, high: number): { right: Int32Array; wrong: Int32Array } {
    const { similarity, correct } = this;
    const right = new Int32Array(bins);
    const wrong = new Int32Array(bins);
    const scale = bins / (high - low);
    for (let i = 0; i < this.size; i++) {
      const bin = Math.min(bins - 1, Math.max(0, Math.floor(((similarity[i] as number) - low) * scale)));
      const counts = correct[i] ? right : wrong;
      counts[bin] = (counts[bin] as number) + 1;
    }
    return { right, wrong };
  }

  /** Positions of the images of a side, in an order. */
  list(side: SideName, threshold: number, order: Order): Int32Array {
    const all = this.ascending(order);
    const { similarity } = this;
    const listed = new Int32Array(all.length);
    const wanted = side === "right" || side === "with" ? 1 : 0;
    const bySimilarity = side === "with" || side === "without";
    let n = 0;
    for (const at of all) {
      const above = bySimilarity ? (similarity[at] as number) > threshold : this.correct[at] === 1;
      if (Number(above) === wanted) listed[n++] = at;
    }
    const found = listed.subarray(0, n);
    return order.startsWith("most") ? found.reverse() : found;
  }

  private ascending(order: Order): Int32Array {
    if (order.endsWith("similar")) return this.sorted.order;
    const sure = order.endsWith("confident") ? this.members.ascendingConfidence : null;
    return sure ?? rowsUpTo(this.size);
  }
}
