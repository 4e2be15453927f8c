import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeKernel, sprites } from "../dev/fake";
import { Channel } from "../src/channel";
import { ExampleFeed } from "../src/feed";
import type { Model } from "../src/model";
import { type State, Store } from "../src/state";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function storeOver(model: Model) {
  const channel = new Channel(model);
  const feed = new ExampleFeed(model, channel);
  const store = new Store(model, feed);
  const dispose = () => {
    store.dispose();
    feed.dispose();
    channel.dispose();
  };
  return { store, dispose };
}

async function scored(kernel = new FakeKernel(sprites())) {
  const { store, dispose } = storeOver(kernel);
  const seen: State[] = [];
  store.subscribe((state) => seen.push(state));
  kernel.send({ id: "a", type: "score", class_name: "square", phrase: "red" });
  await vi.advanceTimersByTimeAsync(20);
  return { kernel, store, seen, dispose };
}

describe("Store", () => {
  it("shows what one message changes in one go", async () => {
    const { seen } = await scored();
    expect(seen).toHaveLength(2);
    expect(seen[1]).toMatchObject({ class_name: "square", phrase: "red" });
    expect(seen[1]?.split?.with.size).toBeGreaterThan(0);
  });

  it("splits at the dragged threshold in this view only, until the model says otherwise", async () => {
    const { kernel, store } = await scored();
    const best = store.state.threshold;
    store.preview(0.2);
    expect(store.state).toMatchObject({ threshold: 0.2, previewing: true, bestThreshold: best });
    expect(kernel.get("threshold")).toBe(best);
    kernel.update({ threshold: 0.21 });
    await vi.advanceTimersByTimeAsync(0);
    expect(store.state).toMatchObject({ threshold: 0.21, previewing: false });
  });

  it("decodes the examples once", async () => {
    const { kernel, store } = await scored();
    const { examples } = store.state;
    store.preview(0.2);
    kernel.update({ notes: ["something"] });
    await vi.advanceTimersByTimeAsync(0);
    expect(store.state.examples).toBe(examples);
  });

  it("asks for examples that it was not sent, as after a reload, and waits for them", async () => {
    const { kernel } = await scored();
    const { store } = storeOver(kernel);
    expect(store.state).toMatchObject({ waiting: true, split: null, phrase: "red" });
    await vi.advanceTimersByTimeAsync(20);
    expect(store.state).toMatchObject({ waiting: false, phrase: "red" });
    expect(store.state.split?.with.size).toBeGreaterThan(0);
    expect(kernel.requests.filter(({ type }) => type === "examples")).toHaveLength(1);
  });

  it("does not ask for examples that came before the trait that names them", async () => {
    const { kernel, store } = await scored();
    const sent = [new Uint8Array(4), new Uint8Array(5), new Uint8Array(0)];
    kernel.emit("msg:custom", { type: "examples", key: "next", members: "one" }, sent);
    kernel.update({ notes: ["something"] });
    await vi.advanceTimersByTimeAsync(20);
    expect(store.state).toMatchObject({ waiting: false, phrase: "red" });
    kernel.update({ examples_key: "next" });
    await vi.advanceTimersByTimeAsync(20);
    expect(store.state.examples.size).toBe(1);
    expect(kernel.requests.filter(({ type }) => type === "examples")).toHaveLength(0);
  });

  it("asks for all of it when it was sent the similarities of images that it does not know", async () => {
    const { kernel, store } = await scored();
    kernel.emit("msg:custom", { type: "examples", key: "next", members: "others" }, [new Uint8Array(4)]);
    kernel.update({ examples_key: "next" });
    await vi.advanceTimersByTimeAsync(20);
    expect(kernel.requests.filter(({ type }) => type === "examples")).toHaveLength(1);
    expect(store.state).toMatchObject({ waiting: false, phrase: "red" });
    expect(store.state.examples.size).toBe(120);
  });

  describe("at a glance", () => {
    async function glimpsed() {
      const { kernel, store, seen } = await scored();
      const similarities = [0.1, 0.2, 0.3];
      const members = new Uint8Array([...new Uint8Array(Int32Array.of(7, 8, 9).buffer), 1, 0, 1]);
      const floats = (numbers: number[]) => new Uint8Array(Float32Array.from(numbers).buffer);
      const all = [floats([0, 0, 0]), members, new Uint8Array(0)];
      kernel.emit("msg:custom", { type: "examples", key: "before", members: "three" }, all);
      kernel.update({ examples_key: "before" });
      kernel.update({
        examples_key: "next",
        threshold: 0.15,
        glance: {
          key: "next",
          members: "three",
          low: 0.1,
          high: 0.3,
          right: [1, 1],
          wrong: [0, 1],
          without: [1, 0],
        },
      });
      await vi.advanceTimersByTimeAsync(0);
      const come = () =>
        kernel.emit("msg:custom", { type: "examples", key: "next", members: "three" }, [
          floats(similarities),
        ]);
      return { kernel, store, seen, come };
    }

    it("shows what was counted until the similarities come", async () => {
      const { store, kernel } = await glimpsed();
      const { examples, split, waiting } = store.state;
      expect({ waiting, complete: examples.complete, scored: examples.scored }).toEqual({
        waiting: false,
        complete: false,
        scored: true,
      });
      expect(split).toMatchObject({
        position: 1,
        without: { size: 1, wrong: 0 },
        with: { size: 2, wrong: 1 },
      });
      expect([...examples.histogram(48).right, ...examples.histogram(48).wrong]).toEqual([0.5, 0.5, 0, 1]);
      expect(kernel.requests.filter(({ type }) => type === "examples")).toHaveLength(0);
    });

    it("takes the similarities into the same examples, and tells who waits for them", async () => {
      const { store, come } = await glimpsed();
      const { examples } = store.state;
      const told = vi.fn();
      examples.whenComplete(told);
      expect(told).not.toHaveBeenCalled();
      come();
      expect(told).toHaveBeenCalledOnce();
      expect(store.state.examples).toBe(examples);
      expect(examples.split(0.15)).toMatchObject({ position: 1, without: { size: 1, wrong: 0 } });
      expect([...examples.list("with", 0.15, "most-similar")]).toEqual([2, 1]);
      expect(examples.histogram(16).right.reduce((a, b) => a + b)).toBeCloseTo(1);
    });

    it("counts again when the threshold moved before the similarities came", async () => {
      const { store, seen, come } = await glimpsed();
      store.preview(0.25);
      expect(store.state.split?.position).toBe(1);
      come();
      await vi.advanceTimersByTimeAsync(100);
      expect(seen.at(-1)?.split?.position).toBe(2);
    });

    it("asks for similarities that do not come", async () => {
      const { kernel, come } = await glimpsed();
      await vi.advanceTimersByTimeAsync(6000);
      expect(kernel.requests.filter(({ type }) => type === "examples")).toHaveLength(1);
      const { kernel: other, come: comeInTime } = await glimpsed();
      comeInTime();
      await vi.advanceTimersByTimeAsync(6000);
      expect(other.requests.filter(({ type }) => type === "examples")).toHaveLength(0);
      come();
    });
  });

  it("has neither split nor threshold without a phrase", async () => {
    const { kernel, store } = await scored();
    kernel.send({ id: "b", type: "select_class", class_name: "oval" });
    await vi.advanceTimersByTimeAsync(20);
    expect(store.state).toMatchObject({ split: null, threshold: null, bestThreshold: null });
    expect(store.state.examples.size).toBe(120);
  });

  it("shows the latest error, of the model or of an answer, until it is dismissed", async () => {
    const { kernel, store } = await scored();
    kernel.update({ error: { type: "DataError", message: "from the model" } });
    await vi.advanceTimersByTimeAsync(0);
    expect(store.state.error?.message).toBe("from the model");
    store.patch({ error: null });
    expect(store.state.error).toBeNull();
  });

  it("survives a model that has not said anything yet", () => {
    const empty = { get: () => undefined, set() {}, save_changes() {}, on() {}, off() {}, send() {} };
    const { store } = storeOver(empty as never);
    expect(store.state).toMatchObject({ class_name: "", classes: [], split: null });
  });

  it("lets go of the model", async () => {
    const { kernel, dispose } = await scored();
    dispose();
    expect(kernel.listenerCount()).toBe(0);
  });
});
