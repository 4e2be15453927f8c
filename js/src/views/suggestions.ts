import { h, setText } from "../dom";
import type { Suggestions } from "../model";
import type { State } from "../state";
import { strings } from "../strings";
import type { Tools, View } from "./view";

/** How many are shown on either side of the line; the best come first. */
const ABOVE = 6;
const WITHIN = 3;

/** Phrases that nobody typed yet; those that chance alone could have made are behind a line that says so. */
export function suggestionChips({ actions }: Tools): View {
  const clear = h("ul", { class: "cw-chips" });
  const noise = h("ul", { class: "cw-chips cw-chips-noise" });
  const line = h("p", { class: "cw-noise-line" }, h("span", { "data-testid": "noise-line" }));
  const lineText = line.firstElementChild as HTMLElement;
  const none = h("p", { class: "cw-quiet", "data-testid": "only-noise" }, strings.noneAboveNoise);
  const found = h("div", {}, none, clear, line, noise);
  const wait = h("p", { class: "cw-quiet" }, strings.suggesting);
  const ask = h(
    "button",
    {
      class: "cw-button cw-more",
      type: "button",
      "data-testid": "suggest",
      onclick: () => void actions.suggest(),
    },
    strings.suggest,
  );
  const root = h(
    "section",
    { class: "cw-section", "data-testid": "suggestions" },
    h("h2", { class: "cw-heading" }, strings.suggestionsHeading),
    found,
    wait,
    ask,
  );
  let shown: Suggestions | null = null;

  function chip({ phrase, score, above_noise }: Suggestions["phrases"][number]): HTMLElement {
    const button = h(
      "button",
      {
        class: "cw-chip",
        type: "button",
        "data-testid": "suggestion",
        "data-phrase": phrase,
        "data-above-noise": String(above_noise),
        "aria-label": strings.suggestionScore(phrase, score),
        onclick: () => actions.choose(phrase),
      },
      h("span", { class: "cw-chip-phrase" }, phrase),
      h("span", { class: "cw-number" }, score.toFixed(2)),
    );
    return h("li", {}, button);
  }

  function show({ phrases, noise_line, sentence }: Suggestions): void {
    const above = phrases.filter(({ above_noise }) => above_noise).slice(0, ABOVE);
    const within = phrases.filter(({ above_noise }) => !above_noise).slice(0, WITHIN);
    clear.replaceChildren(...above.map(chip));
    noise.replaceChildren(...within.map(chip));
    none.hidden = above.length > 0;
    line.title = sentence;
    if (noise_line !== null) setText(lineText, strings.noiseLine(noise_line));
  }

  return {
    root,
    update({ suggestions, phrase }: State) {
      const { state } = suggestions;
      root.hidden = state === "none";
      found.hidden = state !== "ready";
      wait.hidden = state !== "pending";
      ask.hidden = state !== "ask";
      if (suggestions !== shown) {
        shown = suggestions;
        show(suggestions);
      }
      for (const button of found.querySelectorAll<HTMLElement>(".cw-chip")) {
        button.setAttribute("aria-pressed", String(button.dataset.phrase === phrase));
      }
    },
  };
}
