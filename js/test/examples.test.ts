import { describe, expect, it } from "vitest";
import { random } from "../dev/fake";
import { ascendingOrder, Examples, Members, type Order, type SideName, wilson } from "../src/examples";

function pack(rows: number[], correct: number[]): DataView {
  const n = rows.length;
  const view = new DataView(new ArrayBuffer(5 * n));
  rows.forEach((row, i) => {
    view.setInt32(4 * i, row, true);
    view.setUint8(4 * n + i, correct[i] as number);
  });
  return view;
}

/** Examples whose rows do not matter. */
function examplesOf(similarity: Float32Array, correct: Uint8Array, confidence?: Float32Array): Examples {
  const rows = Int32Array.from(correct, (_, i) => 10 + i);
  return new Examples(new Members(rows, correct, confidence ?? null), similarity);
}

function randomExamples(seed: number, n: number, distinct = 1e9): Examples {
  const next = random(seed);
  const similarity = Float32Array.from({ length: n }, () => Math.floor((next() - 0.5) * distinct) / distinct);
  const correct = Uint8Array.from({ length: n }, () => (next() < 0.7 ? 1 : 0));
  return examplesOf(similarity, correct);
}

describe("decode", () => {
  it("reads rows and marks, then similarities, from little-endian bytes at any offset", () => {
    const packed = pack([4, 70_000, 12], [1, 0, 1]);
    const shifted = new Uint8Array(16);
    shifted.set(new Uint8Array(packed.buffer), 1);
    const similarities = new Uint8Array(13);
    similarities.set(new Uint8Array(Float32Array.of(0.5, -0.25, 0.125).buffer), 1);
    for (const buffer of [packed, packed.buffer, new Uint8Array(shifted.buffer, 1, 15)]) {
      const members = Members.decode(buffer as DataView);
      const examples = Examples.decode(members, new DataView(similarities.buffer, 1));
      expect([...examples.index]).toEqual([4, 70_000, 12]);
      expect([...examples.similarity]).toEqual([0.5, -0.25, 0.125]);
      expect([...examples.correct]).toEqual([1, 0, 1]);
      expect(examples.wrong).toBe(1);
      expect(examples.scored).toBe(true);
    }
  });

  it("reads confidences that come beside, and takes none that belong to other images", () => {
    const packed = pack([4, 12], [1, 0]);
    const confidences = Float32Array.of(0.75, 0.5);
    expect([...(Members.decode(packed, confidences.buffer).confidence ?? [])]).toEqual([0.75, 0.5]);
    expect(Members.decode(packed, confidences.buffer.slice(4)).confidence).toBeNull();
    expect(Members.decode(packed).confidence).toBeNull();
  });

  it("knows that no similarities mean no phrase, and that nothing is nothing", () => {
    const none = new DataView(new ArrayBuffer(0));
    expect(Examples.decode(Members.decode(pack([1, 2], [1, 0])), none).scored).toBe(false);
    expect(Members.decode(null).size).toBe(0);
    expect(Examples.decode(Members.decode(none)).split(0).with.size).toBe(0);
  });
});

describe("ascendingOrder", () => {
  it.each([1, 2, 3, 4, 5])(
    "equals a stable sort by comparison, ties and signs included (seed %i)",
    (seed) => {
      const { similarity } = randomExamples(seed, 500, seed % 2 ? 1e9 : 20);
      const expected = [...similarity.keys()].sort(
        (a, b) => (similarity[a] as number) - (similarity[b] as number) || a - b,
      );
      expect([...ascendingOrder(similarity)]).toEqual(expected);
    },
  );

  it("orders extremes", () => {
    const values = Float32Array.from([1e30, -1e30, 0, 1e-40, -1e-40, -1, 1]);
    expect([...ascendingOrder(values)].map((i) => values[i])).toEqual([...values].sort((a, b) => a - b));
  });
});

