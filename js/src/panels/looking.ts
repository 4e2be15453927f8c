import type { Shared } from "../panel-loader";
import { panelStrings } from "../strings";
import type { Looking, ShowMap } from "../views/view";

const words = panelStrings.looking;

/** Buttons that show where in an image the model looks, for a class or a phrase. */
export function lookingBar({ channel, h, setText, blobUrl, Superseded }: Shared, show: ShowMap): Looking {
  const status = h("p", { class: "cw-muted cw-label", role: "status" });
  const buttons = h("div", { class: "cw-row-of-buttons" });
  const root = h("div", { class: "cw-looking", "data-testid": "looking", hidden: true }, buttons, status);
  let image: { split: string; index: number } | null = null;
  let chosen = "";
  let url: string | null = null;

  function drop(): void {
    if (url) URL.revokeObjectURL(url);
    url = null;
    show(null, "");
  }

  function choose(name: string, said = ""): void {
    chosen = name;
    setText(status, said);
    for (const button of buttons.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.textContent === chosen));
    }
    if (!chosen) drop();
  }

  async function load(name: string): Promise<void> {
    const asked = image;
    choose(name, name && words.loading);
    if (!asked || !name) return;
    try {
      const { result, buffers } = await channel.request<{ target: string; mime: string }>(
        "explanation",
        { ...asked, about: name },
        { lane: "explanation" },
      );
      if (asked !== image || chosen !== name || !buffers[0]) return;
      drop();
      url = blobUrl(buffers[0], result.mime);
      show(url, result.target);
      setText(status, words.mapOf(result.target));
    } catch (reason) {
      if (!(reason instanceof Superseded)) choose("", (reason as Error).message);
    }
  }

  return {
    root,
    offer(next, names = []) {
      image = next;
      drop();
      if (!next) return;
      root.hidden = names.length === 0;
      buttons.replaceChildren(
        h("span", { class: "cw-muted" }, words.lookFor),
        ...names.map((name) =>
          h(
            "button",
            { class: "cw-button", type: "button", onclick: () => load(name === chosen ? "" : name) },
            name,
          ),
        ),
      );
      void load(names.includes(chosen) ? chosen : "");
    },
    clear() {
      image = null;
      chosen = "";
      drop();
    },
  };
}
