import { h, setText, svg, uniqueId } from "../dom";
import type { Examples, Histogram } from "../examples";
import type { State } from "../state";
import { strings } from "../strings";
import type { Tools, View } from "./view";

const HEIGHT = 128;
/** Where nothing is laid out. */
const WIDTH = 600;
/** Room above for the words beside the threshold. */
const TOP = 18;
const BOTTOM = 2;
/** Neither series gets less than this part of the height. */
const LEAST = 0.2;
/** Room that the words on either side of the threshold need, in pixels. */
const WORD = 60;
/** Half of the width in which a press takes hold of the line instead of moving it. */
const GRIP = 9;
const SMALL_STEPS = 200;
const LARGE_STEPS = 20;

/** Both series on one scale, and the axis where both use the height. */
export function scaleOf(highestRight: number, highestWrong: number): { axis: number; perShare: number } {
  const height = HEIGHT - TOP - BOTTOM;
  const ratio = highestRight / (highestRight + highestWrong || 1);
  const above = Math.round(height * Math.max(LEAST, Math.min(1 - LEAST, ratio)));
  const perShare = Math.min(above / (highestRight || 1e-9), (height - above) / (highestWrong || 1e-9));
  return { axis: TOP + above, perShare };
}

/** Outline of one series: bars of whole pixels, up (`sign` -1) or down from the axis. */
export function bars(
  shares: Float64Array,
  width: number,
  axis: number,
  perShare: number,
  sign: 1 | -1,
): string {
  let path = "";
  const n = shares.length;
  for (let i = 0; i < n; i++) {
    const share = shares[i] as number;
    if (share === 0) continue;
    const left = Math.round((i * width) / n);
    const right = Math.round(((i + 1) * width) / n) - 1;
    const height = Math.max(1.5, share * perShare);
    const base = axis + sign;
    path += `M${left} ${base}V${(base + sign * height).toFixed(1)}H${Math.max(left + 1, right)}V${base}Z`;
  }
  return path;
}

/** As a number box takes it. */
const written = (threshold: number): string => threshold.toFixed(3);

export function binsFor(n: number): number {
  return Math.max(16, Math.min(48, Math.round(2 * Math.sqrt(n))));
}

