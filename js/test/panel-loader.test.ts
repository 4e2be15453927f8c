import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeKernel, sprites } from "../dev/fake";
import { Channel } from "../src/channel";
import { panelLoader } from "../src/panel-loader";
import { sent } from "./page";

const MODULE = "export const pool = () => 'the panel';";

beforeEach(() => {
  // Node imports no Blob URLs; a data URL has the same text.
  vi.spyOn(URL, "createObjectURL").mockImplementation(
    (blob) => `data:text/javascript,${encodeURIComponent(MODULE)}#${(blob as Blob).type}`,
  );
  vi.spyOn(URL, "revokeObjectURL");
});
afterEach(() => void vi.restoreAllMocks());

function open() {
  const kernel = new FakeKernel(sprites(20));
  kernel.delay = -1;
  return { kernel, load: panelLoader(new Channel(kernel)) };
}

const answer = (kernel: FakeKernel, at: number) =>
  kernel.deliver({ id: kernel.requests[at]?.id, ok: true, result: {} }, [
    new DataView(new TextEncoder().encode(MODULE).buffer),
  ]);

describe("the loader of panels", () => {
  it("asks the kernel once, whoever opens a panel", async () => {
    const { kernel, load } = open();
    const both = [load(), load()];
    expect(sent(kernel, "panels")).toHaveLength(1);
    answer(kernel, 0);
    const [first, second] = await Promise.all(both);
    expect(first?.pool({} as never)).toBe("the panel");
    expect(second).toBe(first);
    expect(URL.revokeObjectURL).toHaveBeenCalledOnce();
  });

  it("asks again after an error", async () => {
    const { kernel, load } = open();
    const failed = load();
    kernel.deliver({ id: kernel.requests[0]?.id, ok: false, error: { type: "E", message: "no such file" } });
    await expect(failed).rejects.toThrow("no such file");
    const again = load();
    answer(kernel, 1);
    expect((await again).pool({} as never)).toBe("the panel");
  });
});
