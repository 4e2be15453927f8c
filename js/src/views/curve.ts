import { h, setText, svg } from "../dom";
import type { CurvePoint } from "../model";
import { strings } from "../strings";

const WIDTH = 200;
const HEIGHT = 56;
const PAD = 4;

/** A path through one value of each point, spread over the whole height between `low` and `high`. */
export function pathOf(values: number[], low: number, high: number): string {
  const across = (WIDTH - 2 * PAD) / Math.max(1, values.length - 1);
  const down = (HEIGHT - 2 * PAD) / (high - low || 1);
  return values
    .map(
      (value, i) =>
        `${i ? "L" : "M"}${(PAD + i * across).toFixed(1)} ${(PAD + (high - value) * down).toFixed(1)}`,
    )
    .join("");
}

/** Loss and validation accuracies, iteration after iteration. Told apart by dashes and words, not only by colour. */
export function curveChart() {
  const lines = {
    loss: svg("path", { class: "cw-curve cw-curve-loss" }),
    average: svg("path", { class: "cw-curve cw-curve-average" }),
    worst: svg("path", { class: "cw-curve cw-curve-worst" }),
  };
  const drawing = svg(
    "svg",
    {
      class: "cw-curves",
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: "none",
      "aria-hidden": "true",
      focusable: "false",
    },
    ...Object.values(lines),
  );
  const key = (line: keyof typeof lines, label: string) => {
    const value = h("span", { class: "cw-number" });
    const stroke = svg("path", { class: `cw-curve cw-curve-${line}`, d: "M0 4H16" });
    const swatch = svg("svg", { width: 16, height: 8, viewBox: "0 0 16 8", "aria-hidden": "true" }, stroke);
    const name = h("span", {}, label);
    return { value, name, root: h("span", { class: "cw-curve-key" }, swatch, name, value) };
  };
  const worst = key("worst", strings.curveWorst);
  const average = key("average", strings.curveAverage);
  const loss = key("loss", strings.curveLoss);
  const keys = h(
    "div",
    { class: "cw-curve-keys", "aria-hidden": "true" },
    worst.root,
    average.root,
    loss.root,
  );
  const spoken = h("span", { class: "cw-hidden" });
  const root = h(
    "div",
    { class: "cw-curve-box", "data-testid": "curve", hidden: true },
    drawing,
    keys,
    spoken,
  );

  return {
    root,
    /** `worstName` is of what the lowest accuracy is. */
    show(curve: CurvePoint[], worstName: string = strings.curveWorst): void {
      const last = curve[curve.length - 1];
      const first = curve[0];
      root.hidden = !first || !last || curve.length < 2;
      if (!first || !last || root.hidden) return;
      const losses = curve.map((point) => point[1]);
      const accuracies = curve.flatMap((point) => [point[2], point[3]]);
      const [low, high] = [Math.min(...accuracies), Math.max(...accuracies)];
      lines.loss.setAttribute("d", pathOf(losses, Math.min(...losses), Math.max(...losses)));
      lines.average.setAttribute(
        "d",
        pathOf(
          curve.map((point) => point[2]),
          low,
          high,
        ),
      );
      lines.worst.setAttribute(
        "d",
        pathOf(
          curve.map((point) => point[3]),
          low,
          high,
        ),
      );
      setText(worst.name, worstName);
      setText(worst.value, strings.percent(last[3]));
      setText(average.value, strings.percent(last[2]));
      setText(loss.value, last[1].toPrecision(3));
      setText(spoken, strings.curveSpoken(worstName, first[3], last[3], last[2]));
    },
  };
}
