import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeKernel, FINETUNING, POOL, sprites } from "../../dev/fake";
import { openPage, type Page, press, sent, settle, type } from "../page";

const loading = vi.hoisted(() => ({ error: "" }));

vi.mock("../../src/panel-loader", async () => {
  const panels = await import("../../src/panels");
  const load = async () => {
    if (loading.error) throw new Error(loading.error);
    return panels;
  };
  return { panelLoader: () => load };
});

beforeEach(() => {
  vi.useFakeTimers();
  loading.error = "";
});
afterEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
});

async function unfold(page: Page): Promise<void> {
  const details = page.get("panel-pool") as HTMLDetailsElement;
  details.open = true;
  details.dispatchEvent(new Event("toggle"));
  await settle();
}

async function openPool(): Promise<Page> {
  const page = await openPage({ pool: POOL });
  await page.ask("select_class", { class_name: "square" });
  await page.ask("score", { class_name: "square", phrase: "red" });
  await unfold(page);
  return page;
}

async function search(page: Page, phrase: string): Promise<void> {
  type(page.get("pool-phrase"), phrase);
  press(page.get("pool-phrase"), "Enter");
  await settle(100);
}

async function openHits(): Promise<Page> {
  const page = await openPool();
  await search(page, "red");
  return page;
}

const place = (page: Page, at: number) =>
  page.all("pool-tile").find((tile) => tile.getAttribute("aria-posinset") === String(at)) as HTMLElement;
const row = (page: Page, at: number) => Number(place(page, at).dataset.index);
const decided = ({ kernel }: Page) =>
  sent(kernel, "pool_decide").map(({ rows, class_name }) => [rows, class_name]);

