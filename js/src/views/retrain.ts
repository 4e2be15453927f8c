import { h, setText, uniqueId } from "../dom";
import type { Objective } from "../model";
import type { State } from "../state";
import { strings } from "../strings";
import { curveChart } from "./curve";
import type { Tools, View } from "./view";

export function retrainPanel({ actions }: Tools): View {
  const id = uniqueId();
  const why = h("p", { class: "cw-label", id: uniqueId(), "data-testid": "retrain-waits" });
  const select = h("select", {
    class: "cw-input cw-select",
    id,
    "data-testid": "objective",
    onchange: () => actions.setObjective(select.value),
  });
  const retrain = h(
    "button",
    {
      class: "cw-button",
      type: "button",
      "aria-describedby": why.id,
      "data-testid": "retrain",
      onclick: () => void actions.retrain(),
    },
    strings.retrain,
  );
  const cancel = h(
    "button",
    { class: "cw-button", type: "button", "data-testid": "cancel", onclick: () => void actions.cancel() },
    strings.cancel,
  );
  const fill = h("span", { class: "cw-progress-fill" });
  const bar = h(
    "div",
    {
      class: "cw-progress",
      role: "progressbar",
      "aria-label": strings.retraining,
      "aria-valuemin": 0,
      "aria-valuemax": 100,
    },
    fill,
  );
  const message = h("span", {});
  const left = h("span", { class: "cw-number" });
  const curve = curveChart();
  const progress = h(
    "div",
    { class: "cw-running", "data-testid": "progress" },
    h("div", { class: "cw-running-text" }, message, left),
    bar,
    curve.root,
  );
  const root = h(
    "section",
    { class: "cw-section" },
    h("label", { class: "cw-heading", for: id }, strings.objective),
    h("div", { class: "cw-retrain-row" }, select, retrain, cancel),
    why,
    progress,
  );
  let objectives: Objective[] | null = null;

  return {
    root,
    update(state: State) {
      if (state.objectives !== objectives) {
        objectives = state.objectives;
        select.replaceChildren(...objectives.map(({ value, label }) => h("option", { value }, label)));
      }
      if (select.value !== state.objective) select.value = state.objective;
      const { status } = state;
      const running = status.state === "retraining";
      const toKeep = state.score !== null && state.keptThreshold !== state.threshold;
      retrain.hidden = running;
      cancel.hidden = !running;
      progress.hidden = !running;
      select.disabled = running;
      const finetunes = state.finetuning?.state === "running";
      retrain.disabled = finetunes || status.state === "loading";
      why.hidden = !finetunes;
      setText(why, finetunes ? strings.waitForFinetuning : "");
      retrain.classList.toggle("cw-primary", state.annotations.length > 0 && !toKeep);
      if (!running) return;
      setText(message, status.message || strings.retraining);
      setText(left, status.seconds_left === null ? "" : strings.secondsLeft(status.seconds_left));
      curve.show(status.curve);
      const known = status.fraction !== null;
      bar.classList.toggle("cw-unknown", !known);
      fill.style.width = known ? `${100 * (status.fraction ?? 0)}%` : "";
      if (known) bar.setAttribute("aria-valuenow", String(Math.round(100 * (status.fraction ?? 0))));
      else bar.removeAttribute("aria-valuenow");
    },
  };
}
