import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openPage, openScored, press, sent, settle, type } from "../page";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
});

async function openSquares() {
  const page = await openPage();
  await page.ask("select_class", { class_name: "square" });
  return { ...page, box: page.get("phrase-input") as HTMLInputElement };
}

describe("phrase box", () => {
  it("waits for typing to pause, then asks once", async () => {
    const { kernel, box } = await openSquares();
    for (const text of ["r", "re", "red"]) {
      type(box, text);
      await settle(60);
    }
    expect(sent(kernel, "score")).toHaveLength(0);
    await settle(200);
    expect(sent(kernel, "score")).toMatchObject([{ class_name: "square", phrase: "red" }]);
  });

  it("asks at once on Enter", async () => {
    const { kernel, box } = await openSquares();
    type(box, "red");
    press(box, "Enter");
    expect(sent(kernel, "score")).toMatchObject([{ phrase: "red" }]);
    await settle(2000);
    expect(sent(kernel, "score")).toHaveLength(1);
  });

  it("shows what is chosen elsewhere instead of what could not be scored", async () => {
    const { kernel, box, all, get } = await openSquares();
    type(box, "red");
    press(box, "Enter");
    await settle();
    for (const choose of [() => all("history-item")[0]?.click(), () => all("class-option")[0]?.click()]) {
      type(box, " ");
      press(box, "Enter");
      await settle();
      expect(get("error").hidden).toBe(false);
      expect(box.value).toBe(" ");
      choose();
      await settle();
      expect(box.value).toBe(kernel.get("phrase"));
    }
  });

  it("counts a phrase as tried when typing has come to rest, not each of its beginnings", async () => {
    const { kernel, box, all } = await openSquares();
    for (const text of ["w", "wat", "water"]) {
      type(box, text);
      await settle(300);
    }
    await settle(1500);
    expect(all("history-item").map(({ dataset }) => dataset.phrase)).toEqual(["water"]);
    expect(kernel.get("phrase")).toBe("water");
  });

  it("counts what typing rested on, however it goes on", async () => {
    const { box, all } = await openSquares();
    type(box, "wat");
    await settle(300);
    type(box, "water");
    press(box, "Enter");
    await settle(1500);
    for (const text of ["water b", "water bird"]) {
      type(box, text);
      await settle(300);
    }
    const tried = () => all("history-item").map(({ dataset }) => dataset.phrase);
    expect(tried()).toEqual(["water bird", "water"]);
    all("history-item")[1]?.click();
    await settle(300);
    expect(tried()).toEqual(["water", "water bird"]);
  });

  it("counts every phrase that ended with Enter, however fast they come", async () => {
    const { box, all } = await openSquares();
    for (const text of ["red", "small", "blue"]) {
      type(box, text);
      press(box, "Enter");
      await settle(30);
    }
    expect(all("history-item").map(({ dataset }) => dataset.phrase)).toEqual(["blue", "small", "red"]);
  });

  it("tells the kernel once that somebody types, so that it stops what nobody asked for", async () => {
    const { kernel, box } = await openSquares();
    for (const text of ["r", "re", "red"]) {
      type(box, text);
      await settle(60);
    }
    expect(sent(kernel, "typing")).toMatchObject([{ over: false }]);
    await settle(400);
    type(box, "redd");
    expect(sent(kernel, "typing")).toMatchObject([{ over: false }, { over: false }]);
  });

  it("tells the kernel when typing has led to nothing", async () => {
    const { kernel, box } = await openSquares();
    type(box, "r");
    await settle(60);
    type(box, "");
    await settle(400);
    expect(sent(kernel, "typing")).toMatchObject([{ over: false }, { over: true }]);
    expect(sent(kernel, "score")).toHaveLength(0);
  });

  it("does not take Enter that ends an input method for an answer", async () => {
    const { kernel, box } = await openSquares();
    press(box, "Enter", { isComposing: true });
    expect(sent(kernel, "score")).toHaveLength(0);
  });

  it("shows only the latest of several phrases", async () => {
    const { kernel, box, root } = await openSquares();
    kernel.delay = 300;
    type(box, "dark");
    press(box, "Enter");
    await settle(10);
    type(box, "red");
    press(box, "Enter");
    await settle(400);
    expect(root.dataset.cwPainted).toBe("square|red");
    expect(box.value).toBe("red");
  });

  it("does not call half a word an error before typing rests", async () => {
    const { kernel, box, get } = await openSquares();
    vi.spyOn(kernel, "send").mockImplementation((content) => {
      const { id } = content as { id: string };
      const error = { type: "PhraseError", message: "unknown" };
      setTimeout(() => {
        kernel.update({ error: { ...error } });
        kernel.deliver({ id, ok: false, error });
      }, 20);
    });
    type(box, "forestx");
    await settle(500);
    expect(get("error").hidden).toBe(true);
    await settle(1000);
    expect(get("error").hidden).toBe(false);
    press(box, "Enter");
    await settle(30);
    expect(get("error").textContent).toContain("unknown");
  });

  it("loses nothing typed when the kernel refuses it", async () => {
    const { box, get, root } = await openSquares();
    const long = "x".repeat(10_000);
    for (const text of [long, "   "]) {
      type(box, text);
      press(box, "Enter");
      await settle();
      expect(box.value).toBe(text);
      expect(get("error").hidden).toBe(false);
      expect(root.dataset.cwPainted).toBe("square|");
    }
  });

  it("returns to right and wrong when the box is emptied", async () => {
    const page = await openScored();
    type(page.get("phrase-input"), "");
    await settle(300);
    expect(sent(page.kernel, "select_class").at(-1)).toMatchObject({ class_name: "square" });
    expect(page.root.dataset.cwPainted).toBe("square|");
  });

  it("shows a phrase that was set elsewhere, but not over what is being typed", async () => {
    const { box, ask } = await openSquares();
    await ask("score", { class_name: "square", phrase: "small" });
    expect(box.value).toBe("small");
    type(box, "sma");
    await ask("score", { class_name: "square", phrase: "blue" });
    expect(box.value).toBe("sma");
  });

  it("is empty again for another class", async () => {
    const page = await openScored();
    await page.ask("select_class", { class_name: "oval" });
    expect((page.get("phrase-input") as HTMLInputElement).value).toBe("");
  });
});
