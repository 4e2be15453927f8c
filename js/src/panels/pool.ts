import type { Pool } from "../model";
import type { Host } from "../panel-loader";
import type { State } from "../state";
import { panelStrings } from "../strings";
import type { Selection, Tiles } from "../views/tiles";
import type { Listing, View } from "../views/view";
import { asking } from "./asking";
import { decisionBar } from "./decisions";
import { poolRequests } from "./requests";
import { poolSearch } from "./search";

const words = panelStrings.pool;
/** Larger than above: each image is judged by itself. */
const TILE = 92;

/** Unlabelled images: searched by phrase, accepted or rejected, added to the training data. */
export function poolPanel(host: Host): View {
  const { h, setText, strings: shared, uniqueId } = host;
  const kernel = asking(host, "pool-error");
  const requests = poolRequests(kernel);
  const search = poolSearch(host, requests);
  const noImages = h("p", { class: "cw-quiet", hidden: true }, words.noImages);
  const found = h("p", { role: "status", "data-testid": "pool-found" });
  const selection = ownSelection(() => {
    tiles.select();
    decisions.select([...selection.rows]);
  });
  const tiles: Tiles = new host.Tiles(host, "pool-tile", selection, TILE);
  const decisions = decisionBar(host, requests, () => [...selection.rows]);
  const hint = h("p", { class: "cw-quiet cw-label" }, words.hint);
  const review = h("div", { hidden: true }, found, decisions.root, tiles.root, hint);
  const counts = h("p", { role: "status", "data-testid": "pool-counts" });
  const waits = h("p", { class: "cw-quiet", id: uniqueId(), "data-testid": "pool-waits" });
  const add = h(
    "button",
    {
      class: "cw-button",
      type: "button",
      "aria-describedby": waits.id,
      "data-testid": "pool-add",
      onclick: () => void requests.add(),
    },
    words.addNone,
  );
  const retrain = h(
    "button",
    {
      class: "cw-button",
      type: "button",
      title: words.retrainHelp,
      "aria-describedby": waits.id,
      "data-testid": "pool-retrain",
      onclick: () => last && void requests.retrain(objectiveOf(last)),
    },
    words.retrain,
  );
  const root = h(
    "div",
    { class: "cw-pool", onkeydown: (event: KeyboardEvent) => onKey(event) },
    search.root,
    kernel.alert,
    noImages,
    review,
    h(
      "div",
      { class: "cw-pool-foot" },
      counts,
      h("div", { class: "cw-row-of-buttons" }, add, retrain),
      waits,
    ),
  );
  let last: State | null = null;
  let shown: Pool | null = null;

  function onKey(event: KeyboardEvent): void {
    const tile = (event.target as Element).closest<HTMLElement>(".cw-tile");
    if (!tile || event.ctrlKey || event.metaKey || event.altKey) return;
    const rows = selection.rows.size ? [...selection.rows] : [Number(tile.dataset.index)];
    const act = {
      a: () => decisions.accept(rows),
      r: () => decisions.reject(rows),
      u: () => requests.undo(),
    }[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  function showHits(pool: Pool, again: boolean): void {
    const { rows, phrase } = pool;
    const open = new Set(rows);
    selection.replace([...selection.rows].filter((row) => open.has(row)));
    tiles.show(listingOf(pool), words.hits(phrase, rows.length), again);
  }

  function reasonToWait({ status, finetuning }: State): string {
    if (finetuning?.state === "running") return shared.waitForFinetuning;
    return status.state === "retraining" ? shared.waitForRetraining : "";
  }

  function foundText({ rows, similarities, size }: Pool, threshold: number | null): string {
    const { similarity } = host.strings;
    const [high = 0] = similarities;
    const low = similarities.at(-1) ?? 0;
    if (!rows.length) return words.none;
    const text = words.found(rows.length, size, similarity(high), similarity(low));
    if (threshold === null) return text;
    const above = similarities.filter((one) => one > threshold).length;
    return `${text} ${words.above(above, rows.length, similarity(threshold))}`;
  }

  return {
    root,
    update(state) {
      last = state;
      const { pool } = state;
      if (!pool) return;
      search.update(state);
      decisions.update(state);
      const reason = reasonToWait(state);
      setText(waits, reason);
      waits.hidden = reason === "";
      add.disabled = pool.waiting === 0 || reason !== "";
      retrain.hidden = pool.added === 0;
      retrain.disabled = reason !== "";
      if (!state.previewing) {
        setText(found, foundText(pool, state.phrase === pool.phrase ? state.threshold : null));
      }
      if (pool === shown) return;
      const again = shown?.phrase === pool.phrase && shown.split === pool.split;
      shown = pool;
      noImages.hidden = pool.has_images;
      review.hidden = pool.phrase === "";
      showHits(pool, again);
      setText(counts, [words.decided(pool.accepted, pool.rejected), ...addedOf(pool)].join(" "));
      setText(add, pool.waiting ? words.add(pool.waiting) : words.addNone);
    },
    dispose() {
      tiles.dispose();
      kernel.dispose();
    },
  };
}

/** What is kept reweights; without that, only more images can make a difference. */
function objectiveOf({ annotations, objective }: State): string {
  return annotations.some(({ active }) => active) ? objective : "erm";
}

function addedOf({ added }: Pool): string[] {
  return added ? [words.added(added)] : [];
}

function listingOf({ rows, similarities, split }: Pool): Listing {
  return {
    rows: Int32Array.from(rows),
    image: (at) => ({
      split,
      index: rows[at] as number,
      label: null,
      correct: true,
      similarity: similarities[at] as number,
      confidence: null,
    }),
  };
}

/** Images of a pool are selected in this view only: Python hears of what is decided about them. */
function ownSelection(changed: () => void): Selection {
  let selected: ReadonlySet<number> = new Set();
  return {
    get rows() {
      return selected;
    },
    replace(rows) {
      selected = new Set(rows);
      changed();
    },
  };
}
