// The state of one view: what the model says, plus what only this view knows (a threshold being dragged, an
// answer being waited for, an error). Everything shown is derived from here.

import type { Examples, Split } from "./examples";
import type { ExampleFeed } from "./feed";
import {
  type Annotation,
  type Listener,
  type Marks,
  type Model,
  type Sides,
  type Suggestions,
  TRAITS,
  type Traits,
  type WidgetError,
} from "./model";

/** Training images without and with the phrase, at the threshold that is shown. */
export interface TrainingSides {
  sizes: [number, number];
  /** While the threshold moves they are read off a grid. */
  exact: boolean;
  warnings: string[];
}

export interface State extends Omit<Traits, "examples_key" | "glance" | "selected" | "threshold" | "sides"> {
  readonly: boolean;
  examples: Examples;
  /** The examples of what is shown have not come yet; those here are of what was shown before. */
  waiting: boolean;
  /** Rows of the images that are selected. */
  selected: ReadonlySet<number>;
  /** Null without a phrase. */
  split: Split | null;
  /** Null without a phrase, and until they have been counted. */
  trainingSides: TrainingSides | null;
  /** The threshold now shown: dragged, else the model's, else the best. Null without a phrase. */
  threshold: number | null;
  bestThreshold: number | null;
  /** The threshold with which the phrase shown is kept; null when it is not kept. */
  keptThreshold: number | null;
  /** The threshold is being moved and has not been committed. */
  previewing: boolean;
  pendingClass: string | null;
  scoring: boolean;
  /** What this view asked for last, another object each time. */
  asked: { text: string } | null;
  /** The phrase that the one that is shown is compared with. */
  compared: string | null;
}

interface Local {
  preview: number | null;
  pendingClass: string | null;
  scoring: boolean;
  asked: { text: string } | null;
  compared: string | null;
  /** What is being scored is still being typed: its errors can wait. */
  typing: boolean;
  error: WidgetError | null;
}

const IDLE = {
  state: "ready",
  message: "",
  fraction: null,
  loss: null,
  seconds_left: null,
  curve: [],
  run_id: null,
} as Traits["status"];

function trainingSidesOf(sides: Sides, threshold: number): TrainingSides {
  if (sides.threshold === threshold) return { sizes: sides.train, exact: true, warnings: sides.warnings };
  const { low, high, at_or_below: grid } = sides;
  const total = sides.train[0] + sides.train[1];
  const place = ((threshold - low) / (high - low)) * (grid.length - 1);
  const at = Math.max(0, Math.min(grid.length - 2, Math.floor(place)));
  const [below = 0, above = 0] = grid.slice(at, at + 2);
  const without = Math.round(below + (above - below) * Math.max(0, Math.min(1, place - at)));
  return { sizes: [without, total - without], exact: false, warnings: [] };
}
const NO_SUGGESTIONS = { state: "none", noise_line: null, sentence: "", phrases: [] } as Suggestions;
const NO_MARKS: Marks = { has: [], has_not: [] };

export class Store {
  private local: Local = {
    preview: null,
    pendingClass: null,
    scoring: false,
    asked: null,
    compared: null,
    typing: false,
    error: null,
  };
  private examples: Examples;
  private chosen = { raw: null as unknown, rows: new Set<number>() as ReadonlySet<number> };
  private current: State;
  private readonly subscribers = new Set<(state: State) => void>();
  private readonly listeners: [string, Listener][] = [];
  private readonly unsubscribe: () => void;
  private scheduled = false;

  constructor(
    private readonly model: Model,
    private readonly feed: ExampleFeed,
    private readonly readonly = false,
  ) {
    this.examples = feed.get("") as Examples;
    this.unsubscribe = feed.subscribe(() => this.schedule());
    this.local.error = model.get("error") ?? null;
    this.current = this.derive();
    for (const name of TRAITS) {
      this.listen(`change:${name}`, () => {
        if (name === "error") this.takeError();
        if (name === "threshold" || name === "examples_key") this.local.preview = null;
        this.schedule();
      });
    }
  }

  get state(): State {
    if (this.scheduled) this.current = this.derive();
    return this.current;
  }

