import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Score } from "../../src/model";
import { openPage, openScored, sent, settle } from "../page";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
});

async function withScore(change: Partial<Score>) {
  const page = await openScored();
  page.kernel.update({ score: { ...(page.kernel.get("score") as Score), ...change } });
  await settle();
  return page;
}

describe("score card", () => {
  it("shows the Error Score with two digits, as text and as a meter", async () => {
    const { get, root } = await withScore({ score: 0.6789 });
    expect(get("error-score").textContent).toBe("0.68");
    expect(root.querySelector('[role="meter"]')?.getAttribute("aria-valuenow")).toBe("0.68");
  });

  it("says in words which way the phrase goes", async () => {
    const wrong = await withScore({ direction: 1 });
    expect(wrong.get("direction").textContent).toBe("The AI is often wrong on these.");
    const right = await withScore({ direction: -1 });
    expect(right.get("direction").textContent).toBe("The AI is often right on these.");
  });

  it.each([
    [0.00001, "Unlikely to be chance, p < .001."],
    [0.021, "Unlikely to be chance, p = .021."],
    [0.213, "Could well be chance, p = .21."],
    [1, "Could well be chance, p = 1.00."],
    [null, "Too few images to say whether this is chance."],
  ])("says in words whether it is chance (p = %s)", async (p_value, sentence) => {
    const { get } = await withScore({ p_value });
    expect(get("p-value").textContent).toBe(sentence);
  });

  it("warns of words that the encoder does not know", async () => {
    const said = await withScore({ warning: "The demo encoder does not know 'velvet'; load a CLIP model." });
    expect(said.get("warning").hidden).toBe(false);
    expect(said.get("warning").textContent).toContain("load a CLIP model");
    const bare = await withScore({ warning: null, unknown_words: ["velvet"] });
    expect(bare.get("warning").textContent).toContain("“velvet”");
    const none = await withScore({ warning: null, unknown_words: [] });
    expect(none.get("warning").hidden).toBe(true);
  });

  it("tells screen readers the whole sentence", async () => {
    const { root } = await withScore({ sentence: "The AI is often wrong on red squares: 0.68." });
    expect(root.querySelector('[aria-live="polite"]')?.textContent).toContain("red squares: 0.68");
  });

  it("keeps the phrase at the threshold that is shown, and offers a moved threshold again", async () => {
    const page = await openScored();
    const keep = page.get("keep") as HTMLButtonElement;
    expect(keep.classList.contains("cw-primary")).toBe(true);
    keep.click();
    await settle();
    expect(sent(page.kernel, "keep")).toMatchObject([
      { class_name: "square", phrase: "red", threshold: page.kernel.get("threshold") },
    ]);
    expect(keep.disabled).toBe(true);
    page.kernel.update({ threshold: 0.2 });
    await settle();
    expect(keep.disabled).toBe(false);
    expect(keep.textContent).toContain("new threshold");
  });

  it("invites to complete the sentence when nothing is scored", async () => {
    const page = await openPage();
    await page.ask("select_class", { class_name: "square" });
    expect(page.root.querySelector<HTMLElement>(".cw-score-empty")?.hidden).toBe(false);
  });
});
