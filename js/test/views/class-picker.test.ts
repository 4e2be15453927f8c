import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openPage, press, sent, settle, type } from "../page";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
});

const many = Array.from({ length: 1000 }, (_, i) => ({
  name: `class ${i}`,
  size: 50,
  wrong: 10,
  error_rate: i === 7 ? null : 0.2,
  annotated: i === 3,
}));

describe("class picker", () => {
  it("lists the classes as given, with error rates and marks", async () => {
    const page = await openPage({ classes: many.slice(0, 8) });
    const options = page.all("class-option");
    expect(options.map(({ dataset }) => dataset.name)).toEqual(many.slice(0, 8).map(({ name }) => name));
    expect(options[0]?.textContent).toContain("20.0%");
    expect(options[3]?.textContent).toContain("annotated");
    expect(options[7]?.textContent).toContain("–");
    expect(page.root.querySelector<HTMLElement>(".cw-filter")?.hidden).toBe(true);
  });

  it("asks for a class on click and marks it at once", async () => {
    const page = await openPage();
    page.kernel.delay = 500;
    page.all("class-option")[1]?.click();
    expect(page.all("class-option")[1]?.getAttribute("aria-selected")).toBe("true");
    expect(sent(page.kernel, "select_class")).toMatchObject([{ class_name: "oval" }]);
    await settle(600);
    expect(page.root.dataset.cwPainted).toBe("oval|");
  });

  it("marks the chosen class also when the list changes", async () => {
    const page = await openPage();
    await page.ask("select_class", { class_name: "oval" });
    page.kernel.update({ classes: [...page.kernel.get("classes")] });
    await settle();
    const selected = page.all("class-option").filter((item) => item.getAttribute("aria-selected") === "true");
    expect(selected.map(({ dataset }) => dataset.name)).toEqual(["oval"]);
  });

  it("filters a thousand classes", async () => {
    const page = await openPage({ classes: many });
    const filter = page.root.querySelector(".cw-filter") as HTMLInputElement;
    expect(filter.hidden).toBe(false);
    type(filter, "CLASS 99");
    const shown = page.all("class-option").filter((item) => !item.hidden);
    expect(shown.map(({ dataset }) => dataset.name)).toContain("class 99");
    expect(shown).toHaveLength(11);
  });

  it("roams with the arrow keys and chooses with Enter", async () => {
    const page = await openPage({ classes: many.slice(0, 3) });
    const [first, second, third] = page.all("class-option") as [HTMLElement, HTMLElement, HTMLElement];
    expect([first, second, third].map(({ tabIndex }) => tabIndex)).toEqual([0, -1, -1]);
    first.focus();
    press(first, "ArrowDown");
    expect(document.activeElement).toBe(second);
    press(second, "End");
    expect(document.activeElement).toBe(third);
    press(third, "Enter");
    expect(sent(page.kernel, "select_class")).toMatchObject([{ class_name: "class 2" }]);
  });
});
