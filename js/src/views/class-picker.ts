import { h, icon } from "../dom";
import { wilson } from "../examples";
import type { ClassSummary } from "../model";
import type { State } from "../state";
import { strings } from "../strings";
import type { Tools, View } from "./view";

const FILTER_FROM = 9;
const MANY = 100;

function option({ name, size, wrong, error_rate, annotated }: ClassSummary, choose: () => void): HTMLElement {
  const rate = strings.percent(error_rate);
  const fill = h("span", { class: "cw-bar-fill", style: `width:${(100 * (error_rate ?? 0)).toFixed(2)}%` });
  return h(
    "div",
    {
      class: "cw-class",
      role: "option",
      tabindex: -1,
      title: `${name}: ${strings.classSummary(wrong, size)}${size ? `, ${strings.interval(...wilson(wrong, size))}` : ""}`,
      "data-testid": "class-option",
      "data-name": name,
      onclick: choose,
    },
    h("span", { class: "cw-class-name" }, name),
    annotated
      ? h("span", { class: "cw-tag" }, icon("bookmark"), h("span", { class: "cw-hidden" }, strings.annotated))
      : null,
    h("span", { class: "cw-bar", "aria-hidden": "true" }, fill),
    h("span", { class: "cw-number" }, rate),
  );
}

export function classPicker({ actions }: Tools): View {
  const filter = h("input", {
    class: "cw-input cw-filter",
    type: "search",
    placeholder: strings.filterClasses,
    "aria-label": strings.filterClasses,
    oninput: () => applyFilter(),
  });
  const list = h("div", {
    class: "cw-classes",
    role: "listbox",
    "aria-label": strings.classHeading,
    onkeydown: (event: KeyboardEvent) => onKey(event),
  });
  const none = h("p", { class: "cw-quiet", hidden: true }, strings.noClassMatches);
  const root = h(
    "section",
    { class: "cw-section" },
    h("h2", { class: "cw-heading", title: strings.classHint }, strings.classHeading),
    filter,
    list,
    none,
  );
  let shown: ClassSummary[] | null = null;
  let selected: string | null = null;
  let options: HTMLElement[] = [];

  function applyFilter(): void {
    const wanted = filter.hidden ? "" : filter.value.trim().toLowerCase();
    let matches = 0;
    for (const item of options) {
      item.hidden = !(item.dataset.name ?? "").toLowerCase().includes(wanted);
      if (!item.hidden) matches++;
    }
    none.hidden = matches > 0 || options.length === 0;
    rove();
  }

  /** One option takes part in the tab order: the chosen one, else the first. */
  function rove(): void {
    const visible = options.filter((item) => !item.hidden);
    const stop = visible.find((item) => item.dataset.name === selected) ?? visible[0];
    for (const item of options) item.tabIndex = item === stop ? 0 : -1;
  }

  function onKey(event: KeyboardEvent): void {
    const visible = options.filter((item) => !item.hidden);
    const at = visible.indexOf(event.target as HTMLElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: visible.length - 1 }[event.key];
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      visible[at]?.click();
    } else if (to !== undefined) {
      event.preventDefault();
      visible[Math.max(0, Math.min(visible.length - 1, to))]?.focus();
    }
  }

  function build(classes: ClassSummary[]): void {
    const hadFocus = list.contains((list.getRootNode() as Document | ShadowRoot).activeElement);
    options = classes.map((summary) => option(summary, () => void actions.selectClass(summary.name)));
    list.replaceChildren(...options);
    filter.hidden = classes.length < FILTER_FROM;
    list.classList.toggle("cw-many", classes.length > MANY);
    applyFilter();
    if (hadFocus) options.find((item) => item.tabIndex === 0)?.focus();
  }

  return {
    root,
    update(state: State) {
      const now = state.pendingClass ?? state.class_name;
      const rebuilt = state.classes !== shown;
      if (rebuilt) {
        selected = now;
        shown = state.classes;
        build(state.classes);
      }
      if (!rebuilt && now === selected) return;
      selected = now;
      for (const item of options) item.setAttribute("aria-selected", String(item.dataset.name === now));
      rove();
    },
  };
}
