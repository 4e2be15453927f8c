import { afterPaint, h, setText } from "../dom";
import { wilson } from "../examples";
import { marksByRow } from "../marking";
import type { State } from "../state";
import { strings } from "../strings";
import { Tiles } from "./tiles";
import type { Shown, Tools, View } from "./view";

const PAGE = 24;

interface Content {
  side: "right" | "wrong" | "without" | "with";
  title: string;
  summary: string;
  interval: string;
  order: string;
  size: number;
  wrong: number;
}

function intervalOf(right: number, size: number): string {
  return size ? strings.interval(...wilson(right, size)) : "";
}

function contentOf(state: State, left: boolean): Content {
  const { split, examples, phrase } = state;
  if (!split) {
    const right = examples.size - examples.wrong;
    const accuracy = examples.size ? right / examples.size : Number.NaN;
    return left
      ? {
          side: "right",
          title: strings.right,
          summary: strings.allRight(right, accuracy),
          interval: intervalOf(right, examples.size),
          order: "",
          size: right,
          wrong: 0,
        }
      : {
          side: "wrong",
          title: strings.wrong,
          summary: strings.allWrong(examples.wrong),
          interval: "",
          order: "",
          size: examples.wrong,
          wrong: examples.wrong,
        };
  }
  const side = left ? split.without : split.with;
  return {
    side: left ? "without" : "with",
    title: left ? strings.withoutPhrase(phrase) : strings.withPhrase(phrase),
    summary: strings.sideSummary(side.size, side.accuracy),
    interval: intervalOf(side.size - side.wrong, side.size),
    order: left ? strings.orderLeast : strings.orderMost,
    size: side.size,
    wrong: side.wrong,
  };
}

/** One of the two image grids: right or wrong, then without or with the phrase. */
export function imageGrid(tools: Tools, left: boolean): View {
  const title = h("h3", { class: "cw-grid-title" });
  const summary = h("p", { class: "cw-grid-summary" });
  const order = h("p", { class: "cw-quiet cw-grid-order" });
  const wrongPart = h("span", { class: "cw-parts-wrong" });
  const parts = h("div", { class: "cw-parts", "aria-hidden": "true" }, wrongPart);
  const tiles = new Tiles(tools, "tile");
  const empty = h("p", { class: "cw-quiet cw-grid-empty" }, strings.noImages);
  const more = h("button", {
    class: "cw-button cw-more",
    type: "button",
    "data-testid": "show-more",
    onclick: () => showMore(),
  });
  const root = h(
    "section",
    { class: "cw-grid", "data-testid": left ? "grid-left" : "grid-right" },
    h("header", { class: "cw-grid-header" }, title, summary, parts, order),
    tiles.root,
    empty,
    more,
  );
  let limit = PAGE;
  let shownFor = "";
  let last: State | null = null;
  let callOff = () => {};

  function showMore(): void {
    limit += PAGE;
    if (last) showTiles(last, contentOf(last, left));
  }

  /** Tiles come a frame after the numbers: making them takes longer than all the rest. */
  function render(state: State): void {
    const content = contentOf(state, left);
    showHeader(content);
    callOff();
    callOff = afterPaint(() => showTiles(state, content));
  }

  function showHeader(content: Content): void {
    setText(title, content.title);
    setText(summary, content.summary);
    summary.title = content.interval;
    setText(order, content.order);
    order.hidden = content.order === "";
    wrongPart.style.width = content.size ? `${(100 * content.wrong) / content.size}%` : "0";
    parts.classList.toggle("cw-parts-none", content.size === 0);
    empty.hidden = content.size > 0;
  }

  function showTiles(state: State, content: Content): void {
    const { examples, split, marks } = state;
    const marked = marksByRow(marks);
    const images: Shown[] = examples.page(content.side, split?.position ?? 0, limit).map((at) => ({
      split: "val",
      index: examples.index[at] as number,
      label: state.class_name,
      correct: examples.correct[at] === 1,
      similarity: split ? (examples.similarity[at] as number) : null,
      marked: marked.get(examples.index[at] as number),
    }));
    tiles.show(images, `${content.title}: ${content.summary}`);
    const rest = content.size - images.length;
    more.hidden = rest <= 0;
    setText(more, strings.showMore(Math.min(PAGE, rest)));
  }

  return {
    root,
    update(state: State) {
      const now = `${state.class_name}|${state.phrase}`;
      if (now !== shownFor) limit = PAGE;
      shownFor = now;
      const sameMarks = last?.marks === state.marks;
      if (
        sameMarks &&
        last?.examples === state.examples &&
        last.split === state.split &&
        last.phrase === state.phrase
      )
        return;
      const sameSplit =
        sameMarks &&
        last !== null &&
        last.examples === state.examples &&
        last.phrase === state.phrase &&
        last.split?.position === state.split?.position;
      last = state;
      if (!sameSplit) render(state);
    },
    dispose() {
      callOff();
      tiles.dispose();
    },
  };
}
