// What a person can do in a view. Each verb becomes one request to the kernel, or one trait.

import { type Channel, RequestError, Superseded } from "./channel";
import type { Annotation, Model, PhraseComparison, WidgetError } from "./model";
import type { Store } from "./state";

const TYPING_MS = 200;
const REST_MS = 1000;
const KEYBOARD_MS = 250;
const SLOW_MS = 150;
/** Choosing a class and scoring a phrase both repaint everything: only the latest counts. */
const SHOW = "show";

export class Actions {
  private typing: ReturnType<typeof setTimeout> | undefined;
  private rest: ReturnType<typeof setTimeout> | undefined;
  private moving: ReturnType<typeof setTimeout> | undefined;
  private slow: ReturnType<typeof setTimeout> | undefined;
  /** New phrases that were scored while typing went on: they make room for the one that it ends with. */
  private beginnings = new Set<string>();
  /** Counts what was asked to be shown, so that an overtaken answer is not taken for the latest. */
  private latest = 0;
  /** The kernel was told that somebody types, and nothing was asked since. */
  private told = false;

  constructor(
    private readonly model: Model,
    private readonly channel: Channel,
    private readonly store: Store,
  ) {}

  /** A page that opens while a cell runs may find the kernel busy: nobody asked for anything yet. */
  hello(): void {
    this.channel.request("hello").catch(() => {});
  }

  async selectClass(className: string): Promise<void> {
    this.settle();
    clearTimeout(this.slow);
    this.commitNow();
    this.store.patch({
      pendingClass: className,
      scoring: false,
      asked: { text: "" },
      typing: false,
      preview: null,
      compared: null,
    });
    const request = ++this.latest;
    this.told = false;
    await this.send("select_class", { class_name: className }, SHOW);
    if (this.latest === request) this.store.patch({ pendingClass: null });
  }

  /** The text of the phrase box changed. */
  type(text: string): void {
    this.stopTimers();
    this.tell(true);
    this.typing = setTimeout(() => {
      const { class_name, phrase } = this.store.state;
      if (text.trim()) void this.ask(text, this.beginningsOf(text), { typed: true });
      else if (phrase) void this.selectClass(class_name);
      else this.tell(false);
    }, TYPING_MS);
  }

  /** The kernel stops working things out for the history while somebody types. */
  private tell(typing: boolean): void {
    if (this.told === typing) return;
    this.told = typing;
    this.channel.request("typing", { over: !typing }).catch(() => {});
  }

  /** Enter in the phrase box: now, and this is what was meant. */
  submit(text: string): void {
    this.stopTimers();
    const beginnings = this.earlierThan(text.trim());
    this.beginnings.clear();
    void this.ask(text, beginnings);
  }

  /** A phrase that was tried before. */
  choose(phrase: string): void {
    this.settle();
    void this.ask(phrase, [], { elsewhere: true });
  }

  /** Asks for phrases where looking for them takes long. */
  async suggest(): Promise<void> {
    await this.send("suggest", { class_name: this.store.state.class_name });
  }

  /** Selects these validation rows and no others. */
  select(rows: Iterable<number>): void {
    this.model.set("selected", [...Int32Array.from(new Set(rows)).sort()]);
    this.model.save_changes();
  }

  /** Null takes the marks away. */
  async mark(indices: number[], has: boolean | null): Promise<void> {
    const { phrase } = this.store.state;
    if (phrase && indices.length) await this.send("mark", { phrase, indices, has });
  }

  sharpen(): void {
    this.settle();
    void this.ask(this.store.state.phrase, [], { elsewhere: true, type: "sharpen" });
  }

  /** Lays a phrase beside the one that is shown, or takes it away. */
  compare(phrase: string | null): void {
    this.store.patch({ compared: phrase });
  }

  /** Null when it came to nothing. */
  async comparison(first: string, second: string): Promise<PhraseComparison | null> {
    const fields = { class_name: this.store.state.class_name, first, second };
    try {
      return (await this.channel.request<PhraseComparison>("compare_phrases", fields)).result;
    } catch {
      return null;
    }
  }

  /** What was typed so far counts as tried. */
  settle(): void {
    this.stopTimers();
    this.beginnings.clear();
  }

  preview(threshold: number | null): void {
    this.store.preview(threshold);
  }

  commit(threshold: number): void {
    clearTimeout(this.moving);
    if (this.model.get("threshold") === threshold) {
      this.store.preview(null);
      return;
    }
    this.model.set("threshold", threshold);
    this.model.save_changes();
  }

