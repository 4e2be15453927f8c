import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openPage, settle } from "../page";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
});

const at = new Date(2026, 0, 5, 9, 7).getTime() / 1000;

describe("where the session is saved", () => {
  it("is not mentioned while nobody saves it", async () => {
    expect((await openPage()).get("saved").hidden).toBe(true);
  });

  it("says when, and in full where", async () => {
    const page = await openPage({ saved: { folder: "/home/me/kept", at, error: "" } });
    const note = page.get("saved");
    expect(note.hidden).toBe(false);
    expect(note.textContent).toMatch(/^Saved 0?9:07.* in kept$/);
    expect(note.title).toContain("/home/me/kept");
    expect(note.hasAttribute("role")).toBe(false);
  });

  it("says when saving fails and why, and when it works again", async () => {
    const page = await openPage({ saved: { folder: "/home/me/kept", at, error: "" } });
    page.kernel.update({ saved: { folder: "/home/me/kept", at, error: "No space left on device" } });
    await settle();
    const note = page.get("saved");
    expect(note.textContent).toBe("Not saved: No space left on device");
    expect(note.title).toContain("next change tries again");
    expect(note.getAttribute("role")).toBe("alert");
    page.kernel.update({ saved: { folder: "/home/me/kept", at: at + 60, error: "" } });
    await settle();
    expect(note.textContent).toMatch(/^Saved 0?9:08/);
    expect(note.hasAttribute("role")).toBe(false);
  });
});