/** Similarities of the right and the wrong images, mirrored, and the threshold as a line to drag. */
export function histogramPlot({ actions }: Tools): View {
  const patternId = uniqueId();
  const heading = h("h2", { class: "cw-heading" });
  const legendRight = h("span", {});
  const legendWrong = h("span", {});
  const legend = h(
    "div",
    { class: "cw-legend" },
    h("span", { class: "cw-legend-share" }, strings.legendShare),
    h("span", { class: "cw-legend-item" }, h("i", { class: "cw-swatch cw-swatch-right" }), legendRight),
    h("span", { class: "cw-legend-item" }, h("i", { class: "cw-swatch cw-swatch-wrong" }), legendWrong),
  );
  const rightPath = svg("path", { class: "cw-bars-right" });
  const wrongPath = svg("path", { class: "cw-bars-wrong", fill: `url(#${patternId})` });
  const axisLine = svg("line", { class: "cw-axis-line", x1: 0 });
  const drawing = svg(
    "svg",
    { class: "cw-drawing", height: HEIGHT, width: "100%", "aria-hidden": "true", focusable: "false" },
    svg(
      "defs",
      {},
      svg(
        "pattern",
        {
          id: patternId,
          width: 4,
          height: 4,
          patternUnits: "userSpaceOnUse",
          patternTransform: "rotate(45)",
        },
        svg("rect", { width: 4, height: 4, class: "cw-hatch-ground" }),
        svg("rect", { width: 1.6, height: 4, class: "cw-hatch-line" }),
      ),
    ),
    rightPath,
    wrongPath,
    axisLine,
  );
  const shade = h("div", { class: "cw-shade" });
  const slider = h(
    "div",
    {
      class: "cw-slider",
      role: "slider",
      tabindex: 0,
      "aria-label": strings.thresholdSlider,
      "aria-orientation": "horizontal",
      "data-testid": "threshold-slider",
      onkeydown: (event: KeyboardEvent) => onKey(event),
    },
    h("span", { class: "cw-slider-side cw-slider-without", "aria-hidden": "true" }, strings.sideWithout),
    h("span", { class: "cw-slider-side cw-slider-with", "aria-hidden": "true" }, strings.sideWith),
    h("span", { class: "cw-slider-grip", "aria-hidden": "true" }),
  );
  const plot = h(
    "div",
    {
      class: "cw-plot",
      onpointerdown: (event: PointerEvent) => onDown(event),
      onpointermove: (event: PointerEvent) => onMove(event),
      onpointerup: (event: PointerEvent) => onUp(event),
      onpointercancel: () => onCancel(),
    },
    drawing,
    shade,
    slider,
  );
  const lowLabel = h("span", {});
  const highLabel = h("span", {});
  const number = h("input", {
    class: "cw-input cw-threshold",
    type: "number",
    step: "0.001",
    "aria-label": strings.thresholdLabel,
    "data-testid": "threshold-value",
    oninput: () => {
      writing = true;
    },
    // After Enter, leaving the box is a change to the browser once more.
    onchange: () => {
      if (writing) onNumber();
    },
    onblur: () => {
      writing = false;
    },
    onkeydown: (event: KeyboardEvent) => {
      if (event.key !== "Enter") return;
      // A notebook takes Enter for itself, and no change follows.
      event.preventDefault();
      onNumber();
    },
  });
  const best = h(
    "button",
    {
      class: "cw-button",
      type: "button",
      title: strings.thresholdBestHelp,
      "data-testid": "threshold-best",
      onclick: () => {
        if (state?.bestThreshold !== null && state) actions.commit(state.bestThreshold as number);
      },
    },
    strings.thresholdBest,
  );
  const content = h(
    "div",
    {},
    plot,
    h(
      "div",
      { class: "cw-plot-foot" },
      lowLabel,
      h(
        "label",
        { class: "cw-threshold-row" },
        h("span", { class: "cw-label" }, strings.thresholdLabel),
        number,
      ),
      best,
      highLabel,
    ),
  );
  const empty = h("div", { class: "cw-plot-empty" }, h("p", { class: "cw-quiet" }, strings.histogramEmpty));
  const root = h(
    "section",
    { class: "cw-histogram" },
    h("header", { class: "cw-histogram-header" }, heading, legend),
    content,
    empty,
  );

  let state: State | null = null;
  let drawn: { examples: Examples; histogram: Histogram } | null = null;
  let grab: { id: number; offset: number } | null = null;
  /** What is in the number box was written by somebody who is not done yet. */
  let writing = false;
  /** Of the plot; to read it while a phrase is shown would make the browser lay everything out at once. */
  let width = WIDTH;
  const watcher = new ResizeObserver(() => {
    width = Math.round(plot.clientWidth) || WIDTH;
    draw();
    if (state) place(state);
  });
  watcher.observe(plot);

  function draw(): void {
    if (!drawn) return;
    const { histogram } = drawn;
    const { axis, perShare } = scaleOf(Math.max(...histogram.right), Math.max(...histogram.wrong));
    rightPath.setAttribute("d", bars(histogram.right, width, axis, perShare, -1));
    wrongPath.setAttribute("d", bars(histogram.wrong, width, axis, perShare, 1));
    for (const [name, value] of Object.entries({ x2: width, y1: axis, y2: axis })) {
      axisLine.setAttribute(name, String(value));
    }
  }

  function range(): { low: number; high: number } {
    return drawn?.histogram ?? { low: 0, high: 1 };
  }

  function clamp(threshold: number): number {
    const { low, high } = range();
    return Math.max(low, Math.min(high, threshold));
  }

  function at(event: PointerEvent): number {
    const box = plot.getBoundingClientRect();
    const { low, high } = range();
    const x = event.clientX - box.left - (grab?.offset ?? 0);
    return clamp(low + (x / (box.width || 1)) * (high - low));
  }

  function onDown(event: PointerEvent): void {
    if (event.button !== 0 || !state || state.threshold === null) return;
    event.preventDefault();
    const line = slider.getBoundingClientRect();
    const offset = event.clientX - (line.left + line.width / 2);
    grab = { id: event.pointerId, offset: Math.abs(offset) <= GRIP ? offset : 0 };
    plot.setPointerCapture?.(event.pointerId);
    plot.classList.add("cw-dragging");
    slider.focus({ preventScroll: true });
    if (grab.offset === 0) actions.preview(at(event));
  }

  function onMove(event: PointerEvent): void {
    if (grab?.id === event.pointerId) actions.preview(at(event));
  }

  function onUp(event: PointerEvent): void {
    if (grab?.id !== event.pointerId) return;
    const threshold = state?.previewing ? state.threshold : null;
    release();
    if (threshold !== null) actions.commit(threshold);
  }

  function onCancel(): void {
    release();
    actions.preview(null);
  }

  function release(): void {
    grab = null;
    plot.classList.remove("cw-dragging");
  }

  function onKey(event: KeyboardEvent): void {
    if (!state || state.threshold === null) return;
    const { low, high } = range();
    const small = (high - low) / (event.shiftKey ? LARGE_STEPS : SMALL_STEPS);
    const large = (high - low) / LARGE_STEPS;
    const targets: Record<string, number> = {
      ArrowRight: state.threshold + small,
      ArrowUp: state.threshold + small,
      ArrowLeft: state.threshold - small,
      ArrowDown: state.threshold - small,
      PageUp: state.threshold + large,
      PageDown: state.threshold - large,
      Home: low,
      End: high,
    };
    const target = targets[event.key];
    if (target === undefined) return;
    event.preventDefault();
    actions.commitSoon(clamp(target));
  }

  function onNumber(): void {
    writing = false;
    const typed = Number.parseFloat(number.value);
    if (Number.isFinite(typed)) {
      number.value = written(clamp(typed));
      actions.commit(clamp(typed));
    } else if (state?.threshold != null) number.value = written(state.threshold);
  }

  function place({ threshold, split, bestThreshold }: State): void {
    if (threshold === null || !split) return;
    const { low, high } = range();
    const part = (clamp(threshold) - low) / (high - low);
    const percent = `${(100 * part).toFixed(3)}%`;
    slider.classList.toggle("cw-at-low", part * width < WORD);
    slider.classList.toggle("cw-at-high", (1 - part) * width < WORD);
    slider.style.left = percent;
    shade.style.width = percent;
    for (const [name, value] of Object.entries({ min: low, max: high, now: threshold })) {
      slider.setAttribute(`aria-value${name}`, String(Number(value.toFixed(4))));
    }
    slider.setAttribute(
      "aria-valuetext",
      strings.thresholdText(threshold, split.with.size, split.with.accuracy),
    );
    if (!writing || number.value === "") number.value = written(threshold);
    best.disabled = bestThreshold === null || bestThreshold === threshold;
  }

  return {
    root,
    update(next: State) {
      state = next;
      const { examples, split } = next;
      content.hidden = split === null;
      legend.hidden = split === null;
      empty.hidden = split !== null;
      setText(heading, split ? strings.histogramOf(next.phrase) : strings.histogramHeading);
      if (!split) {
        drawn = null;
        return;
      }
      if (drawn?.examples !== examples) {
        drawn = { examples, histogram: examples.histogram(binsFor(examples.size)) };
        setText(legendRight, strings.legendRight(examples.size - examples.wrong));
        setText(legendWrong, strings.legendWrong(examples.wrong));
        setText(lowLabel, strings.similarity(drawn.histogram.low));
        setText(highLabel, strings.similarity(drawn.histogram.high));
        draw();
      }
      place(next);
    },
    dispose: () => watcher.disconnect(),
  };
}
