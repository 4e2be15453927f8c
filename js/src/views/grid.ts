import { afterPaint, h, setText } from "../dom";
import { type Order, type SideName, wilson } from "../examples";
import { marksByRow } from "../marking";
import type { State } from "../state";
import { strings } from "../strings";
import { Tiles } from "./tiles";
import type { Listing, Tools, View } from "./view";

interface Content {
  side: SideName;
  title: string;
  summary: string;
  interval: string;
  /** Unless another one is chosen. */
  order: Order;
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
          order: "index",
          size: right,
          wrong: 0,
        }
      : {
          side: "wrong",
          title: strings.wrong,
          summary: strings.allWrong(examples.wrong),
          interval: "",
          order: "index",
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
    order: left ? "least-similar" : "most-similar",
    size: side.size,
    wrong: side.wrong,
  };
}

function ordersOf({ split, examples }: State): Order[] {
  return [
    ...(split ? (["most-similar", "least-similar"] as const) : []),
    ...(examples.confidence ? (["most-confident", "least-confident"] as const) : []),
    "index",
  ];
}

/** One of the two image grids: right or wrong, then without or with the phrase. */
export function imageGrid(tools: Tools, left: boolean): View {
  const title = h("h3", { class: "cw-grid-title" });
  const summary = h("p", { class: "cw-grid-summary" });
  const sort = h("select", {
    class: "cw-order",
    "data-testid": "order",
    onchange: () => {
      chosen = sort.value as Order;
      if (last?.examples.complete) showTiles(last, contentOf(last, left), false);
    },
  });
  const wrongPart = h("span", { class: "cw-parts-wrong" });
  const parts = h("div", { class: "cw-parts", "aria-hidden": "true" }, wrongPart);
  const selection = tools.readonly
    ? null
    : {
        get rows() {
          return last?.selected ?? new Set<number>();
        },
        replace: (rows: Iterable<number>) => tools.actions.select(rows),
      };
  const tiles = new Tiles(tools, "tile", selection);
  const empty = h("p", { class: "cw-quiet cw-grid-empty" }, strings.noImages);
  const root = h(
    "section",
    { class: "cw-grid", "data-testid": left ? "grid-left" : "grid-right" },
    h("header", { class: "cw-grid-header" }, title, summary, parts, sort),
    tiles.root,
    empty,
  );
  let chosen: Order | null = null;
  let orders: Order[] = [];
  let shownFor = "";
  let last: State | null = null;
  let due: State | null = null;
  let callOff = () => {};

  /** Tiles come a frame after the numbers: making them takes longer than all the rest. */
  function render(state: State): void {
    const content = contentOf(state, left);
    const subject = `${state.class_name}|${state.phrase}`;
    showHeader(content);
    showOrders(state, content);
    const show = () => {
      if (due !== state) return;
      showTiles(state, content, subject === shownFor);
      shownFor = subject;
    };
    due = state;
    callOff();
    callOff = afterPaint(() => state.examples.whenComplete(show));
  }

  function showHeader(content: Content): void {
    setText(title, content.title);
    setText(summary, content.summary);
    summary.title = content.interval;
    wrongPart.style.width = content.size ? `${(100 * content.wrong) / content.size}%` : "0";
    parts.classList.toggle("cw-parts-none", content.size === 0);
    empty.hidden = content.size > 0;
  }

  function showOrders(state: State, content: Content): void {
    const offered = ordersOf(state);
    if (offered.join() !== orders.join()) {
      orders = offered;
      sort.replaceChildren(...orders.map((order) => h("option", { value: order }, strings.orders[order])));
    }
    sort.value = orderOf(content);
    sort.setAttribute("aria-label", strings.order(content.title));
    sort.hidden = content.size < 2 || orders.length < 2;
  }

  function orderOf(content: Content): Order {
    return chosen && orders.includes(chosen) ? chosen : content.order;
  }

  function showTiles(state: State, content: Content, again: boolean): void {
    tiles.show(listingOf(state, content), `${content.title}: ${content.summary}`, again);
  }

  function listingOf({ examples, split, marks, class_name }: State, content: Content): Listing {
    const marked = marksByRow(marks);
    const places = examples.list(content.side, split?.threshold ?? 0, orderOf(content));
    return {
      rows: places.map((at) => examples.index[at] as number),
      image(which) {
        const at = places[which] as number;
        const index = examples.index[at] as number;
        return {
          split: "val",
          index,
          label: class_name,
          correct: examples.correct[at] === 1,
          similarity: split ? (examples.similarity[at] as number) : null,
          confidence: examples.confidence?.[at] ?? null,
          marked: marked.get(index),
        };
      },
    };
  }

  return {
    root,
    update(state: State) {
      const before = last;
      last = state;
      if (before && before.selected !== state.selected) tiles.select();
      const same =
        before !== null &&
        before.examples === state.examples &&
        before.phrase === state.phrase &&
        before.marks === state.marks &&
        before.split?.position === state.split?.position;
      if (!same) render(state);
    },
    dispose() {
      due = null;
      callOff();
      tiles.dispose();
    },
  };
}