describe("split", () => {
  const seeds = [1, 2, 3].flatMap((seed) => [
    [seed, "at first"],
    [seed, "once sorted"],
  ]);
  it.each(seeds)("counts what lies strictly above, as a loop does (seed %i, %s)", (seed, when) => {
    const examples = randomExamples(seed as number, 300, 30);
    if (when === "once sorted") examples.list("with", 0, "most-similar");
    const thresholds = [-1, ...examples.similarity.slice(0, 40), 0.0123, 1];
    for (const threshold of thresholds) {
      let above = 0;
      let wrongAbove = 0;
      examples.similarity.forEach((value, i) => {
        if (value > threshold) {
          above++;
          if (!examples.correct[i]) wrongAbove++;
        }
      });
      const split = examples.split(threshold);
      expect(split.with).toMatchObject({ size: above, wrong: wrongAbove });
      expect(split.without).toMatchObject({ size: 300 - above, wrong: examples.wrong - wrongAbove });
      if (above) expect(split.with.accuracy).toBeCloseTo(1 - wrongAbove / above, 12);
      else expect(split.with.accuracy).toBeNaN();
    }
  });
});

describe("wilson", () => {
  // Newcombe (1998), table I, method 3.
  it.each([
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ])("gives the published interval of %i of %i", (right, size, low, high) => {
    const found = wilson(right, size);
    expect(found[0]).toBeCloseTo(low, 4);
    expect(found[1]).toBeCloseTo(high, 4);
  });

  it("has none without images", () => {
    expect(wilson(0, 0)).toEqual([Number.NaN, Number.NaN]);
  });
});

describe("histogram", () => {
  it("puts every image into one bin, each series summing to one", () => {
    const { right, wrong, low, high } = randomExamples(3, 400).histogram(32);
    const sum = (values: Float64Array) => values.reduce((a, b) => a + b, 0);
    expect(sum(right)).toBeCloseTo(1, 9);
    expect(sum(wrong)).toBeCloseTo(1, 9);
    expect(high).toBeGreaterThan(low);
  });

  it("has the bins that the kernel counts for a glance", () => {
    const similar = Float32Array.of(0.1, 0.15, 0.2, 0.3); // as in tests/session/test_glance.py
    const { right, wrong } = examplesOf(similar, Uint8Array.of(1, 1, 0, 1)).histogram(16);
    const filled = (shares: Float64Array) => [...shares.keys()].filter((bin) => shares[bin]);
    expect([filled(right), filled(wrong)]).toEqual([[0, 4, 15], [7]]);
  });

  it("draws equal similarities and one image", () => {
    const same = examplesOf(Float32Array.of(0.3, 0.3), Uint8Array.of(1, 0));
    expect([...same.histogram(10).right].filter(Boolean)).toEqual([1]);
    const one = examplesOf(Float32Array.of(0.3), Uint8Array.of(1));
    expect([...one.histogram(10).wrong].every((share) => share === 0)).toBe(true);
  });
});

describe("list", () => {
  const examples = examplesOf(
    Float32Array.of(0.3, 0.1, 0.5, 0.2, 0.4),
    Uint8Array.of(1, 0, 1, 0, 1),
    Float32Array.of(0.9, 0.6, 0.7, 0.8, 0.5),
  );
  const rows = (side: SideName, order: Order) =>
    [...examples.list(side, 0.25, order)].map((at) => examples.index[at]);

  it("orders a side of the phrase by similarity, either way", () => {
    expect(rows("with", "most-similar")).toEqual([12, 14, 10]);
    expect(rows("with", "least-similar")).toEqual([10, 14, 12]);
    expect(rows("without", "least-similar")).toEqual([11, 13]);
  });

  it("orders by confidence and by the data", () => {
    expect(rows("with", "most-confident")).toEqual([10, 12, 14]);
    expect(rows("wrong", "least-confident")).toEqual([11, 13]);
    expect(rows("right", "index")).toEqual([10, 12, 14]);
  });
});
