import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { measure, openPage, openScored, press, sent, settle } from "../page";

beforeEach(() => {
  vi.useFakeTimers();
  measure();
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

  it("make only the tiles near sight, and others while one scrolls", async () => {
    const page = await openScored();
    const left = page.get("grid-left");
    const frame = left.querySelector(".cw-tiles") as HTMLElement;
    const placesOf = () => tilesOf(left).map((tile) => Number(tile.getAttribute("aria-posinset")));
    expect(placesOf()).toEqual(Array.from({ length: 24 }, (_, at) => at + 1));
    frame.scrollTop = 10 * 72;
    frame.dispatchEvent(new Event("scroll"));
    expect(placesOf()).toEqual([1, ...Array.from({ length: 32 }, (_, at) => at + 33)]);
    await page.ask("score", { class_name: "square", phrase: "small" });
    expect(frame.scrollTop).toBe(0);
    expect(placesOf()[0]).toBe(1);
  });

  it("are sorted as somebody chooses, each by itself", async () => {
    const page = await openScored();
    const left = page.get("grid-left");
    const sort = left.querySelector("select") as HTMLSelectElement;
    const before = tilesOf(page.get("grid-right")).map(({ dataset }) => dataset.index);
    expect(sort.value).toBe("least-similar");
    sort.value = "most-confident";
    sort.dispatchEvent(new Event("change"));
    const shares = tilesOf(left).map((tile) =>
      Number(/Confidence: ([\d.]+)/.exec(tile.getAttribute("aria-label") ?? "")?.[1]),
    );
    expect(shares).toEqual([...shares].sort((a, b) => b - a));
    expect(shares[0]).toBeGreaterThan(shares.at(-1) as number);
    expect(tilesOf(page.get("grid-right")).map(({ dataset }) => dataset.index)).toEqual(before);
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
      /^val\/square\/\d+\.png, Label: square, Predicted: oval \(wrong\), Confidence: [\d.]+ %, Similarity: 0\.\d{3}$/,
    );
    expect(tile?.querySelector("img")?.getAttribute("src")).toBe("blob:picture");
  });

  it("tell of an image under the pointer and in focus", async () => {
    const page = await openScored();
    const tip = page.root.querySelector(".cw-tip") as HTMLElement;
    const [tile] = tilesOf(page.get("grid-left"));
    tile?.dispatchEvent(new Event("pointerover", { bubbles: true }));
    expect(tip.hidden).toBe(false);
    expect(tip.textContent).toContain("Label: square");
    tile?.parentElement?.parentElement?.dispatchEvent(new Event("pointerleave"));
    expect(tip.hidden).toBe(true);
  });

  it("enlarge the image that the pointer rests on, or that Z asks for", async () => {
    const page = await openScored();
    await settle(500);
    const zoom = page.root.querySelector(".cw-zoom") as HTMLImageElement;
    const [tile] = tilesOf(page.get("grid-left"));
    tile?.dispatchEvent(new Event("pointerover", { bubbles: true }));
    expect(zoom.hidden).toBe(true);
    await settle(500);
    expect(zoom.hidden).toBe(false);
    expect(sent(page.kernel, "thumbnails").at(-1)).toMatchObject({ size: 320 });
    press(tile as HTMLElement, "z");
    expect(zoom.hidden).toBe(true);
    press(tile as HTMLElement, "z");
    expect(zoom.hidden).toBe(false);
    press(tile as HTMLElement, "Escape");
    expect(zoom.hidden).toBe(true);
  });

  it("are one stop each for the Tab key, and the arrow keys roam", async () => {
    const page = await openScored();
    const left = page.get("grid-left");
    const stops = () => tilesOf(left).filter(({ tabIndex }) => tabIndex === 0);
    const place = () => document.activeElement?.getAttribute("aria-posinset");
    const size = tilesOf(left)[0]?.getAttribute("aria-setsize");
    expect(stops()).toEqual([tilesOf(left)[0]]);
    tilesOf(left)[0]?.focus();
    for (const [key, reached] of [
      ["ArrowRight", "2"],
      ["ArrowDown", "6"],
      ["End", size],
      ["ArrowRight", size],
      ["Home", "1"],
    ] as const) {
      press(document.activeElement as Element, key);
      expect(place()).toBe(reached);
      expect(stops()).toEqual([document.activeElement]);
    }
  });
});

describe("selection", () => {
  async function start() {
    const page = await openScored();
    const tiles = tilesOf(page.get("grid-left"));
    const rows = tiles.map(({ dataset }) => Number(dataset.index));
    const click = (at: number, options: MouseEventInit = {}) =>
      tiles[at]?.dispatchEvent(new MouseEvent("click", { bubbles: true, ...options }));
    const selected = (...places: number[]) => {
      const wanted = places.map((at) => rows[at] as number).sort((a, b) => a - b);
      expect(page.kernel.get("selected")).toEqual(wanted);
    };
    return { ...page, tiles, click, selected };
  }

  it("takes single images with Ctrl and a range with Shift", async () => {
    const { click, selected } = await start();
    click(1, { ctrlKey: true });
    selected(1);
    click(4, { shiftKey: true });
    selected(1, 2, 3, 4);
    click(2, { shiftKey: true });
    selected(1, 2);
    click(6, { ctrlKey: true });
    selected(1, 2, 6);
    click(1, { ctrlKey: true });
    selected(2, 6);
  });

  it("goes by keys", async () => {
    const { kernel, tiles, selected } = await start();
    tiles[0]?.focus();
    const key = (name: string, options: KeyboardEventInit = {}) =>
      press(document.activeElement as Element, name, options);
    key("x");
    key("ArrowRight", { shiftKey: true });
    key("ArrowRight", { shiftKey: true });
    selected(0, 1, 2);
    key("ArrowLeft", { shiftKey: true });
    selected(0, 1);
    key("a", { ctrlKey: true });
    expect(kernel.get("selected")).toHaveLength(Number(tiles[0]?.getAttribute("aria-setsize")));
    key("Escape");
    selected();
  });

  it("is counted, marked on the images, and cleared", async () => {
    const { tiles, click, get, kernel } = await start();
    (tiles[2]?.querySelector('[data-testid="check"]') as HTMLElement).click();
    click(3, { ctrlKey: true });
    await settle();
    expect(get("selected-count").textContent).toBe("2 selected");
    expect(tiles.map((tile) => tile.getAttribute("aria-selected")).slice(1, 5)).toEqual([
      "false",
      "true",
      "true",
      "false",
    ]);
    get("clear-selection").click();
    await settle();
    expect(kernel.get("selected")).toEqual([]);
    expect(tiles[2]?.getAttribute("aria-selected")).toBe("false");
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
