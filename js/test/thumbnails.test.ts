import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeKernel, sprites } from "../dev/fake";
import { Channel } from "../src/channel";
import { type Thumbnail, Thumbnails } from "../src/thumbnails";
import { sent } from "./page";

let alive: Set<string>;

beforeEach(() => {
  vi.useFakeTimers();
  alive = new Set();
  let made = 0;
  vi.spyOn(URL, "createObjectURL").mockImplementation(() => {
    const url = `blob:${made++}`;
    alive.add(url);
    return url;
  });
  vi.spyOn(URL, "revokeObjectURL").mockImplementation((url) => void alive.delete(url));
});
afterEach(() => void vi.useRealTimers());

const open = (capacity?: number) => {
  const kernel = new FakeKernel(sprites(120));
  return { kernel, thumbnails: new Thumbnails(new Channel(kernel), capacity) };
};
const settle = () => vi.advanceTimersByTimeAsync(100);

describe("Thumbnails", () => {
  it("asks for many images in few requests and gives each to whoever wants it", async () => {
    const { kernel, thumbnails } = open();
    const got = new Map<number, Thumbnail>();
    for (let i = 0; i < 60; i++) thumbnails.want("val", i, (thumbnail) => got.set(i, thumbnail));
    await settle();
    expect(sent(kernel, "thumbnails").map(({ indices }) => indices.length)).toEqual([24, 24, 12]);
    expect([...got].every(([i, thumbnail]) => thumbnail.index === i)).toBe(true);
    expect(got.size).toBe(60);
  });

  it("never asks twice for what it has, nor for what is on its way", async () => {
    const { kernel, thumbnails } = open();
    const listeners = [vi.fn(), vi.fn(), vi.fn()];
    for (const listener of listeners) {
      thumbnails.want("val", 3, listener);
      if (listener !== listeners[0]) await settle();
    }
    for (const listener of listeners) expect(listener).toHaveBeenCalledOnce();
    expect(sent(kernel, "thumbnails")).toHaveLength(1);
  });

  it("keeps the splits apart", async () => {
    const { kernel, thumbnails } = open();
    thumbnails.want("val", 3, vi.fn());
    thumbnails.want("test", 3, vi.fn());
    await settle();
    expect(sent(kernel, "thumbnails").map(({ split }) => split)).toEqual(["val", "test"]);
  });

  it("does not ask for what nobody wants any more", async () => {
    const { kernel, thumbnails } = open();
    thumbnails.want("val", 3, vi.fn())();
    await settle();
    expect(sent(kernel, "thumbnails")).toHaveLength(0);
  });

  it("says that an image cannot be read", async () => {
    const { thumbnails } = open();
    const listener = vi.fn();
    thumbnails.want("val", 13, listener);
    await settle();
    expect(listener).toHaveBeenCalledWith(expect.objectContaining({ readable: false, url: null }));
  });

  it("asks again later when the kernel did not answer", async () => {
    const { kernel, thumbnails } = open();
    kernel.delay = -1;
    thumbnails.want("val", 3, vi.fn());
    await vi.advanceTimersByTimeAsync(31_000);
    kernel.delay = 10;
    const listener = vi.fn();
    thumbnails.want("val", 3, listener);
    await settle();
    expect(listener).toHaveBeenCalledOnce();
  });

  it("drops the least recently used, and everything at the end", async () => {
    const { thumbnails } = open(10);
    for (let i = 20; i < 45; i++) thumbnails.want("val", i, vi.fn());
    await settle();
    expect(alive.size).toBe(10);
    thumbnails.dispose();
    expect(alive.size).toBe(0);
  });
});
