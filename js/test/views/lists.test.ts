import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
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
});
