import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeKernel, sprites } from "../dev/fake";
import { parts } from "../src/index";
import type { Buffer, Score } from "../src/model";
import { type ReportPhrase, type ReportState, renderReport } from "../src/report";
import { press, settle } from "./page";

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(URL, "createObjectURL").mockReturnValue("blob:picture");
});
afterEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
});

function base64(buffer: Buffer): string {
  const bytes = new Uint8Array((buffer as DataView).buffer);
  return btoa(String.fromCharCode(...bytes));
}

/** What a session with "red" and "small" for squares and nothing for ovals would write. */
async function reportState(): Promise<ReportState> {
  const kernel = new FakeKernel(sprites());
  const phrases: ReportPhrase[] = [];
  const members: ReportState["members"] = {};
  for (const [class_name, phrase] of [
    ["square", ""],
    ["square", "small"],
    ["square", "red"],
    ["oval", ""],
  ]) {
    const kind = phrase ? "score" : "select_class";
    kernel.send({ id: "x", type: kind, class_name, phrase });
    await settle();
    phrases.push({
      class_name: class_name as string,
      phrase: phrase as string,
      threshold: kernel.get("threshold"),
      score: kernel.get("score") as Score | null,
      similarities_base64: base64(kernel.examples[0] as DataView),
    });
    members[class_name as string] = {
      members_base64: base64(kernel.examples[1] as DataView),
      confidences_base64: base64(kernel.examples[2] as DataView),
    };
  }
  const annotations = [
    { class_name: "square", phrase: "red", threshold: 0.2, score: 0.7, active: true, used: true },
  ];
  return {
    dataset_name: "Sprites",
    classes: kernel.get("classes"),
    class_name: "square",
    phrase: "red",
    annotations,
    phrases,
    members,
  };
}

async function open(images = {}) {
  const el = document.createElement("div");
  document.body.append(el);
  const dispose = renderReport(parts, el, await reportState(), images);
  await settle();
  const all = (testid: string) => [...el.querySelectorAll<HTMLElement>(`[data-testid="${testid}"]`)];
  return { el, all, root: el.querySelector(".cw-root") as HTMLElement, dispose };
}

describe("report", () => {
  it("opens with the phrase it was saved with, and offers nothing that needs a kernel", async () => {
    const { root, all, el } = await open();
    expect(root.dataset.cwPainted).toBe("square|red");
    expect(el.textContent).toContain("images that have red in it.");
    for (const testid of ["keep", "retrain", "cancel", "undo", "phrase-input", "remove"]) {
      expect(all(testid)).toHaveLength(0);
    }
  });

  it("drags the threshold without a kernel", async () => {
    const { all } = await open();
    const before = all("grid-right")[0]?.textContent;
    press(all("threshold-slider")[0] as HTMLElement, "PageUp");
    await settle(300);
    expect(all("grid-right")[0]?.textContent).not.toBe(before);
  });

  it("returns to any phrase and class that is in it", async () => {
    const { all, root } = await open();
    const items = all("history-item");
    expect(items.map(({ dataset }) => dataset.phrase)).toEqual(["small", "red"]);
    expect(items[1]?.textContent).toMatch(/best.*kept/);
    items[0]?.click();
    await settle();
    expect(root.dataset.cwPainted).toBe("square|small");
    all("class-option")
      .find(({ dataset }) => dataset.name === "oval")
      ?.click();
    await settle();
    expect(root.dataset.cwPainted).toBe("oval|");
  });

  it("shows what was known of retraining, and waits for nothing else", async () => {
    const state = await reportState();
    const expected = { before: 0.62, after: 0.81, within_noise: false, sentence: "Retraining …", reason: "" };
    const phrases = state.phrases.map((one) => (one.phrase === "red" ? { ...one, expected } : one));
    const el = document.createElement("div");
    document.body.append(el);
    renderReport(parts, el, { ...state, phrases }, {});
    await settle();
    const [small, red] = el.querySelectorAll('[data-testid="history-item"]');
    expect(red?.textContent).toContain("after: worst slice 0.62 → 0.81");
    expect(small?.textContent).not.toContain("after");
  });

  it("shows its images and says which it has not", async () => {
    const picture = `data:image/png;base64,${btoa("png")}`;
    const images = Object.fromEntries(
      sprites()
        .images.filter(({ row }) => row !== 4)
        .map(({ row }) => [
          `val/${row}`,
          row % 3
            ? picture
            : { src: picture, name: `${row}.png`, label: "square", predicted: "oval", correct: false },
        ]),
    );
    const { all } = await open(images);
    const tiles = all("tile");
    expect(tiles.filter((tile) => tile.querySelector("img")).length).toBeGreaterThan(20);
    const missing = tiles.filter(({ dataset }) => dataset.index === "4");
    for (const tile of missing) expect(tile.textContent).toContain("not in this report");
    const named = tiles.find(({ dataset }) => Number(dataset.index) % 3 === 0);
    expect(named?.getAttribute("aria-label")).toContain(`${named?.dataset.index}.png`);
  });

  it("can be taken away", async () => {
    const { el, dispose } = await open();
    dispose();
    expect(el.childElementCount).toBe(0);
  });
});