describe("the panel of a pool", () => {
  it("is not offered without a pool", async () => {
    const page = await openPage();
    expect(page.get("panel-pool").hidden).toBe(true);
    page.kernel.update({ pool: POOL });
    await settle();
    expect(page.get("panel-pool").hidden).toBe(false);
    expect(page.all("pool-phrase")).toHaveLength(0);
  });

  it("says why it could not be loaded, and can be opened again", async () => {
    const page = await openPage({ pool: POOL });
    loading.error = "no answer";
    await unfold(page);
    expect(page.get("panel-pool").textContent).toContain("no answer");
    loading.error = "";
    await unfold(page);
    expect(page.get("pool-phrase")).toBeTruthy();
  });

  it("begins with the phrase that is shown, and follows it until another is typed", async () => {
    const page = await openPool();
    const box = page.get("pool-phrase") as HTMLInputElement;
    expect(box.value).toBe("red");
    await page.ask("score", { class_name: "square", phrase: "small" });
    expect(box.value).toBe("small");
    type(box, "dark");
    await page.ask("score", { class_name: "square", phrase: "red" });
    expect(box.value).toBe("dark");
    expect(page.get("pool-search-shown").textContent).toContain("red");
    page.get("pool-search-shown").click();
    await settle(100);
    expect(page.kernel.get("pool")?.phrase).toBe("red");
    expect(page.get("pool-search-shown").hidden).toBe(true);
  });

  it("says how many were found and how similar they are", async () => {
    const page = await openHits();
    const { rows, similarities } = page.kernel.get("pool") ?? POOL;
    const text = page.get("pool-found").textContent;
    expect(text).toContain(`The ${rows.length} most similar`);
    expect(text).toContain((similarities[0] as number).toFixed(3));
    expect(text).toContain("above the threshold");
    expect(row(page, 1)).toBe(rows[0]);
    expect(place(page, 1).getAttribute("aria-label")).toContain("Similarity: ");
  });

  it("accepts and rejects the image in focus by key, and goes on to the one that follows", async () => {
    const page = await openHits();
    const [first, second, third] = [row(page, 1), row(page, 2), row(page, 3)];
    place(page, 1).focus();
    press(place(page, 1), "a");
    await settle();
    expect(row(page, 1)).toBe(second);
    press(place(page, 1), "R");
    await settle();
    expect(row(page, 1)).toBe(third);
    expect(decided(page)).toEqual([
      [[first], "square"],
      [[second], null],
    ]);
    expect(page.get("pool-counts").textContent).toBe("Accepted 1 as square; rejected 1.");
    press(place(page, 1), "u");
    await settle();
    expect(row(page, 1)).toBe(second);
    expect(document.activeElement).not.toBe(document.body);
  });

  it("accepts all that are selected as the class that is chosen", async () => {
    const page = await openHits();
    const rows = [row(page, 1), row(page, 3)];
    for (const at of [1, 3]) press(place(page, at), "x");
    await settle();
    expect(page.get("pool-selected").textContent).toBe("2 selected");
    (page.get("pool-class") as HTMLSelectElement).value = "oval";
    page.get("pool-class").dispatchEvent(new Event("change"));
    await page.ask("select_class", { class_name: "square" });
    page.get("pool-accept").click();
    await settle();
    expect(decided(page)).toEqual([[rows, "oval"]]);
    expect(page.get("pool-selected").textContent).toBe("");
    expect((page.get("pool-accept") as HTMLButtonElement).disabled).toBe(true);
  });

  it("leaves keys with a modifier to the host", async () => {
    const page = await openHits();
    press(place(page, 1), "r", { ctrlKey: true });
    await settle();
    expect(decided(page)).toEqual([]);
  });

  it("adds what was accepted, then trains on both", async () => {
    const page = await openHits();
    const add = page.get("pool-add") as HTMLButtonElement;
    expect(add.disabled).toBe(true);
    expect(page.get("pool-retrain").hidden).toBe(true);
    press(place(page, 1), "a");
    await settle();
    expect(add.textContent).toBe("Add 1 to training data");
    add.click();
    await settle();
    expect(add.disabled).toBe(true);
    expect(page.get("pool-counts").textContent).toContain("1 added to the training data.");
    page.get("pool-retrain").click();
    await settle();
    expect(sent(page.kernel, "retrain").map(({ objective }) => objective)).toEqual(["erm"]);
    expect((page.get("pool-retrain") as HTMLButtonElement).disabled).toBe(true);
    expect(page.get("pool-waits").textContent).toContain("The last layer is being retrained");
  });

  it("neither adds nor trains while the encoder is fine-tuned, and says so", async () => {
    const page = await openHits();
    press(place(page, 1), "a");
    await settle();
    page.get("pool-add").click();
    press(place(page, 1), "a");
    page.kernel.update({ finetuning: { ...FINETUNING, state: "running" } });
    await settle();
    for (const id of ["pool-add", "pool-retrain"])
      expect((page.get(id) as HTMLButtonElement).disabled, id).toBe(true);
    expect(page.get("pool-waits").textContent).toContain("The encoder is being fine-tuned");
    page.kernel.update({ finetuning: FINETUNING });
    await settle();
    expect((page.get("pool-add") as HTMLButtonElement).disabled).toBe(false);
    expect(page.get("pool-waits").hidden).toBe(true);
  });

  it("trains with the objective that is chosen where phrases are kept", async () => {
    const page = await openHits();
    await page.ask("keep", { class_name: "square", phrase: "red", threshold: 0.2 });
    press(place(page, 1), "a");
    await settle();
    page.get("pool-add").click();
    await settle();
    page.get("pool-retrain").click();
    await settle();
    expect(sent(page.kernel, "retrain").map(({ objective }) => objective)).toEqual(["slice_balanced"]);
  });

  it("says in the panel what cannot be searched for, and keeps what was found", async () => {
    const page = await openHits();
    const before = row(page, 1);
    await search(page, "velvet");
    expect(page.get("pool-error").hidden).toBe(false);
    expect(page.get("pool-error").textContent).toContain("velvet");
    expect(row(page, 1)).toBe(before);
    await search(page, "small");
    expect(page.get("pool-error").hidden).toBe(true);
  });

  it("shows the answer to the search that was asked for last", async () => {
    const page = await openPool();
    page.kernel.delay = -1;
    await search(page, "red");
    await search(page, "small");
    const [first] = sent(page.kernel, "pool_search");
    page.kernel.deliver({ id: first?.id, ok: false, error: { type: "E", message: "too late" } });
    await settle(200);
    expect(page.get("pool-error").hidden).toBe(true);
    expect(page.get("panel-pool").textContent).toContain("Searching…");
  });

  it("shows two views the same", async () => {
    const kernel = new FakeKernel(sprites(), { pool: POOL });
    const pages = [await openPage({}, kernel), await openPage({}, kernel)];
    for (const page of pages) await unfold(page);
    await search(pages[0] as Page, "red");
    const [one, other] = pages as [Page, Page];
    press(place(one, 1), "r");
    await settle();
    expect(row(other, 1)).toBe(row(one, 1));
    expect(other.get("pool-counts").textContent).toBe(one.get("pool-counts").textContent);
    expect((other.get("pool-phrase") as HTMLInputElement).value).toBe("red");
  });

  it("leaves nothing behind", async () => {
    const page = await openHits();
    page.close();
    expect(page.kernel.listenerCount()).toBe(0);
    expect(document.querySelector(".cw-root")).toBeNull();
  });
});
