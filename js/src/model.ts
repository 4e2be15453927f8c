// What the kernel and the page say to each other: synced traits, requests and their answers.

export interface ClassSummary {
  name: string;
  size: number;
  wrong: number;
  /** Null for a class without images. */
  error_rate: number | null;
  annotated: boolean;
}

/** +1: the wrong images are the more similar to the phrase; -1: the right ones are. */
export type Direction = 1 | -1;

export interface Score {
  class_name: string;
  phrase: string;
  score: number;
  threshold: number;
  direction: Direction;
  p_value: number | null;
  wrong: number;
  correct: number;
  unknown_words: string[];
  /** Images of the class that the phrase was sharpened by, and that do not judge it. */
  left_out?: number;
  sentence: string;
  warning: string | null;
}

/** What retraining with a phrase would do to the worst slice of validation. */
export interface Expected {
  /** Accuracies in 0..1; null where there is a reason why there are none. */
  before: number | null;
  after: number | null;
  within_noise: boolean;
  sentence: string;
  reason: string;
}

export interface Tried {
  phrase: string;
  score: number;
  threshold: number;
  direction: Direction;
  p_value: number | null;
  best: boolean;
  kept: boolean;
  /** Accuracies without and with the phrase; null while it has not been compared, not there in a report. */
  accuracies?: [number | null, number | null] | null;
  /** Null while it is being worked out; not there where that is not done unasked. */
  expected?: Expected | null;
}

/** Phrases that nobody typed yet. */
export interface Suggestions {
  /** "ask": it takes long and nobody asked for it yet; "none": there is nothing to describe. */
  state: "ready" | "pending" | "ask" | "none";
  /** What the best of as many meaningless phrases would score one time in twenty. */
  noise_line: number | null;
  sentence: string;
  /** The highest score first. */
  phrases: { phrase: string; score: number; above_noise: boolean }[];
}

/** Rows of validation images that were marked for the phrase that is shown. */
export interface Marks {
  has: number[];
  has_not: number[];
}

export interface PhraseComparison {
  first: { phrase: string; score: number };
  second: { phrase: string; score: number };
  /** Row by row: with the first phrase, then without it; with the second, then without it. */
  cells: { name: string; size: number; accuracy: number | null }[];
  agreement: number;
  correlation: number | null;
  sentence: string;
}

export interface Annotation {
  class_name: string;
  phrase: string;
  threshold: number;
  score: number | null;
  /** Whether retraining takes it into account. */
  active: boolean;
  /** Whether it is the best of the active ones of its class, with which retraining slices the class. */
  used: boolean;
}

/** What is shown of the similarities to a phrase before they have come: they are many. */
export interface Glance {
  /** Of the examples, and of their members; see `ExampleFeed`. */
  key: string;
  members: string;
  /** The least and the greatest similarity. */
  low: number;
  high: number;
  /** Right (wrong) images in each bin of the histogram. */
  right: number[];
  wrong: number[];
  /** Images at or below the threshold, and how many of them are wrong. */
  without: [size: number, wrong: number];
}

/** What a threshold does to the images of a class; pairs are without the phrase, with it. */
export interface Sides {
  class_name: string;
  phrase: string;
  threshold: number;
  train: [number, number];
  val: [number, number];
  /** Training images at or below evenly spaced thresholds from `low` to `high`. */
  low: number;
  high: number;
  at_or_below: number[];
  warnings: string[];
}

/** Iteration, loss, average and worst validation accuracy. */
export type CurvePoint = [iteration: number, loss: number, average: number, worst: number];

export interface RetrainedModel {
  number: number;
  objective: string;
  phrases: string[];
  /** Before and after. */
  worst: [number | null, number | null];
  average: [number | null, number | null];
  curve: CurvePoint[];
  in_use: boolean;
}

export interface Status {
  state: "loading" | "ready" | "retraining";
  message: string;
  fraction: number | null;
  loss: number | null;
  seconds_left: number | null;
  curve: CurvePoint[];
  run_id: string | number | null;
}

export type ComparisonKind = "overall" | "worst" | "class" | "slice" | "group";

export interface ComparisonRow {
  kind: ComparisonKind;
  name: string;
  size: number;
  /** Accuracies in 0..1 with 95 % intervals; null where there are no images. */
  before: number | null;
  before_low: number | null;
  before_high: number | null;
  after: number | null;
  after_low: number | null;
  after_high: number | null;
}

export interface Comparison {
  objective: string;
  split: string;
  rows: ComparisonRow[];
  fixed: number;
  broken: number;
  fixed_indices: number[];
  broken_indices: number[];
  p_value: number | null;
  sentence: string;
  notes?: string[];
}

/** Which attributes were tested, and what people said of them. */
export interface Attributes {
  /** Tells these from others that were shown before. */
  number: number;
  sentence: string;
  judgements: Judgement[];
}

export interface Judgement {
  class_name: string;
  attribute: string;
  verdict: "healthy" | "spurious";
}

