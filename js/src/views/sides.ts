import { h, icon, setText } from "../dom";
import type { State } from "../state";
import { strings } from "../strings";
import type { View } from "./view";

/** How many images a threshold puts on each side, in validation and in what is trained on. */
export function sideSizes(): View {
  const cells = [0, 1, 2, 3].map(() => h("td", { class: "cw-number" }));
  const [valWithout, valWith, trainWithout, trainWith] = cells;
  const row = (name: string, ...both: (HTMLElement | undefined)[]) =>
    h("tr", {}, h("th", { scope: "row" }, name), ...both);
  const table = h(
    "table",
    { class: "cw-side-sizes-table", "data-testid": "sides" },
    h("caption", { class: "cw-hidden" }, strings.sidesCaption),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("td", {}),
        h("th", { scope: "col", class: "cw-number" }, strings.sideWithout),
        h("th", { scope: "col", class: "cw-number" }, strings.sideWith),
      ),
    ),
    h(
      "tbody",
      {},
      row(strings.validation, valWithout, valWith),
      row(strings.training, trainWithout, trainWith),
    ),
  );
  const warnings = h("ul", {
    class: "cw-side-warnings",
    "data-testid": "side-warnings",
    "aria-live": "polite",
  });
  const root = h("div", { class: "cw-side-sizes" }, table, warnings);
  let warned: string[] = [];

  function warn(next: string[]): void {
    if (next.join("\n") === warned.join("\n")) return;
    warned = next;
    warnings.replaceChildren(
      ...next.map((text) => h("li", { class: "cw-warning" }, icon("warning"), h("span", {}, text))),
    );
  }

  return {
    root,
    update({ split, trainingSides }: State) {
      root.hidden = split === null;
      if (!split) return;
      const written = (n: number) => (trainingSides?.exact ? strings.count(n) : strings.about(n));
      const [without, having] = trainingSides?.sizes.map(written) ?? ["…", "…"];
      const texts = [
        strings.count(split.without.size),
        strings.count(split.with.size),
        without as string,
        having as string,
      ];
      cells.forEach((cell, i) => {
        setText(cell, texts[i] as string);
      });
      // While the threshold moves, what was said of it stays until the new one has been looked at.
      if (trainingSides?.exact || !trainingSides) warn(trainingSides?.warnings ?? []);
    },
  };
}
