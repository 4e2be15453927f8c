import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openPage, openScored, press, sent, settle } from "../page";

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(URL, "createObjectURL").mockReturnValue("blob:picture");
});
afterEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
});

const tilesOf = (grid: HTMLElement) => [...grid.querySelectorAll<HTMLElement>('[data-testid="tile"]')];

describe("image grids", () => {
  it("show right against wrong before the first phrase", async () => {
    const page = await openPage();
    await page.ask("select_class", { class_name: "square" });
    expect(page.get("grid-left").textContent).toMatch(/^Right96 images, accuracy 80\.0 %/);
    expect(page.get("grid-right").textContent).toMatch(/^Wrong24 images/);
    expect(tilesOf(page.get("grid-right")).every((tile) => tile.textContent?.includes("wrong"))).toBe(true);
    expect(tilesOf(page.get("grid-left")).some((tile) => tile.textContent?.includes("wrong"))).toBe(false);
  });

  it("show without against with the phrase, with counts and accuracy", async () => {
    const page = await openScored();
    expect(page.get("grid-left").textContent).toMatch(/^Without “red”\d+ images, [\d.]+ % right/);
    expect(page.get("grid-right").textContent).toMatch(/^With “red”\d+ images, [\d.]+ % right/);
    const [left, right] = ["grid-left", "grid-right"].map((grid) =>
      Number(page.get(grid).textContent?.match(/(\d+) images/)?.[1]),
    );
    expect((left ?? 0) + (right ?? 0)).toBe(120);
  });

  it("show a page, and more when asked", async () => {
    const page = await openScored();
    const left = page.get("grid-left");
    expect(tilesOf(left)).toHaveLength(24);
    left.querySelector<HTMLElement>('[data-testid="show-more"]')?.click();
    expect(tilesOf(left)).toHaveLength(48);
    await page.ask("score", { class_name: "square", phrase: "small" });
    expect(tilesOf(left)).toHaveLength(24);
  });

  it("ask only for the images that are shown, and say what cannot be read", async () => {
    const page = await openScored();
    await settle(500);
    const asked = new Set(sent(page.kernel, "thumbnails").flatMap(({ indices }) => indices));
    const shown = page.all("tile").map(({ dataset }) => Number(dataset.index));
    for (const index of shown) expect(asked.has(index)).toBe(true);
    await page.ask("select_class", { class_name: "oval" });
    const unreadable = page.all("tile").find(({ dataset }) => dataset.index === "13");
    await settle(500);
    expect(unreadable?.textContent).toContain("cannot be read");
  });

  it("keep the tiles that stay while the threshold moves", async () => {
    const page = await openScored();
    const before = tilesOf(page.get("grid-right"));
    press(page.get("threshold-slider"), "ArrowRight");
    const after = tilesOf(page.get("grid-right"));
    expect(after[0]).toBe(before[0]);
  });

  it("name each image for those who cannot see it", async () => {
    const page = await openScored();
    await settle(500);
    const [tile] = tilesOf(page.get("grid-right"));
    expect(tile?.getAttribute("aria-label")).toMatch(
      /^val\/square\/\d+\.png, Label: square, Predicted: oval, wrong, Similarity: 0\.\d{3}$/,
    );
    expect(tile?.querySelector("img")?.getAttribute("src")).toBe("blob:picture");
  });

  it("tell of an image under the pointer and in focus", async () => {
    const page = await openScored();
    const tip = page.root.querySelector(".cw-tip") as HTMLElement;
    const [tile] = tilesOf(page.get("grid-left"));
    tile?.dispatchEvent(new Event("pointerenter"));
    expect(tip.hidden).toBe(false);
    expect(tip.textContent).toContain("Label: square");
    tile?.dispatchEvent(new Event("pointerleave"));
    expect(tip.hidden).toBe(true);
  });

  it("are one stop each for the Tab key, and the arrow keys roam", async () => {
    const page = await openScored();
    const tiles = tilesOf(page.get("grid-left"));
    expect(tiles.filter(({ tabIndex }) => tabIndex === 0)).toEqual([tiles[0]]);
    tiles[0]?.focus();
    press(tiles[0] as HTMLElement, "ArrowRight");
    expect(document.activeElement).toBe(tiles[1]);
    expect(tiles.filter(({ tabIndex }) => tabIndex === 0)).toEqual([tiles[1]]);
    press(tiles[1] as HTMLElement, "End");
    expect(document.activeElement).toBe(tiles.at(-1));
    press(tiles.at(-1) as HTMLElement, "ArrowRight");
    expect(document.activeElement).toBe(tiles.at(-1));
  });
});

describe("original", () => {
  async function opened(at = 0) {
    const page = await openScored();
    tilesOf(page.get("grid-right"))[at]?.click();
    await settle();
    return { ...page, dialog: page.get("original-dialog") as HTMLDialogElement };
  }

  it("shows the image with label, prediction, similarity, file and size", async () => {
    const { dialog } = await opened();
    expect(dialog.open).toBe(true);
    expect(dialog.textContent).toMatch(
      /val\/square.*Label.*square.*Predicted.*oval.*wrong.*Similarity.*320 × 320 px/,
    );
    expect(dialog.querySelector("img")?.getAttribute("src")).toBe("blob:picture");
  });

  it("steps to its neighbours with the arrow keys", async () => {
    const { dialog, kernel } = await opened();
    press(dialog, "ArrowRight");
    await settle();
    press(dialog, "ArrowLeft");
    await settle();
    press(dialog, "ArrowLeft");
    await settle();
    const asked = sent(kernel, "original").map(({ index }) => index);
    expect(asked).toHaveLength(3);
    expect(asked[0]).toBe(asked[2]);
    expect(asked[0]).not.toBe(asked[1]);
  });

  it("lets go of the image when it closes", async () => {
    const revoked = vi.spyOn(URL, "revokeObjectURL");
    const { dialog } = await opened();
    dialog.close();
    expect(revoked).toHaveBeenCalledWith("blob:picture");
    expect(dialog.querySelector("img")?.hasAttribute("src")).toBe(false);
  });

  it("says why an image cannot be shown", async () => {
    const page = await openScored();
    page.kernel.delay = -1;
    tilesOf(page.get("grid-right"))[0]?.click();
    await settle(31_000);
    expect(page.get("original-dialog").textContent).toContain("30 seconds");
  });
});