  /** Keys move in steps; the kernel hears of the last one. */
  commitSoon(threshold: number): void {
    this.preview(threshold);
    clearTimeout(this.moving);
    this.moving = setTimeout(() => this.commit(threshold), KEYBOARD_MS);
  }

  /** Before another phrase is shown: the threshold belongs to this one. */
  private commitNow(): void {
    clearTimeout(this.moving);
    const { previewing, threshold } = this.store.state;
    if (previewing && threshold !== null) this.commit(threshold);
  }

  async keep(): Promise<void> {
    const { class_name, phrase, threshold } = this.store.state;
    this.settle();
    if (phrase) await this.send("keep", { class_name, phrase, threshold });
  }

  async remove({ class_name, phrase }: Annotation): Promise<void> {
    await this.send("remove", { class_name, phrase });
  }

  setObjective(objective: string): void {
    this.model.set("objective", objective);
    this.model.save_changes();
  }

  async retrain(): Promise<void> {
    await this.send("retrain", { objective: this.store.state.objective });
  }

  async cancel(): Promise<void> {
    await this.send("cancel");
  }

  async undo(): Promise<void> {
    await this.send("undo");
  }

  async redo(): Promise<void> {
    await this.send("redo");
  }

  async switch({ class_name, phrase }: Annotation, on: boolean): Promise<void> {
    await this.send("switch", { class_name, phrase, on });
  }

  /** 0 is the model as it was before any retraining. */
  async useModel(number: number): Promise<void> {
    await this.send("use_model", { number });
  }

  dismissError(): void {
    this.store.patch({ error: null });
  }

  dispose(): void {
    this.stopTimers();
    clearTimeout(this.moving);
    clearTimeout(this.slow);
  }

  /** What was scored on the way to `text`, which joins it unless it was tried before. */
  private beginningsOf(text: string): string[] {
    const phrase = text.trim();
    const earlier = this.earlierThan(phrase);
    if (this.store.state.history.every((tried) => tried.phrase !== phrase)) this.beginnings.add(phrase);
    return earlier;
  }

  private earlierThan(phrase: string): string[] {
    return [...this.beginnings].filter((beginning) => beginning !== phrase);
  }

  /**
   * Half a word that the encoder does not know is no error yet: `typed` ones wait until typing rests. What was
   * asked for `elsewhere` than in the phrase box is to be shown there at once.
   */
  private async ask(
    text: string,
    instead_of: string[],
    { typed = false, elsewhere = false, type = "score" } = {},
  ): Promise<void> {
    const { pendingClass, class_name } = this.store.state;
    this.commitNow();
    const request = ++this.latest;
    this.store.note({ typing: typed });
    const fields = { class_name: pendingClass ?? class_name, phrase: text, instead_of };
    this.told = false;
    const attempt = this.attempt(type, fields, SHOW);
    this.store[elsewhere ? "patch" : "note"]({ asked: { text } });
    this.store.patch({ preview: null });
    // A frame that says that it scores would hold up the score, which mostly comes sooner.
    clearTimeout(this.slow);
    this.slow = setTimeout(() => this.store.patch({ scoring: true }), SLOW_MS);
    const outcome = await attempt;
    if (this.latest !== request) return;
    clearTimeout(this.slow);
    this.store.note({ typing: false });
    this.store.patch({ scoring: false });
    if (outcome === "superseded") return;
    const rest = () => (outcome === "done" ? this.settle() : this.store.patch({ error: outcome }));
    if (outcome === "done" || typed) this.rest = setTimeout(rest, REST_MS);
    else rest();
  }

  private async send(type: string, fields: Record<string, unknown> = {}, lane?: string): Promise<void> {
    const outcome = await this.attempt(type, fields, lane);
    if (outcome !== "done" && outcome !== "superseded") this.store.patch({ error: outcome });
  }

  private async attempt(
    type: string,
    fields: Record<string, unknown> = {},
    lane?: string,
  ): Promise<"done" | "superseded" | WidgetError> {
    if (this.store.state.error) this.store.patch({ error: null });
    try {
      const { result } = await this.channel.request<{ stale?: boolean }>(type, fields, lane ? { lane } : {});
      return result?.stale ? "superseded" : "done";
    } catch (reason) {
      if (reason instanceof Superseded) return "superseded";
      return reason instanceof RequestError ? reason.error : { type: "Error", message: String(reason) };
    }
  }

  private stopTimers(): void {
    clearTimeout(this.typing);
    clearTimeout(this.rest);
  }
}
