import { h, icon, setText } from "../dom";
import type { State } from "../state";
import { strings } from "../strings";
import type { View } from "./view";

const folderName = (path: string) => path.split(/[\\/]/).pop() ?? path;

/** Where and when the session was saved, or why it is not; nothing for one that nobody saves. */
export function savedNote(): View {
  const words = h("span", { class: "cw-saved-words" });
  const root = h("span", { class: "cw-saved", "data-testid": "saved" });
  let failed: boolean | null = null;

  return {
    root,
    update({ saved }: State) {
      root.hidden = saved === null;
      if (saved === null) return;
      const time = new Date(1000 * saved.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
      setText(
        words,
        saved.error ? strings.notSaved(saved.error) : strings.saved(time, folderName(saved.folder)),
      );
      root.title = saved.error
        ? strings.notSavedHelp(saved.folder, time, saved.error)
        : strings.savedHelp(saved.folder, time);
      if (failed === (saved.error !== "")) return;
      failed = saved.error !== "";
      root.replaceChildren(icon(failed ? "warning" : "check"), words);
      // Only trouble is worth interrupting a reader of the screen for.
      if (failed) root.setAttribute("role", "alert");
      else root.removeAttribute("role");
    },
  };
}
