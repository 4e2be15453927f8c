import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { bars, binsFor, scaleOf } from "../../src/views/histogram";
import { openPage, openScored, type Page, press, settle, type } from "../page";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
});

const WIDTH = 500;

/** happy-dom lays nothing out: the plot is given a box. */
async function openPlot() {
  const page = await openScored();
  const plot = page.root.querySelector(".cw-plot") as HTMLElement;
  const slider = page.get("threshold-slider");
  const box = (left: number, width: number) =>
    ({ left, width, top: 0, height: 128, right: left + width, bottom: 128 }) as DOMRect;
  plot.getBoundingClientRect = () => box(0, WIDTH);
  slider.getBoundingClientRect = () => box((Number.parseFloat(slider.style.left) / 100) * WIDTH - 8, 16);
  return { ...page, plot, slider };
}

function pointer(target: Element, kind: string, clientX: number): void {
  const event = new MouseEvent(`pointer${kind}`, { clientX, button: 0, bubbles: true, cancelable: true });
  Object.defineProperty(event, "pointerId", { value: 1 });
  target.dispatchEvent(event);
}

const shown = (page: Pick<Page, "get">) => Number((page.get("threshold-value") as HTMLInputElement).value);
const now = (page: Pick<Page, "get">) => Number(page.get("threshold-slider").getAttribute("aria-valuenow"));

describe("threshold", () => {
  it("starts at the best", async () => {
    const page = await openPlot();
    expect(shown(page)).toBeCloseTo(page.kernel.get("threshold") as number, 3);
    expect((page.get("threshold-best") as HTMLButtonElement).disabled).toBe(true);
  });

  it("splits while it is dragged, without the kernel, and is committed when let go", async () => {
    const page = await openPlot();
    const { kernel, plot, slider } = page;
    const before = page.get("grid-right").textContent;
    const requests = kernel.requests.length;
    pointer(slider, "down", slider.getBoundingClientRect().left + 8);
    for (const x of [300, 350, 400, 450]) pointer(plot, "move", x);
    expect(page.get("grid-right").textContent).not.toBe(before);
    expect(now(page)).toBeGreaterThan(0.25);
    expect(kernel.saves).toEqual([]);
    expect(kernel.requests).toHaveLength(requests);
    pointer(plot, "up", 450);
    expect(kernel.saves).toEqual([{ threshold: kernel.get("threshold") }]);
    expect(kernel.get("threshold")).toBeCloseTo(now(page), 3);
  });

  it("does not jump when its line is taken hold of beside the middle", async () => {
    const page = await openPlot();
    const { kernel, plot, slider } = page;
    const start = kernel.get("threshold");
    pointer(slider, "down", slider.getBoundingClientRect().left + 3);
    pointer(plot, "up", slider.getBoundingClientRect().left + 3);
    expect(kernel.get("threshold")).toBe(start);
    expect(kernel.saves).toEqual([]);
  });

  it("goes where the plot is pressed", async () => {
    const page = await openPlot();
    pointer(page.plot, "down", 0);
    pointer(page.plot, "up", 0);
    expect(page.kernel.get("threshold")).toBeCloseTo(Number(page.slider.getAttribute("aria-valuemin")), 3);
    expect(page.get("grid-left").textContent).toContain("no images");
  });

  it("returns when the drag is cancelled", async () => {
    const page = await openPlot();
    const start = now(page);
    pointer(page.plot, "down", 400);
    pointer(page.plot, "cancel", 400);
    expect(now(page)).toBe(start);
    expect(page.kernel.saves).toEqual([]);
  });

  it("moves with the keys in small and large steps, committed once they rest", async () => {
    const page = await openPlot();
    const { kernel, slider } = page;
    const start = kernel.get("threshold") as number;
    press(slider, "ArrowRight");
    const small = now(page) - start;
    press(slider, "ArrowLeft");
    press(slider, "ArrowRight", { shiftKey: true });
    const large = now(page) - start;
    expect(small).toBeGreaterThan(0);
    expect(large / small).toBeGreaterThan(5);
    press(slider, "PageDown");
    press(slider, "ArrowUp");
    expect(kernel.saves).toEqual([]);
    await settle(300);
    expect(kernel.saves).toHaveLength(1);
    expect(kernel.get("threshold")).toBeCloseTo(now(page), 3);
    press(slider, "Home");
    expect(now(page)).toBe(Number(slider.getAttribute("aria-valuemin")));
    press(slider, "End");
    expect(now(page)).toBe(Number(slider.getAttribute("aria-valuemax")));
    expect(page.get("grid-right").textContent).toContain("no images");
  });

  it("belongs to the phrase that is shown, also when another follows at once", async () => {
    const page = await openPlot();
    press(page.slider, "ArrowRight");
    const moved = now(page);
    page.all("class-option")[1]?.click();
    expect(page.kernel.saves).toHaveLength(1);
    expect(page.kernel.saves[0]?.threshold).toBeCloseTo(moved, 3);
    await settle(500);
    expect(page.kernel.get("threshold")).toBeNull();
  });

  it("takes a number, within the range, and refuses what is none", async () => {
    const page = await openPlot();
    const number = page.get("threshold-value") as HTMLInputElement;
    type(number, "0.2");
    number.dispatchEvent(new Event("change"));
    expect(page.kernel.get("threshold")).toBe(0.2);
    type(number, "77");
    number.dispatchEvent(new Event("change"));
    await settle();
    expect(page.kernel.get("threshold")).toBeLessThan(0.4);
    type(number, "");
    number.dispatchEvent(new Event("change"));
    expect(number.value).not.toBe("");
  });

  it("takes a number at Enter, which a notebook would keep for itself", async () => {
    const page = await openPlot();
    const number = page.get("threshold-value") as HTMLInputElement;
    type(number, "0.2");
    press(number, "Enter");
    expect(page.kernel.get("threshold")).toBe(0.2);
  });

  it("leaves a number alone while it is written, and no longer", async () => {
    const page = await openPlot();
    const number = page.get("threshold-value") as HTMLInputElement;
    number.focus();
    type(number, "0.2");
    page.kernel.set("threshold", 0.1);
    await settle();
    expect(number.value).toBe("0.2");
    press(number, "Enter");
    page.kernel.set("threshold", 0.1);
    await settle();
    expect(number.value).toBe("0.100");
    page.kernel.set("threshold", 0.12345);
    await settle();
    number.dispatchEvent(new Event("change"));
    expect(page.kernel.get("threshold")).toBe(0.12345);
  });

  it("returns to the best", async () => {
    const page = await openPlot();
    const best = page.kernel.get("threshold");
    press(page.slider, "Home");
    await settle(300);
    page.get("threshold-best").click();
    await settle();
    expect(page.kernel.get("threshold")).toBe(best);
    expect((page.get("threshold-best") as HTMLButtonElement).disabled).toBe(true);
  });

  it("speaks of what it means", async () => {
    const page = await openPlot();
    expect(page.slider.getAttribute("aria-valuetext")).toMatch(
      /^0\.\d{3}: \d+ images with the phrase, [\d.]+% right$/,
    );
  });
});

