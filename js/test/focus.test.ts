import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { h } from "../src/dom";
import { keepFocus } from "../src/focus";

const settle = () => new Promise((resolve) => setTimeout(resolve));

describe("keepFocus", () => {
  let root: HTMLElement;
  let stop: () => void;
  const button = (name: string) => h("button", { type: "button", id: name });
  const [first, second, third, outside] = ["first", "second", "third", "outside"].map(button) as [
    HTMLButtonElement,
    HTMLButtonElement,
    HTMLButtonElement,
    HTMLButtonElement,
  ];

  beforeEach(() => {
    for (const one of [first, second, third]) {
      one.disabled = false;
      one.hidden = false;
    }
    root = h("div", {}, h("div", {}, first), h("div", {}, second, third));
    document.body.append(root, outside);
    stop = keepFocus(root);
  });

  afterEach(() => {
    stop();
    document.body.replaceChildren();
  });

  it("goes to the next stop when what has the focus is disabled", async () => {
    second.focus();
    second.disabled = true;
    await settle();
    expect(document.activeElement).toBe(third);
  });

  it("goes back when there is nothing behind it, and out of a part that has nothing left", async () => {
    third.focus();
    second.hidden = true;
    third.hidden = true;
    await settle();
    expect(document.activeElement).toBe(first);
  });

  it("stays in the part that a removed stop was in", async () => {
    second.focus();
    second.remove();
    await settle();
    expect(document.activeElement).toBe(third);
  });

  it("takes no focus that somebody has carried away", async () => {
    second.focus();
    outside.focus();
    await settle();
    second.disabled = true;
    await settle();
    expect(document.activeElement).toBe(outside);
  });
});