/** How the accuracy on one class differs with one attribute. */
export interface AttributeRow {
  attribute: string;
  with: { size: number; accuracy: number };
  without: { size: number; accuracy: number };
  /** Accuracy with it minus that without, and its 95 % interval. */
  difference: number;
  low: number;
  high: number;
  p_value: number;
  significant: boolean;
  /** What the wrong images are taken for most often. */
  confused_with: string;
  /** Null where it is no phrase of the encoder. */
  threshold: number | null;
  sentence: string;
}

/** Unlabelled images under review. */
export interface Pool {
  name: string;
  size: number;
  /** Names its images in requests for images. */
  split: string;
  has_images: boolean;
  /** What was searched for; empty before any search. */
  phrase: string;
  /** The hits that nobody decided about yet, the most similar first. */
  rows: number[];
  similarities: number[];
  /** Classes, and how many images were accepted as each. */
  accepted: [class_name: string, count: number][];
  rejected: number;
  /** Accepted, and not in the training set yet. */
  waiting: number;
  /** In the training set. */
  added: number;
  /** What undo would take back; empty when there is nothing. */
  undo: string;
}

/** Where a fine-tuning of the encoder stands. */
export interface Finetuning {
  state: "ready" | "running";
  message: string;
  /** Why the last one ended without a result; empty when it did not. */
  error: string;
  /** Why the encoder cannot be fine-tuned, and what can be done; empty when it can. */
  unavailable: string;
  run_id: string;
  /** Null before the first step. */
  epoch: number | null;
  epochs: number | null;
  loss: number | null;
  fraction: number | null;
  seconds_left: number | null;
  judged_by: "" | "group" | "slice";
  /** Average and worst validation accuracy before any training. */
  before: [average: number, worst: number] | null;
  /** After each epoch, or every few. */
  curve: CurvePoint[];
}

/** What the last fine-tuning came to. */
export interface FinetuningResult {
  /** What was taken for spurious. */
  phrases: string[];
  /** Which epoch was kept, and why. */
  kept_epoch: string;
  comparison: Comparison;
  before: [average: number, worst: number] | null;
  curve: CurvePoint[];
}

/** Where the session is saved after every change. */
export interface Saved {
  folder: string;
  /** Seconds since 1970, to the minute. */
  at: number;
  /** Why the latest change is not there; empty when it is. */
  error: string;
}

export interface WidgetError {
  type: string;
  message: string;
}

export interface Objective {
  value: string;
  label: string;
}

export type Theme = "auto" | "light" | "dark";

export interface Traits {
  dataset_name: string;
  encoder_name: string;
  classes: ClassSummary[];
  class_name: string;
  phrase: string;
  threshold: number | null;
  objective: string;
  objectives: Objective[];
  theme: Theme;
  /** Names the examples that go with the class and the phrase; see `ExampleFeed`. */
  examples_key: string;
  glance: Glance | null;
  score: Score | null;
  history: Tried[];
  annotations: Annotation[];
  status: Status;
  comparison: Comparison | null;
  error: WidgetError | null;
  notes: string[];
  can_undo: string;
  can_redo: string;
  models: RetrainedModel[];
  /** Of the images of `examples`; empty where the model does not say how sure it is. */
  /** Validation rows, ascending. */
  selected: number[];
  sides: Sides | null;
  saved: Saved | null;
  suggestions: Suggestions;
  marks: Marks;
  attributes: Attributes | null;
  pool: Pool | null;
  finetuning: Finetuning | null;
  finetuning_result: FinetuningResult | null;
}

export const TRAITS: readonly (keyof Traits)[] = [
  "dataset_name",
  "encoder_name",
  "classes",
  "class_name",
  "phrase",
  "threshold",
  "objective",
  "objectives",
  "theme",
  "examples_key",
  "glance",
  "score",
  "history",
  "annotations",
  "status",
  "comparison",
  "error",
  "notes",
  "can_undo",
  "can_redo",
  "models",
  "selected",
  "sides",
  "saved",
  "suggestions",
  "marks",
  "attributes",
  "pool",
  "finetuning",
  "finetuning_result",
];

export interface ThumbnailItem {
  index: number;
  name: string;
  label: string;
  predicted: string;
  correct: boolean;
  readable: boolean;
  mime: string;
}

export interface Original {
  name: string;
  label: string;
  predicted: string;
  correct: boolean;
  confidence: number | null;
  /** Of the file; null for an image that is not one. */
  path: string | null;
  /** Whether the kernel can show where in it the model looks. */
  explains: boolean;
  width: number;
  height: number;
  mime: string;
}

export type Buffer = DataView | ArrayBuffer | Uint8Array;

// biome-ignore lint/suspicious/noExplicitAny: hosts type their event callbacks loosely
export type Listener = (...values: any[]) => void;

/** The part of the anywidget model that we use; the static report implements it without a kernel. */
export interface Model {
  get<K extends keyof Traits>(name: K): Traits[K];
  set<K extends keyof Traits>(name: K, value: Traits[K]): void;
  save_changes(): void;
  on(event: string, listener: Listener): void;
  off(event: string, listener: Listener): void;
  send(content: unknown): void;
}
