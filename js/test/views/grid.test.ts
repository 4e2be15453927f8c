import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { COLUMNS, openPage, openScored, press, ROWS_IN_SIGHT, sent, settle } from "../page";

vi.mock("../../src/panel-loader", async () => {
  const panels = await import("../../src/panels");
  return { panelLoader: () => async () => panels };
});

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
    expect(page.get("grid-left").textContent).toMatch(/^Right96 images, accuracy 80\.0%/);
    expect(page.get("grid-right").textContent).toMatch(/^Wrong24 images/);
    expect(tilesOf(page.get("grid-right")).every((tile) => tile.textContent?.includes("wrong"))).toBe(true);
    expect(tilesOf(page.get("grid-left")).some((tile) => tile.textContent?.includes("wrong"))).toBe(false);
  });

  it("show without against with the phrase, with counts and accuracy", async () => {
    const page = await openScored();
    expect(page.get("grid-left").textContent).toMatch(/^Without “red”\d+ images, [\d.]+% right/);
    expect(page.get("grid-right").textContent).toMatch(/^With “red”\d+ images, [\d.]+% right/);
    const [left, right] = ["grid-left", "grid-right"].map((grid) =>
      Number(page.get(grid).textContent?.match(/(\d+) images/)?.[1]),
    );
    expect((left ?? 0) + (right ?? 0)).toBe(120);
  });

  it("hold only the tiles near sight, however far they are scrolled", async () => {
    const page = await openScored();
    const frame = page.get("grid-left").querySelector(".cw-tiles") as HTMLElement;
    const size = Number(page.get("grid-left").textContent?.match(/(\d+) images/)?.[1]);
    const places = () => tilesOf(frame).map((tile) => Number(tile.getAttribute("aria-posinset")));
    const most = COLUMNS * (ROWS_IN_SIGHT + 5);
    expect(places()[0]).toBe(1);
    expect(places().length).toBeLessThanOrEqual(most);
    expect(tilesOf(frame)[0]?.getAttribute("aria-setsize")).toBe(String(size));

    frame.scrollTop = 72 * Math.ceil(size / COLUMNS);
    frame.dispatchEvent(new Event("scroll"));
    expect(places().at(-1)).toBe(size);
    expect(places().length).toBeLessThanOrEqual(most);
    await page.ask("score", { class_name: "square", phrase: "small" });
    await settle(100);
    expect(frame.scrollTop).toBe(0);
    expect(places()[0]).toBe(1);
  });

  it("ask for no image that flew past, and for those in sight once scrolling rests", async () => {
    const page = await openScored();
    const frame = page.get("grid-left").querySelector(".cw-tiles") as HTMLElement;
    await settle(500);
    const asked = () => new Set(sent(page.kernel, "thumbnails").flatMap(({ indices }) => indices));
    const before = asked();
    for (const lines of [ROWS_IN_SIGHT + 3, 2 * ROWS_IN_SIGHT + 6]) {
      frame.scrollTop = 72 * lines;
      frame.dispatchEvent(new Event("scroll"));
      await settle(20);
      expect(asked()).toEqual(before);
    }
    await settle(100);
    for (const { dataset } of tilesOf(frame)) expect(asked().has(Number(dataset.index))).toBe(true);
  });

  it("can be sorted by confidence and by number, each side by itself", async () => {
    const page = await openScored();
    const [left, right] = page.all("order") as HTMLSelectElement[];
    const before = tilesOf(page.get("grid-right")).map((tile) => tile.dataset.index);
    const sort = async (order: string) => {
      if (left) left.value = order;
      left?.dispatchEvent(new Event("change"));
      await settle();
    };
    await sort("index");
    const rows = tilesOf(page.get("grid-left")).map((tile) => Number(tile.dataset.index));
    expect(rows).toEqual([...rows].sort((a, b) => a - b));
    await sort("least-confident");
    const sure = tilesOf(page.get("grid-left")).map((tile) =>
      Number(tile.getAttribute("aria-label")?.match(/Confidence: ([\d.]+)/)?.[1]),
    );
    expect(sure).toEqual([...sure].sort((a, b) => a - b));
    expect(tilesOf(page.get("grid-right")).map((tile) => tile.dataset.index)).toEqual(before);
    expect(right?.value).toBe("most-similar");
  });

  it("ask only for the images that are shown, and say what cannot be read", async () => {
    const page = await openScored();
    await settle(500);
    const asked = new Set(sent(page.kernel, "thumbnails").flatMap(({ indices }) => indices));
    const shown = page.all("tile").map(({ dataset }) => Number(dataset.index));
    for (const index of shown) expect(asked.has(index)).toBe(true);
    expect(asked.size).toBeLessThan(page.kernel.data.images.length / 2);
    const { className } = page.kernel.data.images[13] as { className: string };
    await page.ask("select_class", { class_name: className });
    await settle(500);
    const unreadable = page.all("tile").find(({ dataset }) => dataset.index === "13");
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
      /^val\/square\/\d+\.png, Label: square, Predicted: oval, wrong, Confidence: [\d.]+%, Similarity: 0\.\d{3}$/,
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

  it("enlarge an image when the pointer rests on it or a key asks, until Escape", async () => {
    const page = await openScored();
    await settle(500);
    const tip = page.get("tip");
    const zoomed = () => tip.classList.contains("cw-zoomed");
    const [tile] = tilesOf(page.get("grid-left"));
    tile?.dispatchEvent(new Event("pointerover", { bubbles: true }));
    await settle(100);
    expect(zoomed()).toBe(false);
    await settle(400);
    expect(zoomed()).toBe(true);
    expect(sent(page.kernel, "thumbnails").at(-1)).toMatchObject({ size: 320 });
    press(document.body, "Escape");
    expect(zoomed()).toBe(false);

    tile?.focus();
    press(tile as HTMLElement, "z");
    expect(zoomed()).toBe(true);
    press(tile as HTMLElement, "z");
    expect(zoomed()).toBe(false);
  });

  it("are one stop each for the Tab key, and the arrow keys roam", async () => {
    const page = await openScored();
    const tiles = tilesOf(page.get("grid-left"));
    expect(tiles.filter(({ tabIndex }) => tabIndex === 0)).toEqual([tiles[0]]);
    tiles[0]?.focus();
    press(tiles[0] as HTMLElement, "ArrowRight");
    expect(document.activeElement).toBe(tiles[1]);
    expect(tiles.filter(({ tabIndex }) => tabIndex === 0)).toEqual([tiles[1]]);
    press(tiles[1] as HTMLElement, "ArrowDown");
    const focused = () => document.activeElement as HTMLElement;
    expect(focused().getAttribute("aria-posinset")).toBe(String(2 + COLUMNS));
    press(focused(), "End");
    const last = focused();
    expect(last.getAttribute("aria-posinset")).toBe(last.getAttribute("aria-setsize"));
    press(last, "ArrowRight");
    expect(focused()).toBe(last);
    press(last, "PageUp");
    press(focused(), "Home");
    expect(focused().getAttribute("aria-posinset")).toBe("1");
  });

  it("begin again at the first image for the Tab key when another phrase is shown", async () => {
    const page = await openScored();
    const left = page.get("grid-left");
    tilesOf(left)[5]?.focus();
    await page.ask("score", { class_name: "square", phrase: "small" });
    await settle(100);
    const stops = tilesOf(left).filter(({ tabIndex }) => tabIndex === 0);
    expect(stops.map((tile) => tile.getAttribute("aria-posinset"))).toEqual(["1"]);
  });

  it("are selected by click with keys, by the corner and by keys alone", async () => {
    const page = await openScored();
    const tiles = tilesOf(page.get("grid-left"));
    const rows = (...at: number[]) => at.map((i) => Number(tiles[i]?.dataset.index)).sort((a, b) => a - b);
    const click = (at: number, keys: MouseEventInit, target = tiles[at]) =>
      target?.dispatchEvent(new MouseEvent("click", { bubbles: true, ...keys }));
    const selected = async () => {
      await settle();
      return [...page.kernel.get("selected")].sort((a, b) => a - b);
    };
    click(1, { ctrlKey: true });
    expect(await selected()).toEqual(rows(1));
    click(3, { shiftKey: true });
    expect(await selected()).toEqual(rows(1, 2, 3));
    click(2, { shiftKey: true });
    expect(await selected()).toEqual(rows(1, 2));
    click(3, { shiftKey: true });
    expect(await selected()).toEqual(rows(1, 2, 3));
    click(2, { metaKey: true });
    expect(await selected()).toEqual(rows(1, 3));
    click(0, {}, tiles[0]?.querySelector<HTMLElement>('[data-testid="check"]') ?? undefined);
    expect(await selected()).toEqual(rows(0, 1, 3));
    expect(tiles.slice(0, 4).map((tile) => tile.getAttribute("aria-selected"))).toEqual([
      "true",
      "true",
      "false",
      "true",
    ]);
    expect(page.get("selected-count").textContent).toContain("3");

    press(tiles[0] as HTMLElement, "Escape");
    expect(await selected()).toEqual([]);
    tiles[4]?.focus();
    press(tiles[4] as HTMLElement, "x");
    press(tiles[4] as HTMLElement, "ArrowRight", { shiftKey: true });
    expect(await selected()).toEqual(rows(4, 5));
    press(document.activeElement as HTMLElement, "a", { ctrlKey: true });
    const size = Number(tiles[0]?.getAttribute("aria-setsize"));
    expect(await selected()).toHaveLength(size);
    page.get("clear-selection").click();
    expect(await selected()).toEqual([]);
  });

  it("are added as a range to what is selected by then, whoever selected it", async () => {
    const page = await openScored();
    const tiles = tilesOf(page.get("grid-left"));
    const row = (at: number) => Number(tiles[at]?.dataset.index);
    const elsewhere = Number(tilesOf(page.get("grid-right"))[0]?.dataset.index);
    const click = async (at: number, keys: MouseEventInit) => {
      tiles[at]?.dispatchEvent(new MouseEvent("click", { bubbles: true, ...keys }));
      await settle();
    };
    const selected = () => new Set(page.kernel.get("selected"));
    await click(1, { ctrlKey: true });
    page.kernel.update({ selected: [row(1), elsewhere] });
    await settle();
    await click(2, { shiftKey: true });
    expect(selected()).toEqual(new Set([row(1), row(2), elsewhere]));
    await click(6, { ctrlKey: true });
    page.get("clear-selection").click();
    await settle();
    await click(5, { shiftKey: true });
    expect(selected()).toEqual(new Set([row(5), row(6)]));
  });

  it("of a selection are marked all at once", async () => {
    const page = await openScored();
    page.kernel.update({ selected: [0, 2, 4] });
    await settle();
    page.get("selected-has").click();
    await settle();
    page.kernel.update({ selected: [4] });
    await settle();
    page.get("selected-has-not").click();
    await settle();
    expect(page.kernel.get("marks")).toEqual({ has: [0, 2], has_not: [4] });
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

  it("has the name for its title from the first", async () => {
    const page = await openScored();
    await settle(500);
    page.kernel.delay = -1;
    const title = page.get("original-dialog").querySelector("h2");
    tilesOf(page.get("grid-right"))[0]?.click();
    expect(title?.textContent).toMatch(/^val\/square\/\d+\.png$/);
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

  it("shows where the model looks, for both classes and the phrase, until that is pressed again", async () => {
    const { dialog, kernel, get } = await opened();
    const buttons = [...get("looking").querySelectorAll("button")];
    expect(buttons.map((button) => button.textContent)).toEqual(["square", "oval", "red"]);
    buttons[1]?.click();
    await settle();
    expect(sent(kernel, "explanation")[0]).toMatchObject({ split: "val", about: "oval" });
    expect(buttons[1]?.getAttribute("aria-pressed")).toBe("true");
    expect(get("looking").textContent).toContain("logit of oval");
    expect(dialog.querySelector("img")?.alt).toMatch(/^Where the model looks, logit of oval: val\/square/);
    buttons[1]?.click();
    await settle();
    expect(dialog.querySelector("img")?.alt).toMatch(/^val\/square/);
  });

  it("keeps showing where the model looks from image to image", async () => {
    const { dialog, kernel, get } = await opened();
    get("looking").querySelector("button")?.click();
    await settle();
    press(dialog, "ArrowRight");
    await settle();
    const asked = sent(kernel, "explanation").map(({ index }) => index);
    expect(asked).toHaveLength(2);
    expect(asked[0]).not.toBe(asked[1]);
  });

  it("says why it cannot show where the model looks, and offers nothing to other encoders", async () => {
    const { dialog, kernel, get } = await opened();
    get("looking").querySelectorAll("button")[2]?.click();
    await settle();
    expect(get("looking").textContent).toContain("The encoder has no layers.");
    expect(get("looking").querySelector('[aria-pressed="true"]')).toBeNull();
    kernel.explains = false;
    press(dialog, "ArrowRight");
    await settle();
    expect(get("looking").hidden).toBe(true);
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
