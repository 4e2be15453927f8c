import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Tried } from "../../src/model";
import { openPage, openScored, sent, settle } from "../page";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
});

describe("tried phrases", () => {
  it("marks the best, the kept and the one that is shown", async () => {
    const page = await openScored();
    await page.ask("keep", { class_name: "square", phrase: "red", threshold: 0.2 });
    await page.ask("score", { class_name: "square", phrase: "small" });
    const [small, red] = page.all("history-item");
    expect(small?.dataset.phrase).toBe("small");
    expect(small?.getAttribute("aria-current")).toBe("true");
    expect(red?.textContent).toMatch(/red.*best.*kept/);
    expect(red?.getAttribute("aria-current")).toBe("false");
  });

  it("returns to a phrase on click", async () => {
    const page = await openScored();
    await page.ask("score", { class_name: "square", phrase: "small" });
    page.all("history-item")[1]?.click();
    await settle();
    expect(page.root.dataset.cwPainted).toBe("square|red");
    expect((page.get("phrase-input") as HTMLInputElement).value).toBe("red");
  });

  it("is not there before the first phrase", async () => {
    const page = await openPage();
    expect(page.all("history-item")).toHaveLength(0);
  });
});

describe("what retraining would give", () => {
  const tried = {
    score: 0.5,
    threshold: 0.2,
    direction: 1,
    p_value: 0.01,
    best: false,
    kept: false,
  } as const;
  const known = { before: 0.62, after: 0.81, within_noise: false, sentence: "Retraining …", reason: "" };

  async function rows(...histories: Tried[]) {
    const page = await openScored();
    page.kernel.update({ history: histories });
    await settle();
    return page.all("history-item");
  }

  it("is told by sign and word, for the eye and for the ear", async () => {
    const [up, down, noise] = await rows(
      { ...tried, phrase: "red", expected: known },
      { ...tried, phrase: "small", expected: { ...known, after: 0.55 } },
      { ...tried, phrase: "dark", expected: { ...known, after: 0.63, within_noise: true } },
    );
    expect(up?.textContent).toContain("after: worst slice 0.62 → 0.81+0.19 better");
    expect(up?.textContent).toContain("take the worst slice from 0.62 to 0.81: +0.19 better.");
    expect(down?.textContent).toContain("0.62 → 0.55−0.07 worse");
    expect(noise?.textContent).toContain("0.62 → 0.63within noise");
    expect(up?.querySelector('[data-testid="expected"]')?.getAttribute("title")).toBe("Retraining …");
  });

  it("says why there is none", async () => {
    const reason = "No image is on one side.";
    const [row] = await rows({
      ...tried,
      phrase: "red",
      expected: { ...known, before: null, after: null, reason },
    });
    expect(row?.textContent).toContain(`no preview: ${reason}`);
  });

  it("keeps its place while it is awaited, and takes none where it will not come", async () => {
    const [awaited, off] = await rows(
      { ...tried, phrase: "red", expected: null },
      { ...tried, phrase: "small" },
    );
    expect(awaited?.textContent).toContain("after: …");
    expect(off?.textContent).not.toContain("after");
  });

  it("comes into a row without taking the focus or the row away", async () => {
    const page = await openScored();
    await page.ask("score", { class_name: "square", phrase: "small" });
    const before = page.all("history-item");
    before[1]?.focus();
    page.kernel.preview();
    await settle();
    expect(page.all("history-item")).toEqual(before);
    expect(document.activeElement).toBe(before[1]);
    expect(page.all("expected")).toHaveLength(2);
  });
});

describe("kept corrections", () => {
  it("lists those of all classes and removes one", async () => {
    const page = await openScored();
    await page.ask("keep", { class_name: "square", phrase: "red", threshold: 0.2 });
    await page.ask("keep", { class_name: "oval", phrase: "blue", threshold: 0.2 });
    expect(page.get("annotations").textContent).toMatch(/square.*red.*oval.*blue/);
    const [remove] = page.all("remove");
    expect(remove?.getAttribute("aria-label")).toBe("Remove “red” from square");
    remove?.click();
    await settle();
    expect(sent(page.kernel, "remove")).toMatchObject([{ class_name: "square", phrase: "red" }]);
    expect(page.get("annotations").textContent).not.toContain("red");
  });

  it("are switched off and on where they stand, and say which one retraining uses", async () => {
    const page = await openScored();
    await page.ask("keep", { class_name: "square", phrase: "red", threshold: 0.2 });
    const [box] = page.all("switch") as HTMLInputElement[];
    expect(box?.checked).toBe(true);
    box?.focus();
    box?.click();
    await settle();
    expect(sent(page.kernel, "switch")).toMatchObject([{ class_name: "square", phrase: "red", on: false }]);
    expect(page.get("annotations").textContent).toContain("off");
    expect(document.activeElement).toBe(page.get("switch"));

    const [kept] = page.kernel.get("annotations");
    page.kernel.update({ annotations: kept ? [{ ...kept, active: true, used: false }] : [] });
    await settle();
    expect(page.get("annotations").textContent).toContain("not used");
  });
});

describe("undo and redo", () => {
  it("say what they would do, and are off while there is nothing", async () => {
    const page = await openPage({ can_redo: "Keep “red”" });
    const redo = page.get("redo") as HTMLButtonElement;
    expect(redo.getAttribute("aria-label")).toBe("Redo: Keep “red”");
    redo.click();
    await settle();
    expect(sent(page.kernel, "redo")).toHaveLength(1);
    expect(redo.disabled).toBe(true);
  });
});
