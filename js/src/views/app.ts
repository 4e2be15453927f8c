import { Actions } from "../actions";
import type { Channel } from "../channel";
import { h } from "../dom";
import type { ExampleFeed } from "../feed";
import { keepFocus } from "../focus";
import type { Model, Theme } from "../model";
import type { Host, LoadPanels } from "../panel-loader";
import { type State, Store } from "../state";
import { strings } from "../strings";
import { watchTheme } from "../theme";
import { Thumbnails } from "../thumbnails";
import { errorAlert } from "./alert";
import { annotationList } from "./annotations";
import { changedImages } from "./changed";
import { classPicker } from "./class-picker";
import { comparisonTable } from "./comparison";
import { originalDialog } from "./dialog";
import { imageGrid } from "./grid";
import { headerBar } from "./header";
import { histogramPlot } from "./histogram";
import { historyList } from "./history";
import { lateLooking, lateView, sharedWith } from "./late";
import { markedImages, markSelected } from "./marks";
import { modelList } from "./models";
import { latePanels } from "./panels";
import { phraseBox } from "./phrase";
import { retrainPanel } from "./retrain";
import { scoreCard } from "./score";
import { selectionBar } from "./selection";
import { sideSizes } from "./sides";
import { suggestionChips } from "./suggestions";
import { tooltip } from "./tooltip";
import type { Tools, View } from "./view";

export interface MountOptions {
  model: Model;
  channel: Channel;
  feed: ExampleFeed;
  thumbnails: Thumbnails;
  /** Not there in a report. */
  loadPanels?: LoadPanels;
  /** A report: no kernel, nothing to change but the phrase shown and the threshold. */
  readonly?: boolean;
}

const isComparing = ({ compared }: State): boolean => compared !== null;
const notHere: LoadPanels = () => Promise.reject(new Error(strings.notInReport));

/** Builds one view in `el` and keeps it true to the model. Returns how to take it away. */
export function mount(
  el: HTMLElement,
  { model, channel, feed, thumbnails, loadPanels = notHere, readonly = false }: MountOptions,
): () => void {
  const store = new Store(model, feed, readonly);
  const actions = new Actions(model, channel, store);
  const shared = sharedWith(channel);
  const dialog = originalDialog(channel, actions, thumbnails, (show) =>
    lateLooking(loadPanels, shared, show),
  );
  const enlarged = Thumbnails.enlarged(channel);
  const tip = tooltip(enlarged);
  const tools: Tools = { actions, thumbnails, readonly, open: dialog.open, tip: tip.show, zoom: tip.zoom };
  const host: Host = { ...tools, ...shared };

  const top: View[] = [headerBar(tools), errorAlert(tools)];
  const asking = readonly ? [] : [suggestionChips(tools)];
  const comparing = readonly
    ? []
    : [lateView(loadPanels, isComparing, (panels) => panels.phraseComparison(host))];
  const say: View[] = [
    classPicker(tools),
    phraseBox(tools),
    ...asking,
    scoreCard(tools),
    ...(readonly ? [] : [markedImages(tools)]),
    historyList(tools),
    ...comparing,
  ];
  const look: View[] = [
    histogramPlot(tools),
    sideSizes(),
    selectionBar(tools, readonly ? [] : [markSelected(tools)]),
    imageGrid(tools, true),
    imageGrid(tools, false),
    changedImages(tools),
  ];
  const correct = readonly ? [] : [retrainPanel(tools), modelList(tools)];
  const mend: View[] = [annotationList(tools), ...correct, comparisonTable()];
  const late = readonly ? [] : [latePanels(host, loadPanels)];
  const views = [...top, ...say, ...look, ...mend, ...late];
  const [histogram, sides, selection, left, right, changed] = look.map((view) => view.root);

  const choose = h("p", { class: "cw-quiet cw-choose" }, strings.chooseClass);
  const explore = h("div", {}, histogram, sides, selection, h("div", { class: "cw-grids" }, left, right));
  const root = h(
    "div",
    { class: "cw-root", role: "region", "aria-label": strings.widget, "data-lm-suppress-shortcuts": "true" },
    h(
      "div",
      { class: "cw-card" },
      ...top.map((view) => view.root),
      h(
        "div",
        { class: "cw-main" },
        h("div", { class: "cw-say" }, ...say.map((view) => view.root)),
        h("div", { class: "cw-look" }, choose, explore, changed),
        h("div", { class: "cw-mend" }, ...mend.map((view) => view.root)),
      ),
      ...late.map((view) => view.root),
    ),
    tip.root,
    dialog.root,
  );
  el.append(root);

  const letFocusGo = keepFocus(root);
  const theme = watchTheme(root, () => store.state.theme);
  let chosen: Theme | null = null;
  let frame = 0;

  /** Tells tests and benchmarks what can be seen now. */
  function markPainted({ class_name, phrase, waiting }: State): void {
    cancelAnimationFrame(frame);
    const seen = `${class_name}|${phrase}`;
    // A frame with nothing new in it would keep an answer that comes meanwhile waiting for the one after it.
    if (waiting || root.dataset.cwPainted === seen) return;
    frame = requestAnimationFrame(() => {
      root.dataset.cwPainted = seen;
    });
  }

  store.subscribe((state) => {
    if (state.theme !== chosen) theme.apply();
    chosen = state.theme;
    choose.hidden = state.class_name !== "";
    explore.hidden = state.class_name === "";
    explore.setAttribute("aria-busy", String(state.pendingClass !== null || state.scoring));
    for (const view of views) view.update(state);
    dialog.update(state);
    markPainted(state);
    // Lays everything out while the next frame is waited for, not in it.
    void root.offsetHeight;
  });
  actions.hello();

  return () => {
    cancelAnimationFrame(frame);
    theme.stop();
    letFocusGo();
    store.dispose();
    actions.dispose();
    dialog.dispose();
    tip.show(null);
    enlarged.dispose();
    for (const view of views) view.dispose?.();
    root.remove();
  };
}
