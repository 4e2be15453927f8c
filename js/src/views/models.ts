import { h, uniqueId } from "../dom";
import type { RetrainedModel } from "../model";
import type { State } from "../state";
import { strings } from "../strings";
import { curveChart } from "./curve";
import type { Tools, View } from "./view";

/** Every model that was retrained; choosing one returns to it. */
export function modelList({ actions }: Tools): View {
  const group = uniqueId();
  const list = h("div", {
    class: "cw-models",
    role: "radiogroup",
    "aria-label": strings.modelsHeading,
    onkeydown: (event: KeyboardEvent) => onKey(event),
  });
  const curve = curveChart();
  const curveHeading = h("p", { class: "cw-label" }, strings.curveHeading);
  const root = h(
    "section",
    { class: "cw-section", "data-testid": "models", hidden: true },
    h("h2", { class: "cw-heading" }, strings.modelsHeading),
    list,
    curveHeading,
    curve.root,
  );
  let shown: RetrainedModel[] | null = null;
  let running: boolean | null = null;

  function option(number: number, spoken: string, checked: boolean, ...content: HTMLElement[]): HTMLElement {
    const input = h("input", {
      type: "radio",
      name: group,
      "aria-label": spoken,
      "data-testid": "model",
      "data-number": number,
      onchange: () => void actions.useModel(number),
    });
    input.checked = checked;
    return h("label", { class: "cw-model" }, input, ...content);
  }

  /** JupyterLab keeps what a browser would do with arrows from radio buttons. */
  function onKey(event: KeyboardEvent): void {
    const step = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const inputs = [...list.querySelectorAll("input")];
    const next = inputs[inputs.indexOf(event.target as HTMLInputElement) + step];
    next?.focus();
    next?.click();
  }

  function row(model: RetrainedModel, state: State): HTMLElement {
    const { number, objective, phrases, worst, in_use } = model;
    const label = state.objectives.find(({ value }) => value === objective)?.label ?? objective;
    const change = strings.modelChange(...worst);
    const spoken = strings.modelSpoken(number, label, phrases, change);
    return option(
      number,
      spoken,
      in_use,
      h("span", { class: "cw-model-name" }, strings.modelNumber(number)),
      h(
        "span",
        { class: "cw-model-text" },
        h("span", {}, label),
        h("span", { class: "cw-muted", title: strings.modelPhrases(phrases) }, strings.modelPhrases(phrases)),
      ),
      h("span", { class: "cw-number", title: strings.modelWorst }, change),
    );
  }

  function build(state: State): void {
    const { models } = state;
    const focused = (list.getRootNode() as Document | ShadowRoot).activeElement;
    const at = focused && list.contains(focused) ? focused.getAttribute("data-number") : null;
    const original = h(
      "span",
      { class: "cw-model-text", title: strings.modelOriginalHelp },
      strings.modelOriginal,
    );
    const none = models.every(({ in_use }) => !in_use);
    list.replaceChildren(
      option(0, strings.modelOriginalHelp, none, original),
      ...models.map((model) => row(model, state)),
    );
    if (at !== null) list.querySelector<HTMLElement>(`[data-number="${at}"]`)?.focus();
    const used = models.find(({ in_use }) => in_use);
    curve.show(used?.curve ?? []);
    curveHeading.hidden = curve.root.hidden;
  }

  return {
    root,
    update(state: State) {
      root.hidden = state.models.length === 0;
      const now = state.status.state === "retraining";
      if (state.models !== shown) {
        shown = state.models;
        build(state);
        running = null;
      }
      if (now === running) return;
      running = now;
      for (const input of list.querySelectorAll("input")) input.disabled = now;
    },
  };
}
