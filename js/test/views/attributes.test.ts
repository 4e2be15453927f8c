import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeKernel, sprites } from "../../dev/fake";
import type { AttributeRow, Judgement } from "../../src/model";
import { openPage, type Page, press, sent, settle } from "../page";

vi.mock("../../src/panel-loader", async () => {
  const panels = await import("../../src/panels");
  return { panelLoader: () => async () => panels };
});

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
});

const row = (attribute: string, difference: number, more: Partial<AttributeRow> = {}): AttributeRow => ({
  attribute,
  with: { size: 55, accuracy: 0.5 + difference / 2 },
  without: { size: 32, accuracy: 0.5 - difference / 2 },
  difference,
  low: difference - 0.1,
  high: difference + 0.1,
  p_value: 0.0004,
  significant: true,
  confused_with: "oval",
  threshold: 0.2,
  sentence: `On square the AI is right with “${attribute}”.`,
  ...more,
});
const ROWS = [
  row("blue", 0.6),
  row("small", 0.1, { p_value: 0.42, significant: false, confused_with: "star" }),
  row("red", -0.5),
];

class Kernel extends FakeKernel {
  rows = ROWS;
  judgements: Judgement[] = [];

  override send(content: unknown): void {
    const request = content as { id: string; type: string } & Judgement;
    const { id, type, class_name, attribute, verdict } = request;
    if (type !== "attributes" && type !== "judge") {
      super.send(content);
      return;
    }
    this.requests.push(request as never);
    setTimeout(() => {
      if (type === "judge") {
        const others = this.judgements.filter((one) => one.attribute !== attribute);
        this.judgements = verdict ? [...others, { class_name, attribute, verdict }] : others;
        this.show();
      }
      const result = { number: 1, rows: class_name === "oval" ? [] : this.rows };
      this.deliver({ id, ok: true, result });
    }, 10);
  }

  show(number = 1): void {
    this.update({ attributes: { number, sentence: "9 pairs were tested.", judgements: this.judgements } });
  }
}

async function openAttributes(kernel = new Kernel(sprites())): Promise<Page> {
  kernel.show();
  const page = await openPage({}, kernel);
  await page.ask("select_class", { class_name: "square" });
  const details = page.get("panel-attributes") as HTMLDetailsElement;
  details.open = true;
  details.dispatchEvent(new Event("toggle"));
  await settle();
  return page;
}

const names = (page: Page) => page.all("attribute").map(({ dataset }) => dataset.attribute);
const of = (page: Page, name: string) =>
  page.all("attribute").find(({ dataset }) => dataset.attribute === name) as HTMLElement;
const button = (page: Page, name: string, which: string) =>
  of(page, name).querySelector(`[data-testid="attribute-${which}"]`) as HTMLElement;

describe("the panel of attributes", () => {
  it("shows both accuracies, the difference with its interval, and what is chance", async () => {
    const page = await openAttributes();
    expect(page.get("attributes-tested").textContent).toBe("9 pairs were tested.");
    expect(names(page)).toEqual(["blue", "small", "red"]);
    const text = of(page, "blue").textContent;
    expect(text).toContain("80.0% of 55");
    expect(text).toContain("+60.0 (+50.0\u00a0to\u00a0+70.0)");
    expect(text).toContain("p < .001");
    expect(text).not.toContain("chance");
    expect(of(page, "small").textContent).toContain("p = .420 could\u00a0be\u00a0chance");
  });

  it("is sorted by any column, and by it turned around", async () => {
    const page = await openAttributes();
    const sort = (column: string) => page.get(`sort-${column}`).click();
    sort("attribute");
    expect(names(page)).toEqual(["blue", "red", "small"]);
    sort("difference");
    expect(names(page)).toEqual(["blue", "small", "red"]);
    sort("difference");
    expect(names(page)).toEqual(["red", "small", "blue"]);
    expect(page.get("sort-difference").parentElement?.getAttribute("aria-sort")).toBe("ascending");
    expect(page.get("sort-attribute").parentElement?.getAttribute("aria-sort")).toBe("none");
  });

  it("judges by button, and by the same button leaves it open again", async () => {
    const page = await openAttributes();
    button(page, "blue", "spurious").click();
    await settle();
    expect(button(page, "blue", "spurious").getAttribute("aria-pressed")).toBe("true");
    button(page, "blue", "spurious").click();
    await settle();
    expect(button(page, "blue", "spurious").getAttribute("aria-pressed")).toBe("false");
    const asked = sent(page.kernel, "judge") as unknown as Judgement[];
    expect(asked.map(({ verdict }) => verdict)).toEqual(["spurious", null]);
  });

  it("judges by key, row after row, with one stop for the Tab key", async () => {
    const page = await openAttributes();
    of(page, "blue").focus();
    press(of(page, "blue"), "ArrowDown");
    expect(document.activeElement).toBe(of(page, "small"));
    expect(page.all("attribute").map(({ tabIndex }) => tabIndex)).toEqual([-1, 0, -1]);
    press(of(page, "small"), "h");
    await settle();
    expect(button(page, "small", "healthy").getAttribute("aria-pressed")).toBe("true");
    press(of(page, "small"), "Backspace");
    await settle();
    expect(button(page, "small", "healthy").getAttribute("aria-pressed")).toBe("false");
    expect(document.activeElement).toBe(of(page, "small"));
  });

  it("tries an attribute as the phrase", async () => {
    const page = await openAttributes();
    button(page, "red", "use").click();
    await settle();
    expect(page.root.dataset.cwPainted).toBe("square|red");
  });

  it("follows the class, and says where there is nothing", async () => {
    const page = await openAttributes();
    await page.ask("select_class", { class_name: "oval" });
    await settle();
    expect(names(page)).toEqual([]);
    expect(page.get("panel-attributes").textContent).toContain("No attribute was tested on oval");
  });

  it("asks again for what was found later", async () => {
    const kernel = new Kernel(sprites());
    const page = await openAttributes(kernel);
    kernel.rows = [row("dark", 0.2)];
    kernel.show(2);
    await settle();
    expect(names(page)).toEqual(["dark"]);
  });

  it("shows a few of many until all are asked for", async () => {
    const kernel = new Kernel(sprites());
    kernel.rows = Array.from({ length: 100 }, (_, i) => row(`thing ${i}`, 0.5 - i / 200));
    const page = await openAttributes(kernel);
    expect(names(page).length).toBeLessThan(100);
    page.get("attributes-all").click();
    expect(names(page)).toHaveLength(100);
    expect(page.get("attributes-all").hidden).toBe(true);
  });
});
