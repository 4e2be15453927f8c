import { h, icon, setText } from "../dom";
import type { Score } from "../model";
import type { State } from "../state";
import { strings } from "../strings";
import type { Tools, View } from "./view";

function warningOf(score: Score): string {
  if (score.warning) return score.warning;
  return score.unknown_words?.length ? strings.unknownWords(score.unknown_words) : "";
}

export function scoreCard({ actions, readonly }: Tools): View {
  const value = h("output", { class: "cw-score-value", "data-testid": "error-score" });
  const fill = h("span", { class: "cw-meter-fill" });
  const meter = h(
    "div",
    {
      class: "cw-meter",
      role: "meter",
      "aria-label": strings.errorScore,
      "aria-valuemin": 0,
      "aria-valuemax": 1,
    },
    fill,
  );
  const directionWord = h("strong", {});
  const direction = h(
    "p",
    { class: "cw-direction", "data-testid": "direction" },
    strings.oftenStart,
    directionWord,
    `${strings.oftenEnd}.`,
  );
  const chance = h("p", { class: "cw-quiet", "data-testid": "p-value" });
  const warningText = h("span", {});
  const warning = h(
    "p",
    { class: "cw-warning", "data-testid": "warning", hidden: true },
    icon("warning"),
    warningText,
  );
  const keepText = h("span", {});
  const keepIcons = [icon("bookmark"), icon("check")] as const;
  const keep = h(
    "button",
    { class: "cw-button", type: "button", "data-testid": "keep", onclick: () => void actions.keep() },
    ...keepIcons,
    keepText,
  );
  const spoken = h("p", { class: "cw-hidden", "aria-live": "polite" });
  const card = h(
    "div",
    { class: "cw-score" },
    h(
      "div",
      { class: "cw-score-top" },
      value,
      h(
        "div",
        { class: "cw-score-side" },
        h("span", { class: "cw-label", title: strings.errorScoreHelp }, strings.errorScore),
        meter,
      ),
    ),
    direction,
    chance,
    warning,
    readonly ? null : keep,
  );
  const empty = h("p", { class: "cw-quiet cw-score-empty" }, strings.noScore);
  const root = h("section", { class: "cw-section" }, empty, card, spoken);

  return {
    root,
    update(state: State) {
      const { score } = state;
      card.hidden = !score;
      empty.hidden = score !== null || readonly;
      root.setAttribute("aria-busy", String(state.scoring));
      if (!score) {
        setText(spoken, "");
        return;
      }
      setText(value, score.score.toFixed(2));
      fill.style.width = `${100 * score.score}%`;
      meter.setAttribute("aria-valuenow", score.score.toFixed(2));
      const wrongSide = score.direction >= 0;
      card.classList.toggle("cw-side-right", !wrongSide);
      setText(directionWord, wrongSide ? strings.oftenWrong : strings.oftenRight);
      setText(chance, `${strings.chance(score.p_value)}.${strings.leftOut(score.left_out ?? 0)}`);
      setText(warningText, warningOf(score));
      warning.hidden = !warningOf(score);
      const { keptThreshold } = state;
      const kept = keptThreshold !== null && keptThreshold === state.threshold;
      setText(
        keepText,
        kept ? strings.keptAlready : keptThreshold === null ? strings.keep : strings.keepAgain,
      );
      keepIcons[0].toggleAttribute("hidden", kept);
      keepIcons[1].toggleAttribute("hidden", !kept);
      keep.disabled = kept || state.status.state === "loading";
      keep.classList.toggle("cw-primary", !kept);
      setText(spoken, score.sentence || `${strings.errorScore} ${score.score.toFixed(2)}`);
    },
  };
}