  subscribe(subscriber: (state: State) => void): void {
    this.subscribers.add(subscriber);
    subscriber(this.current);
  }

  /** Moves the threshold in this view only. */
  preview(threshold: number | null): void {
    this.patch({ preview: threshold });
  }

  patch(change: Partial<Local>): void {
    const names = Object.keys(change) as (keyof Local)[];
    const same = names.every((name) => this.local[name] === change[name]);
    this.note(change);
    if (!same) this.publish();
  }

  /** As `patch`, but nothing is shown until something else is. */
  note(change: Partial<Local>): void {
    Object.assign(this.local, change);
  }

  dispose(): void {
    this.unsubscribe();
    for (const [event, listener] of this.listeners) this.model.off(event, listener);
    this.subscribers.clear();
  }

  private takeError(): void {
    const error = this.model.get("error") ?? null;
    if (error === null || !this.local.typing) this.local.error = error;
  }

  private listen(event: string, listener: Listener): void {
    this.model.on(event, listener);
    this.listeners.push([event, listener]);
  }

  /** One message of the kernel changes several traits: they are shown together. */
  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      this.publish();
    });
  }

  private publish(): void {
    this.current = this.derive();
    for (const subscriber of this.subscribers) subscriber(this.current);
  }

  private selected(): ReadonlySet<number> {
    const raw = this.model.get("selected") ?? null;
    if (raw !== this.chosen.raw) this.chosen = { raw, rows: new Set(raw) };
    return this.chosen.rows;
  }

  private derive(): State {
    const { model, local } = this;
    const come = this.feed.get(model.get("examples_key") ?? "");
    const examples = come ?? this.examples;
    this.examples = examples;
    const phrase = model.get("phrase") ?? "";
    const score = model.get("score") ?? null;
    const scored = phrase !== "" && examples.scored;
    const bestThreshold = scored ? (score?.threshold ?? null) : null;
    const threshold = scored
      ? (local.preview ?? model.get("threshold") ?? bestThreshold ?? (examples.low + examples.high) / 2)
      : null;
    const className = model.get("class_name") ?? "";
    const annotations = model.get("annotations") ?? [];
    const sides = model.get("sides") ?? null;
    const counted = sides?.class_name === className && sides.phrase === phrase ? sides : null;
    const isShown = (kept: Annotation) => kept.class_name === className && kept.phrase === phrase;
    if (local.pendingClass === className) local.pendingClass = null;
    if (this.current?.class_name !== className) local.compared = null;
    return {
      readonly: this.readonly,
      dataset_name: model.get("dataset_name") ?? "",
      encoder_name: model.get("encoder_name") ?? "",
      classes: model.get("classes") ?? [],
      class_name: className,
      phrase,
      objective: model.get("objective") ?? "",
      objectives: model.get("objectives") ?? [],
      theme: model.get("theme") ?? "auto",
      score,
      history: model.get("history") ?? [],
      annotations,
      status: model.get("status") ?? IDLE,
      comparison: model.get("comparison") ?? null,
      error: local.error,
      notes: model.get("notes") ?? [],
      can_undo: model.get("can_undo") ?? "",
      can_redo: model.get("can_redo") ?? "",
      models: model.get("models") ?? [],
      trainingSides: counted && threshold !== null ? trainingSidesOf(counted, threshold) : null,
      saved: model.get("saved") ?? null,
      suggestions: model.get("suggestions") ?? NO_SUGGESTIONS,
      marks: model.get("marks") ?? NO_MARKS,
      attributes: model.get("attributes") ?? null,
      pool: model.get("pool") ?? null,
      finetuning: model.get("finetuning") ?? null,
      finetuning_result: model.get("finetuning_result") ?? null,
      examples,
      waiting: come === null,
      selected: this.selected(),
      split: threshold === null ? null : examples.split(threshold),
      threshold,
      bestThreshold,
      keptThreshold: annotations.find(isShown)?.threshold ?? null,
      previewing: scored && local.preview !== null,
      pendingClass: local.pendingClass,
      scoring: local.scoring,
      asked: local.asked,
      compared: local.compared,
    };
  }
}
