import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import widget from "../../src/index";
import { join } from "../../src/panels/combine";
import { openScored, press, sent, settle } from "../page";

vi.mock("../../src/panel-loader", async () => {
  const panels = await import("../../src/panels");
  return { panelLoader: () => async () => panels };
});

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
});

/** "red" is shown, "small" was tried before. */
async function openTwo() {
  const page = await openScored();
  await page.ask("score", { class_name: "square", phrase: "small" });
  await page.ask("score", { class_name: "square", phrase: "red" });
  const toggle = (phrase: string) =>
    page.all("compare").find(({ dataset }) => dataset.phrase === phrase) as HTMLButtonElement;
  return { ...page, toggle };
}

describe("two phrases", () => {
  it("are laid beside each other by a button of the history, and taken apart by it", async () => {
    const { kernel, get, toggle } = await openTwo();
    expect(toggle("red").disabled).toBe(true);
    toggle("small").click();
    await settle();
    expect(sent(kernel, "compare_phrases")).toMatchObject([
      { class_name: "square", first: "red", second: "small" },
    ]);
    const panel = get("compared");
    expect(panel.textContent).toMatch(/“red” beside “small”.*with “small”.*with “red”.*They agree on \d+%/);
    expect(panel.querySelectorAll("tbody td")).toHaveLength(4);
    expect(toggle("small").getAttribute("aria-pressed")).toBe("true");
    toggle("small").click();
    await settle();
    expect(panel.hidden).toBe(true);
  });

  it("follow the phrase and the threshold that are shown, and end with the class", async () => {
    const { kernel, get, toggle, ask } = await openTwo();
    toggle("small").click();
    await settle();
    press(get("threshold-slider"), "ArrowRight");
    await settle(400);
    expect(sent(kernel, "compare_phrases")).toHaveLength(2);
    await ask("score", { class_name: "square", phrase: "dark" });
    expect(get("compared").textContent).toContain("“dark” beside “small”");
    get("class-option").parentElement?.querySelectorAll<HTMLElement>('[data-name="oval"]')[0]?.click();
    await settle();
    expect(get("compared").hidden).toBe(true);
  });

  it("are compared again when another model is right of other images, or one is kept elsewhere", async () => {
    const { kernel, toggle, ask } = await openTwo();
    toggle("small").click();
    await settle();
    await ask("score", { class_name: "square", phrase: "red" }); // its examples come anew, as from a model
    expect(sent(kernel, "compare_phrases")).toHaveLength(2);
    await ask("keep", { class_name: "square", phrase: "small", threshold: 0.3 });
    expect(sent(kernel, "compare_phrases")).toHaveLength(3);
  });

  it("are compared no more when another class was chosen elsewhere", async () => {
    const { get, toggle, ask } = await openTwo();
    toggle("small").click();
    await settle();
    await ask("select_class", { class_name: "oval" });
    await ask("score", { class_name: "oval", phrase: "red" });
    expect(get("compared").hidden).toBe(true);
  });

  it("are compared in each of two views", async () => {
    const { kernel: model, ask, close } = await openTwo();
    close();
    const { initialize, render } = widget();
    initialize({ model });
    const views = [0, 1].map(() => document.body.appendChild(document.createElement("div")));
    for (const el of views) render({ model, el });
    await settle();
    for (const el of views)
      el.querySelector<HTMLElement>('[data-testid="compare"][data-phrase="small"]')?.click();
    await ask("score", { class_name: "square", phrase: "dark" });
    for (const el of views)
      expect(el.querySelector('[data-testid="compared"]')?.textContent).toContain("“dark” beside “small”");
  });

  it("mark the worst part by a word", async () => {
    const { get, toggle } = await openTwo();
    toggle("small").click();
    await settle();
    expect(get("compared").querySelector(".cw-worst-cell")?.textContent).toContain("worst");
  });

  it("can be joined", async () => {
    const { kernel, all, toggle, root } = await openTwo();
    toggle("small").click();
    await settle();
    expect(all("join").map(({ title }) => title)).toEqual([
      "Score “red AND small”",
      "Score “red OR small”",
      "Score “red NOT small”",
    ]);
    all("join")[0]?.click();
    await settle();
    expect(sent(kernel, "score").at(-1)).toMatchObject({ phrase: "red AND small" });
    expect(root.dataset.cwPainted).toBe("square|red AND small");
  });

  it("leave the panel away when the kernel cannot compare them", async () => {
    const { kernel, get, toggle } = await openTwo();
    kernel.delay = -1;
    toggle("small").click();
    await settle();
    const { id } = sent(kernel, "compare_phrases")[0] as { id: string };
    kernel.deliver({ id, ok: false, error: { type: "PhraseError", message: "unknown" } });
    await settle();
    expect(get("compared").hidden).toBe(true);
  });

  it("take the panel away when they can be compared no more", async () => {
    const { kernel, get, toggle } = await openTwo();
    toggle("small").click();
    await settle();
    kernel.delay = -1;
    press(get("threshold-slider"), "ArrowRight");
    await settle(400);
    const { id } = sent(kernel, "compare_phrases").at(-1) as unknown as { id: string };
    kernel.deliver({ id, ok: false, error: { type: "ScoreError", message: "nothing is wrong" } });
    await settle();
    expect(get("compared").hidden).toBe(true);
  });
});

describe("join", () => {
  it("puts what is joined already in parentheses", () => {
    expect(join("red OR blue", "AND", "small")).toBe("(red OR blue) AND small");
    expect(join("black and white", "NOT", "a NOT b")).toBe("black and white NOT (a NOT b)");
  });

  it("never makes a phrase that is all in capitals, in which nothing is an operator", () => {
    expect(join("TV", "OR", "DVD")).toBe("tv OR DVD");
  });
});

describe("the order of what was tried", () => {
  it("is newest first, or best first", async () => {
    const { all, get, ask } = await openTwo();
    await ask("score", { class_name: "square", phrase: "small" });
    const order = () => all("history-item").map(({ dataset }) => dataset.phrase);
    expect(order()).toEqual(["small", "red"]);
    get("history-order").click();
    expect(order()).toEqual(["red", "small"]);
    expect(get("history-order").textContent).toBe("Best first");
  });

  it("says how right the model is without and with each phrase", async () => {
    const { all } = await openTwo();
    expect(all("history-item")[0]?.textContent).toMatch(/right: 0\.\d\d without, 0\.\d\d with/);
  });
});
