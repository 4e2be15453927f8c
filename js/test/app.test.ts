import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeKernel, sprites } from "../dev/fake";
import widget from "../src/index";
import { openPage, openScored, sent, settle, type } from "./page";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
});

describe("the widget", () => {
  it("says hello, so that the kernel knows where to answer", async () => {
    const { kernel } = await openPage();
    expect(sent(kernel, "hello")).toHaveLength(1);
  });

  it("marks what is painted", async () => {
    const page = await openScored();
    expect(page.root.dataset.cwPainted).toBe("square|red");
    await page.ask("select_class", { class_name: "oval" });
    expect(page.root.dataset.cwPainted).toBe("oval|");
  });

  it("keeps the notebook's shortcuts away", async () => {
    const { root } = await openPage();
    expect(root.hasAttribute("data-lm-suppress-shortcuts")).toBe(true);
  });

  it("shows HTML and emoji as they were typed", async () => {
    const nasty = '<img src=x onerror="alert(1)"> 🦆 &amp;';
    const page = await openPage();
    page.kernel.update({
      dataset_name: nasty,
      classes: [{ name: nasty, size: 4, wrong: 1, error_rate: 0.25, annotated: true }],
      notes: [nasty],
      error: { type: "PhraseError", message: nasty },
    });
    await page.ask("score", { class_name: "square", phrase: nasty });
    await page.ask("keep", { class_name: "square", phrase: nasty, threshold: 0.2 });
    expect(page.root.querySelector('img[src="x"]')).toBeNull();
    for (const testid of ["class-option", "history-item", "annotations", "grid-left", "notes"]) {
      expect(page.get(testid).textContent).toContain(testid === "class-option" ? "square" : nasty);
    }
    expect((page.get("phrase-input") as HTMLInputElement).value).toBe(nasty);
  });

  it("keeps two views of one model in step, each with its own drag", async () => {
    const kernel = new FakeKernel(sprites());
    const { initialize, render } = widget();
    initialize({ model: kernel });
    const views = [0, 1].map(() => {
      const el = document.createElement("div");
      document.body.append(el);
      render({ model: kernel, el });
      return el;
    });
    kernel.send({ id: "x", type: "score", class_name: "square", phrase: "red" });
    await settle();
    for (const el of views) {
      expect(el.querySelector(".cw-root")?.getAttribute("data-cw-painted")).toBe("square|red");
      expect(el.querySelector<HTMLInputElement>('[data-testid="phrase-input"]')?.value).toBe("red");
    }
    expect(sent(kernel, "thumbnails").flatMap(({ indices }) => indices)).toHaveLength(
      new Set(sent(kernel, "thumbnails").flatMap(({ indices }) => indices)).size,
    );
  });

  it("works where the host calls render without initialize", async () => {
    const el = document.createElement("div");
    document.body.append(el);
    const kernel = new FakeKernel(sprites());
    const dispose = widget().render({ model: kernel, el });
    await settle();
    expect(el.querySelector(".cw-root")).not.toBeNull();
    dispose();
    expect(kernel.listenerCount()).toBe(0);
  });

  it("leaves nothing behind", async () => {
    const revoked = vi.spyOn(URL, "revokeObjectURL");
    const page = await openScored();
    type(page.get("phrase-input"), "blu");
    page.close();
    expect(page.kernel.listenerCount()).toBe(0);
    expect(page.el.childElementCount).toBe(0);
    expect(revoked).toHaveBeenCalled();
    const before = page.kernel.requests.length;
    await settle(5000);
    expect(page.kernel.requests).toHaveLength(before);
  });

  it("shows an error of the kernel as one sentence that can be dismissed", async () => {
    const page = await openScored();
    page.kernel.update({ error: { type: "EmptySliceError", message: "No image is left on one side." } });
    await settle();
    expect(page.get("error").hidden).toBe(false);
    expect(page.get("error").textContent).toContain("No image is left");
    page.get("dismiss").click();
    expect(page.get("error").hidden).toBe(true);
    expect(page.root.dataset.cwPainted).toBe("square|red");
  });

  it("offers undo when there is something to take back", async () => {
    const page = await openScored();
    const undo = page.get("undo") as HTMLButtonElement;
    expect(undo.disabled).toBe(true);
    page.get("keep").click();
    await settle();
    expect(undo.disabled).toBe(false);
    expect(undo.title).toContain("keep");
    undo.click();
    await settle();
    expect(page.kernel.get("annotations")).toEqual([]);
  });
});
