import type { Host } from "../panel-loader";
import { panelStrings } from "../strings";
import type { View } from "../views/view";
import type { PoolRequests } from "./requests";

const words = panelStrings.pool;
const SLOW_MS = 150;

/** The phrase that the pool is searched for: that which is shown above, or another. */
export function poolSearch({ h, setText, strings: shared }: Host, requests: PoolRequests): View {
  const label = h("span", {});
  const input = h("input", {
    class: "cw-input",
    type: "text",
    placeholder: words.placeholder,
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    "data-testid": "pool-phrase",
    oninput: () => {
      edited = true;
    },
    onkeydown: (event: KeyboardEvent) => {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault();
      void search(input.value);
    },
  });
  const button = (testid: string, act: () => void, text = "") =>
    h("button", { class: "cw-button", type: "button", "data-testid": testid, onclick: act }, text);
  const go = button("pool-search", () => void search(input.value), words.search);
  const goShown = button("pool-search-shown", () => void search(phrase));
  const busy = h("span", { class: "cw-quiet", role: "status" });
  const start = h("p", { class: "cw-quiet" }, words.start);
  const root = h(
    "div",
    { class: "cw-pool-search" },
    h("label", { class: "cw-pool-label" }, label, input),
    go,
    goShown,
    busy,
    start,
  );
  let edited = false;
  let phrase = "";
  let asked = 0;

  async function search(text: string): Promise<void> {
    const request = ++asked;
    edited = true;
    input.value = text;
    const slow = setTimeout(() => setText(busy, words.searching), SLOW_MS);
    await requests.search(text);
    clearTimeout(slow);
    if (asked === request) setText(busy, "");
  }

  return {
    root,
    update({ pool, phrase: above }) {
      if (!pool) return;
      phrase = above;
      setText(label, words.searchIn(pool.name, shared.images(pool.size)));
      if (pool.phrase === input.value.trim()) edited = false;
      // Before the first search the phrase shown above is the natural one.
      if (!edited) input.value = pool.phrase || above;
      start.hidden = pool.phrase !== "";
      goShown.hidden = above === "" || above === pool.phrase || above === input.value.trim();
      setText(goShown, words.searchShown(above));
    },
  };
}
