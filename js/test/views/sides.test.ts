import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openPage, openScored, settle } from "../page";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
});

const cells = (table: HTMLElement) => [...table.querySelectorAll("td.cw-number")].map((td) => td.textContent);

describe("sizes of both sides", () => {
  it("are not there without a phrase", async () => {
    const page = await openPage();
    expect(page.get("sides").closest<HTMLElement>(".cw-side-sizes")?.hidden).toBe(true);
  });

  it("wait for the training images, then count them and warn", async () => {
    const page = await openScored();
    expect(cells(page.get("sides")).slice(2)).toEqual(["…", "…"]);
    page.kernel.preview();
    await settle();
    expect(cells(page.get("sides")).slice(2)).toEqual(["988", "12"]);
    expect(page.get("side-warnings").textContent).toContain("Only 12 training images");
  });

  it("are read off a grid while the threshold moves, and say so", async () => {
    const page = await openScored();
    page.kernel.preview();
    await settle();
    const threshold = page.kernel.get("threshold") as number;
    page.kernel.update({ threshold: threshold - 0.025 });
    await settle();
    expect(cells(page.get("sides")).slice(2)).toEqual(["about 250", "about 750"]);
    expect(page.get("side-warnings").textContent).toContain("Only 12");
  });

  it("of another phrase are not shown", async () => {
    const page = await openScored();
    page.kernel.preview();
    await page.ask("score", { class_name: "square", phrase: "small" });
    expect(cells(page.get("sides")).slice(2)).toEqual(["…", "…"]);
    expect(page.get("side-warnings").textContent).toBe("");
  });
});
