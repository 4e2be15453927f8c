import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { comparisonOf, sprites } from "../../dev/fake";
import { pathOf } from "../../src/views/curve";
import { openPage, openScored, sent, settle } from "../page";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
});

describe("retraining", () => {
  it("asks with the objective, shows progress and ends with the comparison", async () => {
    const page = await openScored();
    const select = page.get("objective") as HTMLSelectElement;
    select.value = "worst_slice";
    select.dispatchEvent(new Event("change"));
    expect(page.kernel.saves).toEqual([{ objective: "worst_slice" }]);
    page.get("retrain").click();
    await settle(300);
    expect(sent(page.kernel, "retrain")).toMatchObject([{ objective: "worst_slice" }]);
    expect(page.get("retrain").hidden).toBe(true);
    expect(page.get("progress").textContent).toContain("3 s left");
    expect(page.get("progress").textContent).toMatch(/worst slice.*%.*average.*%.*loss/);
    expect(page.root.querySelector('[role="progressbar"]')?.getAttribute("aria-valuenow")).toBe("30");
    await settle(2000);
    expect(page.get("progress").hidden).toBe(true);
    expect(page.get("comparison").hidden).toBe(false);
  });

  it("can be cancelled", async () => {
    const page = await openScored();
    page.get("retrain").click();
    await settle(200);
    page.get("cancel").click();
    await settle(500);
    expect(sent(page.kernel, "cancel")).toHaveLength(1);
    expect(page.get("retrain").hidden).toBe(false);
    expect(page.get("comparison").hidden).toBe(true);
  });

  it("shows that it runs when it cannot say how far it is", async () => {
    const page = await openPage();
    page.kernel.update({
      status: {
        state: "retraining",
        message: "Embedding",
        fraction: null,
        loss: null,
        seconds_left: null,
        curve: [],
        run_id: 1,
      },
    });
    await settle();
    const bar = page.root.querySelector('[role="progressbar"]');
    expect(bar?.hasAttribute("aria-valuenow")).toBe(false);
    expect(page.get("progress").textContent).toMatch(/^Embedding/);
    expect(page.get("curve").hidden).toBe(true);
  });

  it("makes one step the next: keep first, then retrain", async () => {
    const page = await openScored();
    const primary = () =>
      page
        .all("keep")
        .concat(page.all("retrain"))
        .filter((b) => b.classList.contains("cw-primary"));
    expect(primary()).toEqual([page.get("keep")]);
    page.get("keep").click();
    await settle();
    expect(primary()).toEqual([page.get("retrain")]);
  });
});

describe("models", () => {
  it("are listed after retraining, and choosing one asks to return to it", async () => {
    const page = await openScored();
    expect(page.get("models").hidden).toBe(true);
    for (const _ of [1, 2]) {
      page.get("retrain").click();
      await settle(2500);
    }
    const options = () => page.all("model") as HTMLInputElement[];
    expect(options().map(({ checked }) => checked)).toEqual([false, false, true]);
    expect(options()[1]?.getAttribute("aria-label")).toContain("Model 1, Slice-balanced");
    expect(page.get("models").textContent).toContain("11.5% → 80.2%");

    options()[1]?.focus();
    options()[1]?.click();
    await settle();
    expect(sent(page.kernel, "use_model")).toMatchObject([{ number: 1 }]);
    expect(options().map(({ checked }) => checked)).toEqual([false, true, false]);
    expect(document.activeElement).toBe(options()[1]);
    options()[0]?.click();
    await settle();
    expect(options()[0]?.checked).toBe(true);
  });
});

describe("curves", () => {
  it("span the drawing from the lowest to the highest value", () => {
    expect(pathOf([0, 1, 0.5], 0, 1)).toBe("M4.0 52.0L100.0 4.0L196.0 28.0");
    expect(pathOf([0.5, 0.5], 0.5, 0.5)).toBe("M4.0 4.0L196.0 4.0");
  });
});

describe("comparison", () => {
  async function compared() {
    const page = await openScored();
    page.kernel.update({ comparison: comparisonOf(sprites(), "slice_balanced") });
    await settle();
    return page;
  }

  it("shows before, after and change, with intervals, the worst row marked", async () => {
    const { get } = await compared();
    const worst = get("comparison").querySelector('[data-kind="worst"]');
    expect(worst?.textContent).toMatch(/Worst group.*96 images.*11\.5%.*80\.2%.*\+68\.7/);
    expect(worst?.classList.contains("cw-row-worst")).toBe(true);
    expect(worst?.querySelector("td[title]")?.getAttribute("title")).toMatch(/95% interval .*% to .*%/);
    expect(get("comparison").textContent).toContain("−2.7");
    expect(get("comparison").textContent).toContain("p < .001");
  });

  it("leaves blank what does not exist", async () => {
    const page = await compared();
    const comparison = comparisonOf(sprites(), "erm");
    const none = {
      before: null,
      before_low: null,
      before_high: null,
      after: null,
      after_low: null,
      after_high: null,
    };
    comparison.rows = [{ kind: "group", name: "empty", size: 0, ...none }];
    page.kernel.update({ comparison });
    await settle();
    expect(page.get("comparison").textContent).toMatch(/empty.*0 images–––/);
  });

  it("shows many classes only when asked", async () => {
    const page = await compared();
    const comparison = comparisonOf(sprites(), "erm");
    const [row] = comparison.rows;
    if (!row) throw new Error("no row");
    comparison.rows = Array.from({ length: 100 }, (_, i) => ({ ...row, kind: "class", name: `class ${i}` }));
    page.kernel.update({ comparison });
    await settle();
    const rows = () => page.get("comparison").querySelectorAll('[data-kind="class"]').length;
    expect(rows()).toBe(8);
    page.get("comparison").querySelector("button")?.click();
    expect(rows()).toBe(100);
  });

  it("shows the images that were fixed and broken, with what was predicted before", async () => {
    const page = await compared();
    await settle(500);
    expect(page.get("fixed").textContent).toContain("46 images: wrong before, right now");
    expect(page.all("fixed-tile")[0]?.getAttribute("aria-setsize")).toBe("46");
    expect(page.all("broken-tile")).toHaveLength(7);
    expect(page.all("broken-tile")[0]?.getAttribute("aria-label")).toMatch(/Predicted before: .*Wrong after/);
    expect(sent(page.kernel, "thumbnails").some(({ split }) => split === "test")).toBe(true);
  });

  it("goes away when retraining is undone", async () => {
    const page = await compared();
    page.kernel.update({ comparison: null });
    await settle();
    expect(page.get("comparison").hidden).toBe(true);
    expect(page.get("changed").hidden).toBe(true);
  });
});
