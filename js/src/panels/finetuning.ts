import type { Annotation, Finetuning, FinetuningResult } from "../model";
import type { Host } from "../panel-loader";
import { panelStrings } from "../strings";
import type { View } from "../views/view";
import { asking } from "./asking";

const words = panelStrings.finetuning;

/** The other remedy beside retraining: what it would use, how it goes, and what came of it. */
export function finetuningPanel(host: Host): View {
  const { actions, h, setText, strings: shared, uniqueId } = host;
  const kernel = asking(host, "finetuning-error");
  const unavailable = h("p", { "data-testid": "finetuning-unavailable" });
  const uses = h("span", {});
  const kept = h("ul", { class: "cw-finetuning-kept", "data-testid": "finetuning-kept" });
  const about = h("p", { class: "cw-quiet" }, words.about);
  const needs = h("div", { class: "cw-finetuning-uses", id: uniqueId() }, uses, kept);
  const waits = h("span", { class: "cw-quiet", id: uniqueId(), "data-testid": "finetuning-waits" });
  const start = h(
    "button",
    {
      class: "cw-button",
      type: "button",
      "aria-describedby": `${needs.id} ${waits.id}`,
      "data-testid": "finetune",
      onclick: () => void kernel.ask("finetune"),
    },
    words.start,
  );
  const cancel = h(
    "button",
    {
      class: "cw-button",
      type: "button",
      "data-testid": "finetuning-cancel",
      onclick: () => void actions.cancel(),
    },
    words.cancel,
  );
  const message = h("span", { role: "status", class: "cw-quiet", "data-testid": "finetuning-message" });
  const buttons = h("div", { class: "cw-row-of-buttons" }, start, cancel, message, waits);
  const progress = runningPart(host);
  const result = resultPart(host);
  const root = h(
    "div",
    { class: "cw-finetuning" },
    unavailable,
    about,
    needs,
    buttons,
    kernel.alert,
    progress.root,
    result.root,
  );
  let shown: Annotation[] | null = null;
  let run = "";
  let error = "";

  function showKept(annotations: Annotation[]): void {
    if (annotations === shown) return;
    shown = annotations;
    const used = annotations.filter((annotation) => annotation.active && annotation.used);
    setText(uses, used.length ? words.uses : words.usesNothing);
    kept.replaceChildren(
      ...used.map(({ class_name, phrase }) => h("li", {}, words.kept(class_name, phrase))),
    );
    kept.hidden = used.length === 0;
  }

  return {
    root,
    update({ annotations, finetuning, finetuning_result, status }) {
      if (!finetuning) return;
      const running = finetuning.state === "running";
      const retrains = status.state === "retraining";
      setText(unavailable, finetuning.unavailable);
      unavailable.hidden = finetuning.unavailable === "";
      for (const part of [about, needs, buttons]) part.hidden = finetuning.unavailable !== "";
      if (finetuning.run_id !== run || finetuning.error !== error) kernel.show(finetuning.error);
      ({ run_id: run, error } = finetuning);
      showKept(annotations);
      start.hidden = running;
      cancel.hidden = !running;
      start.disabled = kept.children.length === 0 || status.state !== "ready";
      setText(start, finetuning_result ? words.again : words.start);
      setText(waits, retrains ? shared.waitForRetraining : "");
      setText(message, running ? words.running : finetuning.message);
      progress.root.hidden = !running;
      if (running) progress.update(finetuning);
      result.update(finetuning_result);
    },
    dispose: kernel.dispose,
  };
}

function runningPart({ h, setText, strings: shared, curveChart }: Host) {
  const where = h("span", { class: "cw-number" });
  const left = h("span", { class: "cw-number" });
  const fill = h("span", { class: "cw-progress-fill" });
  const bar = h(
    "div",
    {
      class: "cw-progress",
      role: "progressbar",
      "aria-label": words.running,
      "aria-valuemin": 0,
      "aria-valuemax": 100,
    },
    fill,
  );
  const before = h("p", { class: "cw-quiet", "data-testid": "finetuning-before" });
  const curve = curveChart();
  curve.root.dataset.testid = "finetuning-curve";
  const root = h(
    "div",
    { class: "cw-running", "data-testid": "finetuning-progress", hidden: true },
    h("div", { class: "cw-running-text" }, where, left),
    bar,
    curve.root,
    before,
  );

  return {
    root,
    update(finetuning: Finetuning): void {
      const { epoch, epochs, fraction, loss, seconds_left, judged_by } = finetuning;
      const steps = epoch && epochs && loss !== null ? words.epoch(epoch, epochs, loss) : "";
      setText(where, finetuning.message || steps);
      setText(left, seconds_left === null ? "" : shared.secondsLeft(seconds_left));
      bar.classList.toggle("cw-unknown", fraction === null);
      fill.style.width = fraction === null ? "" : `${100 * fraction}%`;
      if (fraction === null) bar.removeAttribute("aria-valuenow");
      else bar.setAttribute("aria-valuenow", String(Math.round(100 * fraction)));
      curve.show(finetuning.curve, words.worst[judged_by]);
      setText(before, beforeText(finetuning.before, judged_by));
    },
  };

  function beforeText(start: Finetuning["before"], judged_by: Finetuning["judged_by"]): string {
    if (!start) return "";
    const [average, worst] = start;
    return words.before(shared.percent(average), shared.percent(worst), words.worst[judged_by]);
  }
}

function resultPart({ h, setText, comparisonTable }: Host) {
  const done = h("p", { "data-testid": "finetuning-done" });
  const table = comparisonTable();
  table.root.dataset.testid = "finetuning-comparison";
  const root = h(
    "div",
    { class: "cw-finetuning-result", "data-testid": "finetuning-result", hidden: true },
    done,
    table.root,
    h("p", { class: "cw-quiet" }, words.goOn),
    h("code", { class: "cw-finetuning-code" }, words.goOnCode),
    h("p", { class: "cw-quiet" }, words.save),
    h("code", { class: "cw-finetuning-code" }, words.saveCode),
  );

  return {
    root,
    update(result: FinetuningResult | null): void {
      root.hidden = result === null;
      if (!result) return;
      setText(done, `${words.done(result.phrases)} ${result.kept_epoch}`);
      table.update({ comparison: result.comparison, objectives: [] });
    },
  };
}
