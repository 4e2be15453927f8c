import type { AttributeRow, Judgement } from "../model";
import type { Host } from "../panel-loader";
import type { State } from "../state";
import { panelStrings } from "../strings";
import type { View } from "../views/view";
import { asking } from "./asking";
import { attributeTable } from "./attribute-table";

const words = panelStrings.attributes;

export type Verdict = Judgement["verdict"];

/** The attributes that the model leans on in one class: a person says which belong to the class. */
export function attributesPanel(host: Host): View {
  const { h, setText } = host;
  const kernel = asking(host, "attributes-error");
  const tested = h("p", { class: "cw-quiet", "data-testid": "attributes-tested" });
  const none = h("p", { class: "cw-quiet", hidden: true });
  const table = attributeTable(host, {
    judge: (attribute, verdict) => void kernel.ask("judge", { class_name: className, attribute, verdict }),
    use(attribute) {
      host.actions.choose(attribute);
      root.closest(".cw-root")?.scrollIntoView({ block: "start" });
    },
  });
  const hint = h("p", { class: "cw-quiet cw-label" }, words.hint);
  const root = h("div", { class: "cw-attributes" }, tested, kernel.alert, none, table.root, hint);
  let className = "";
  let number = -1;
  let judgements: Judgement[] | null = null;

  async function load(): Promise<void> {
    const asked = { class_name: className };
    const found = await kernel.ask<{ number: number; rows: AttributeRow[] }>(
      "attributes",
      asked,
      "attributes",
    );
    if (!found || asked.class_name !== className) return;
    setText(none, words.none(className));
    none.hidden = found.rows.length > 0;
    hint.hidden = found.rows.length === 0;
    table.show(className, found.rows);
  }

  return {
    root,
    update({ attributes, class_name }: State) {
      if (!attributes) return;
      setText(tested, attributes.sentence);
      if (attributes.judgements !== judgements || class_name !== className) {
        judgements = attributes.judgements;
        const ofClass = judgements.filter((one) => one.class_name === class_name);
        table.judge(new Map(ofClass.map(({ attribute, verdict }) => [attribute, verdict])));
      }
      if (class_name === className && attributes.number === number) return;
      className = class_name;
      number = attributes.number;
      if (className) void load();
    },
    dispose() {
      kernel.dispose();
    },
  };
}
