import { h, setText } from "../dom";
import type { State } from "../state";
import { strings } from "../strings";
import type { Tools, View } from "./view";

/** The sentence that a person completes; in a report, the completed sentence. */
export function phraseBox({ actions, readonly }: Tools): View {
  const input = h("input", {
    class: "cw-phrase",
    type: "text",
    placeholder: strings.phrasePlaceholder,
    "aria-label": strings.phraseLabel,
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    "data-testid": "phrase-input",
    oninput: () => {
      edited = true;
      typing = input.value.trim() !== "";
      resize();
      actions.type(input.value);
    },
    onkeydown: (event: KeyboardEvent) => {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault();
      actions.submit(input.value);
    },
  });
  const shownPhrase = h("strong", { class: "cw-phrase-shown" });
  const ofClass = h("span", {});
  const root = h(
    "section",
    { class: "cw-section" },
    h(
      "p",
      { class: "cw-sentence" },
      `${strings.sentenceStart} `,
      readonly ? shownPhrase : input,
      ` ${strings.sentenceEnd}`,
    ),
    h("p", { class: "cw-quiet cw-of-class" }, ofClass, h("span", { class: "cw-busy" }, strings.scoring)),
  );
  /** What is in the box was typed here and is not what the model shows. */
  let edited = false;
  /** It has not been asked for yet. */
  let typing = false;
  let asked: State["asked"] = null;
  let className: string | null = null;
  let phrase: string | null = null;

  function resize(): void {
    // Letters are narrower than the digit that "ch" measures.
    const longest = Math.max(10, Math.min(26, Math.ceil(0.9 * input.value.length)));
    input.style.width = `calc(${longest}ch + 18px)`;
  }

  return {
    root,
    update(state: State) {
      if (state.asked !== asked) {
        asked = state.asked;
        typing = false;
        // What is asked for elsewhere, as in the history, takes the place of what was typed.
        if (asked && asked.text.trim() !== input.value.trim()) {
          edited = false;
          input.value = asked.text;
          resize();
        }
      }
      if (state.class_name !== className) edited = false;
      if (state.phrase === input.value.trim()) edited = false;
      if (state.class_name !== className || state.phrase !== phrase) {
        // What came to nothing makes room for what is shown next; what is on its way does not.
        if (!typing && !state.scoring) edited = false;
        className = state.class_name;
        phrase = state.phrase;
        if (!edited) input.value = phrase;
        setText(shownPhrase, phrase || "…");
        resize();
      }
      root.classList.toggle("cw-scoring", state.scoring);
      input.disabled = state.class_name === "";
      setText(ofClass, state.class_name ? strings.ofClass(state.class_name) : "");
    },
  };
}
