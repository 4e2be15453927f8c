import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeKernel, sprites } from "../../dev/fake";
import type { Suggestions } from "../../src/model";
import { openPage, openScored, press, sent, settle } from "../page";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
});

const NONE: Suggestions = { state: "none", noise_line: null, sentence: "", phrases: [] };
const READY: Suggestions = {
  state: "ready",
  noise_line: 0.431,
  sentence: "By chance …",
  phrases: [
    { phrase: "red", score: 0.7, above_noise: true },
    { phrase: "<b>dark</b>", score: 0.3, above_noise: false },
  ],
};

async function openWith(suggestions: Suggestions) {
  const page = await openPage();
  await page.ask("select_class", { class_name: "square" });
  page.kernel.update({ suggestions });
  await settle();
  return page;
}

describe("suggestions", () => {
  it("stand before and behind a line that says what chance alone would reach", async () => {
    const page = await openWith(READY);
    const [red, dark] = page.all("suggestion");
    const line = page.get("noise-line");
    expect(line.textContent).toBe("Chance alone: 0.43");
    expect(line.compareDocumentPosition(red as Node)).toBe(Node.DOCUMENT_POSITION_PRECEDING);
    expect(line.compareDocumentPosition(dark as Node)).toBe(Node.DOCUMENT_POSITION_FOLLOWING);
    expect(red?.getAttribute("aria-label")).toBe("red, Error Score 0.70");
    expect(dark?.textContent).toBe("<b>dark</b>0.30");
    expect(page.get("only-noise").hidden).toBe(true);
  });

  it("are scored on a click, and the one that is shown is pressed", async () => {
    const page = await openWith(READY);
    page.get("suggestion").click();
    await settle();
    expect(sent(page.kernel, "score")).toMatchObject([{ class_name: "square", phrase: "red" }]);
    expect((page.get("phrase-input") as HTMLInputElement).value).toBe("red");
    expect(page.get("suggestion").getAttribute("aria-pressed")).toBe("true");
  });

  it("say so when none does better than chance", async () => {
    const page = await openWith({ ...READY, phrases: READY.phrases.slice(1) });
    expect(page.get("only-noise").hidden).toBe(false);
  });

  it("are looked for only when asked where that takes long", async () => {
    const page = await openPage({}, new FakeKernel(sprites(800)));
    await page.ask("select_class", { class_name: "square" });
    expect(page.all("suggestion")).toHaveLength(0);
    page.get("suggest").click();
    await settle();
    expect(sent(page.kernel, "suggest")).toMatchObject([{ class_name: "square" }]);
    expect(page.all("suggestion").length).toBeGreaterThan(0);
    expect(page.get("suggest").hidden).toBe(true);
  });

  it("are not there where there is nothing to describe, and are waited for in words", async () => {
    const page = await openWith(NONE);
    expect(page.get("suggestions").hidden).toBe(true);
    page.kernel.update({ suggestions: { ...NONE, state: "pending" } });
    await settle();
    expect(page.get("suggestions").textContent).toContain("Looking for phrases…");
  });
});

describe("marked images", () => {
  it("are marked by keys, and told by sign and word", async () => {
    const page = await openScored();
    const [first, second] = page.all("tile") as [HTMLElement, HTMLElement];
    first.focus();
    press(first, "+");
    press(second, "-");
    await settle(100);
    expect(first.querySelector(".cw-has")?.textContent).toBe("+ has");
    expect(second.querySelector(".cw-has")?.textContent).toBe("− lacks");
    expect(second.getAttribute("aria-label")).toContain("Marked: has it not");
    expect(document.activeElement).toBe(first);
    press(first, "Backspace");
    await settle(100);
    expect(first.querySelector(".cw-has")).toBeNull();
    expect(page.kernel.get("marks")).toEqual({ has: [], has_not: [Number(second.dataset.index)] });
  });

  it("are marked where the original is looked at, by button or key", async () => {
    const page = await openScored();
    const [first, second] = page.all("tile") as [HTMLElement, HTMLElement];
    first.click();
    await settle();
    page.get("mark-has").click();
    await settle(100);
    expect(page.get("mark-has").getAttribute("aria-pressed")).toBe("true");
    press(page.get("original-dialog"), "ArrowRight");
    await settle();
    expect(page.get("mark-has").getAttribute("aria-pressed")).toBe("false");
    press(page.get("original-dialog"), "-");
    await settle(100);
    const rows = [first, second].map(({ dataset }) => Number(dataset.index));
    expect(page.kernel.get("marks")).toEqual({ has: [rows[0]], has_not: [rows[1]] });
    page.get("mark-has-not").click();
    await settle();
    expect(page.kernel.get("marks").has_not).toEqual([]);
  });

  it("need a phrase that they could have", async () => {
    const page = await openPage();
    await page.ask("select_class", { class_name: "square" });
    await settle(100);
    press(page.get("tile"), "+");
    await settle();
    expect(sent(page.kernel, "mark")).toHaveLength(0);
  });

  const rows = (n: number) => Array.from({ length: n }, (_, i) => 2 * i);

  it("are counted, sharpen the phrase that is shown, and can be forgotten", async () => {
    const page = await openScored();
    expect(page.get("marked").textContent).toContain("Misunderstood?");
    await page.ask("mark", { phrase: "red", indices: rows(3), has: true });
    await page.ask("mark", { phrase: "red", indices: [8], has: false });
    expect(page.get("marked").textContent).toBe("3 marked “has it”, 1 “has it not”");
    page.get("sharpen").click();
    await settle();
    expect(sent(page.kernel, "sharpen")).toMatchObject([{ class_name: "square", phrase: "red" }]);
    expect(page.root.dataset.cwPainted).toBe("square|red, sharpened by 4");
    expect(page.get("p-value").textContent).toContain("4 images that it was sharpened by left out.");
    page.get("forget-marks").click();
    await settle();
    expect(sent(page.kernel, "mark").at(-1)).toMatchObject({ indices: [0, 2, 4, 8], has: null });
    expect(page.get("sharpen").parentElement?.hidden).toBe(true);
  });
});