describe("histogram", () => {
  it("draws right and wrong in ways that differ without colour", async () => {
    const { root } = await openPlot();
    const [right, wrong] = [".cw-bars-right", ".cw-bars-wrong"].map((name) => root.querySelector(name));
    expect(right?.getAttribute("d")).toMatch(/^M/);
    expect(wrong?.getAttribute("fill")).toMatch(/^url\(#/);
    expect(root.querySelector(".cw-legend")?.textContent).toMatch(/right \(96\).*wrong \(24\)/);
  });

  it("keeps its place before the first phrase", async () => {
    const page = await openPage();
    await page.ask("select_class", { class_name: "square" });
    expect(page.root.querySelector<HTMLElement>(".cw-plot-empty")?.hidden).toBe(false);
  });

  it("draws bars of whole pixels that end at the axis", () => {
    const path = bars(Float64Array.of(0.5, 0, 0.25), 30, 60, 80, -1);
    expect(path).toBe("M0 59V19.0H9V59ZM20 59V39.0H29V59Z");
  });

  it("uses one scale for both series and leaves room for each", () => {
    for (const [right, wrong] of [
      [0.2, 0.2],
      [0.9, 0.01],
      [0.01, 0.9],
      [0.5, 0],
      [0, 0.5],
    ] as const) {
      const { axis, perShare } = scaleOf(right, wrong);
      expect(axis - right * perShare).toBeGreaterThanOrEqual(17.9);
      expect(axis + wrong * perShare).toBeLessThanOrEqual(126.1);
    }
    expect(binsFor(1)).toBe(16);
    expect(binsFor(200_000)).toBe(48);
  });
});
