import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeKernel, sprites } from "../dev/fake";
import { Channel, RequestError, Superseded } from "../src/channel";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const open = () => {
  const kernel = new FakeKernel(sprites(20));
  return { kernel, channel: new Channel(kernel) };
};

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (reason: unknown) => reason,
  );

describe("Channel", () => {
  it("gives each request its own answer, in any order", async () => {
    const { kernel, channel } = open();
    kernel.delay = -1;
    const first = channel.request("hello");
    const second = channel.request("hello");
    const [a, b] = kernel.requests;
    kernel.deliver({ id: b?.id, ok: true, result: "b" }, [new DataView(new ArrayBuffer(3))]);
    kernel.deliver({ id: a?.id, ok: true, result: "a" });
    expect((await first).result).toBe("a");
    expect((await second).result).toBe("b");
    expect((await second).buffers[0]?.byteLength).toBe(3);
  });

  it("leaves the answers to other views alone", async () => {
    const { kernel, channel } = open();
    const other = new Channel(kernel);
    kernel.delay = -1;
    const mine = channel.request("hello");
    const theirs = other.request("hello");
    kernel.deliver({ id: kernel.requests[1]?.id, ok: true, result: "theirs" });
    kernel.deliver({ id: kernel.requests[0]?.id, ok: true, result: "mine" });
    expect((await mine).result).toBe("mine");
    expect((await theirs).result).toBe("theirs");
    expect(kernel.requests[0]?.id).not.toBe(kernel.requests[1]?.id);
  });

  it("says what the kernel said when it refuses", async () => {
    const { channel } = open();
    const reason = failure(channel.request("nonsense"));
    await vi.advanceTimersByTimeAsync(20);
    expect(await reason).toBeInstanceOf(RequestError);
    expect(((await reason) as Error).message).toContain("nonsense");
  });

  it("waits only for the latest request of a lane", async () => {
    const { kernel, channel } = open();
    kernel.delay = -1;
    const early = failure(channel.request("score", { phrase: "r" }, { lane: "show" }));
    const unrelated = channel.request("keep");
    const late = channel.request("score", { phrase: "red" }, { lane: "show" });
    expect(await early).toBeInstanceOf(Superseded);
    for (const { id } of kernel.requests) kernel.deliver({ id, ok: true, result: id });
    expect((await late).result).toBe(kernel.requests[2]?.id);
    expect((await unrelated).result).toBe(kernel.requests[1]?.id);
  });

  it("says so when no answer comes in time, and ignores it when it comes later", async () => {
    const { kernel, channel } = open();
    kernel.delay = -1;
    const reason = failure(channel.request("retrain", {}, { timeoutSeconds: 5 }));
    await vi.advanceTimersByTimeAsync(5001);
    expect(((await reason) as Error).message).toContain("5 seconds");
    kernel.deliver({ id: kernel.requests[0]?.id, ok: true, result: {} });
  });

  it("says so when the connection is gone", async () => {
    const { kernel, channel } = open();
    vi.spyOn(kernel, "send").mockImplementation(() => {
      throw new Error("closed");
    });
    expect(((await failure(channel.request("hello"))) as Error).message).toContain("connection");
  });

  it("ignores messages that are no answers", () => {
    const { kernel } = open();
    for (const content of [null, "text", 3, {}, { id: "x" }, { id: "x", ok: true }]) kernel.deliver(content);
  });

  it("lets go of the model and of everyone who waits", async () => {
    const { kernel, channel } = open();
    kernel.delay = -1;
    const reason = failure(channel.request("hello"));
    channel.dispose();
    expect(await reason).toBeInstanceOf(Superseded);
    expect(kernel.listenerCount()).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});
