import { afterEach, describe, expect, it } from "vitest";
import type { Theme } from "../src/model";
import { isDark, luminance, watchTheme } from "../src/theme";

afterEach(() => document.body.replaceChildren());

function inside(background: string): HTMLElement {
  const outer = document.createElement("div");
  outer.style.backgroundColor = background;
  const seeThrough = document.createElement("div");
  seeThrough.style.backgroundColor = "rgba(0, 0, 0, 0)";
  const root = document.createElement("div");
  seeThrough.append(root);
  outer.append(seeThrough);
  document.body.append(outer);
  return root;
}

describe("theme", () => {
  it("reads the luminance of opaque colours only", () => {
    expect(luminance("rgb(255, 255, 255)")).toBeCloseTo(1);
    expect(luminance("rgb(0, 0, 0)")).toBe(0);
    expect(luminance("rgba(0, 0, 0, 0)")).toBeNull();
    expect(luminance("transparent")).toBeNull();
    expect(luminance("")).toBeNull();
  });

  it("follows the nearest opaque background", () => {
    expect(isDark(inside("rgb(17, 17, 17)"))).toBe(true);
    expect(isDark(inside("rgb(250, 250, 250)"))).toBe(false);
  });

  it("looks through a shadow root", () => {
    const host = inside("rgb(17, 17, 17)");
    const root = document.createElement("div");
    host.attachShadow({ mode: "open" }).append(root);
    expect(isDark(root)).toBe(true);
  });

  it("obeys the theme trait, and then takes no colours of the host", () => {
    const root = inside("rgb(17, 17, 17)");
    let theme: Theme = "light";
    const watch = watchTheme(root, () => theme);
    watch.apply();
    expect(root.className).toBe("cw-own");
    theme = "auto";
    watch.apply();
    expect(root.className).toBe("cw-dark");
    watch.stop();
  });

  it("follows a host that changes its theme", async () => {
    const root = inside("rgb(250, 250, 250)");
    const watch = watchTheme(root, () => "auto");
    watch.apply();
    expect(root.classList.contains("cw-dark")).toBe(false);
    const host = root.parentElement?.parentElement;
    host?.style.setProperty("background-color", "rgb(17, 17, 17)");
    document.body.dataset.jpThemeLight = "false";
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(root.classList.contains("cw-dark")).toBe(true);
    watch.stop();
  });
});
