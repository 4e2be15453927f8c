import { h, icon, setText } from "../dom";
import type { State } from "../state";
import { strings } from "../strings";
import { savedNote } from "./saved";
import type { Tools, View } from "./view";

export function headerBar({ actions, readonly }: Tools): View {
  const dataset = h("span", { class: "cw-dataset" });
  const encoder = h("span", { class: "cw-muted" });
  const status = h("span", { class: "cw-status", role: "status", "data-testid": "status" });
  const undo = h(
    "button",
    {
      class: "cw-button cw-ghost",
      type: "button",
      "data-testid": "undo",
      onclick: () => void actions.undo(),
    },
    icon("undo"),
    strings.undo,
  );
  const redo = h(
    "button",
    {
      class: "cw-button cw-ghost cw-redo",
      type: "button",
      "data-testid": "redo",
      onclick: () => void actions.redo(),
    },
    icon("redo"),
  );
  const notesList = h("ul", { class: "cw-notes-list" });
  const notesTitle = h("span", {});
  const notes = h(
    "details",
    { class: "cw-notes", "data-testid": "notes" },
    h("summary", {}, icon("info"), notesTitle),
    notesList,
  );
  const saved = savedNote();
  const root = h(
    "div",
    { class: "cw-header" },
    h("div", { class: "cw-title" }, dataset, encoder),
    status,
    saved.root,
    notes,
    readonly ? null : undo,
    readonly ? null : redo,
  );
  let shown: string[] | null = null;

  return {
    root,
    update(state: State) {
      setText(dataset, state.dataset_name);
      setText(encoder, state.encoder_name);
      root.dataset.state = state.status.state;
      setText(status, state.status.message);
      const running = state.status.state === "retraining";
      redo.disabled = state.can_redo === "" || running;
      redo.title = state.can_redo ? strings.redoWhat(state.can_redo) : strings.redo;
      redo.setAttribute("aria-label", redo.title);
      undo.disabled = state.can_undo === "" || running;
      saved.update(state);
      undo.title = state.can_undo ? strings.undoWhat(state.can_undo) : strings.undo;
      undo.setAttribute("aria-label", undo.title);
      notes.hidden = state.notes.length === 0;
      if (state.notes === shown) return;
      shown = state.notes;
      setText(notesTitle, strings.notes(shown.length));
      notesList.replaceChildren(...shown.map((note) => h("li", {}, note)));
    },
  };
}
