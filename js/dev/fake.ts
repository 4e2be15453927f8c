// A model that behaves as the kernel does, over drawn squares and ovals or over photographs. For looking at the
// widget and for its tests; not shipped.

import type {
  Annotation,
  Comparison,
  Expected,
  Finetuning,
  Listener,
  Marks,
  Model,
  PhraseComparison,
  Pool,
  Score,
  Sides,
  Status,
  Suggestions,
  Traits,
  Tried,
} from "../src/model";

export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export interface FakeImage {
  row: number;
  className: string;
  predicted: string;
  /** What a phrase is compared with, in 0..1. */
  traits: Record<string, number>;
  picture: string;
}

export interface FakeData {
  name: string;
  encoder: string;
  images: FakeImage[];
}

/** Squares are mostly blue and ovals mostly red; the model goes by colour. */
export function sprites(count = 240): FakeData {
  const rand = random(7);
  const images: FakeImage[] = [];
  for (let row = 0; row < count; row++) {
    const square = row % 2 === 0;
    const usual = rand() < 0.8;
    const red = square ? !usual : usual;
    const confused = rand() < (usual ? 0.03 : 0.88);
    const className = square ? "square" : "oval";
    const predicted = confused ? (square ? "oval" : "square") : className;
    const size = 14 + rand() * 22;
    const x = 18 + rand() * 28;
    const y = 18 + rand() * 28;
    const hue = red ? 350 + rand() * 20 : 200 + rand() * 30;
    const fill = `hsl(${hue} 70% 52%)`;
    const shape = square
      ? `<rect x="${x - size / 2}" y="${y - size / 2}" width="${size}" height="${size}" fill="${fill}" transform="rotate(${rand() * 90} ${x} ${y})"/>`
      : `<ellipse cx="${x}" cy="${y}" rx="${size / 2}" ry="${size / 3}" fill="${fill}" transform="rotate(${rand() * 180} ${x} ${y})"/>`;
    images.push({
      row,
      className,
      predicted,
      traits: { red: red ? 1 : 0, blue: red ? 0 : 1, small: size < 22 ? 1 : 0 },
      picture: `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="320" height="320"><rect width="64" height="64" fill="#0c0c0e"/>${shape}</svg>`,
    });
  }
  return { name: "Sprites", encoder: "demo encoder", images };
}

function ksScore(wrong: number[], right: number[]): { score: number; threshold: number; direction: 1 | -1 } {
  const values = [...new Set([...wrong, ...right])].sort((a, b) => a - b);
  let best = { score: 0, threshold: values[0] ?? 0, direction: 1 as 1 | -1 };
  for (let i = 0; i + 1 < values.length; i++) {
    const threshold = ((values[i] as number) + (values[i + 1] as number)) / 2;
    const share = (list: number[]) => list.filter((v) => v > threshold).length / (list.length || 1);
    const gap = share(wrong) - share(right);
    if (Math.abs(gap) > best.score) best = { score: Math.abs(gap), threshold, direction: gap >= 0 ? 1 : -1 };
  }
  return best;
}

interface Request {
  id: string;
  type: string;
  class_name: string;
  phrase: string;
  threshold: number;
  objective: string;
  split: string;
  index: number;
  indices: number[];
  instead_of?: string[];
  on: boolean;
  number: number;
  first: string;
  second: string;
  has: boolean | null;
  rows: number[];
  about: string;
}

/** Unlabelled images, where a test or the page wants some. */
export const POOL: Pool = {
  name: "unlabelled",
  size: 240,
  split: "pool 1",
  has_images: true,
  phrase: "",
  rows: [],
  similarities: [],
  accepted: [],
  rejected: 0,
  waiting: 0,
  added: 0,
  undo: "",
};

/** While nothing runs. */
export const FINETUNING: Finetuning = {
  state: "ready",
  message: "",
  error: "",
  unavailable: "",
  run_id: "",
  epoch: null,
  epochs: null,
  loss: null,
  fraction: null,
  seconds_left: null,
  judged_by: "",
  before: null,
  curve: [],
};

const NO_MARKS: Marks = { has: [], has_not: [] };

/** What a retraining might look like after some of ten steps. */
const curveTo = (step: number): Status["curve"] =>
  Array.from({ length: step }, (_, i) => [
    i + 1,
    0.62 / (i + 1),
    0.81 + 0.12 * (1 - 1 / (i + 1)),
    0.115 + 0.69 * (1 - 1 / (i + 1) ** 2),
  ]);

const READY: Status = {
  state: "ready",
  message: "",
  fraction: null,
  loss: null,
  seconds_left: null,
  curve: [],
  run_id: null,
};

export class FakeKernel implements Model {
  readonly requests: Request[] = [];
  readonly saves: Partial<Traits>[] = [];
  /** Milliseconds before an answer; negative: never. */
  delay = 10;
  /** The step of a retraining at which it stays. */
  holdAt = Number.POSITIVE_INFINITY;
  private readonly traits: Traits;
  private readonly listeners = new Map<string, Set<Listener>>();
  private readonly histories = new Map<string, Tried[]>();
  /** Of what is shown, packed. */
  /** Similarities, members and confidences, as they were sent last. */
  examples: DataView[] = [];
  private membersSent = "";
  private sets = 0;
  private dirty: Partial<Traits> = {};
  private runs = 0;
  private cancelled = false;

  constructor(
    readonly data: FakeData,
    start: Partial<Traits> = {},
  ) {
    this.traits = {
      dataset_name: data.name,
      encoder_name: data.encoder,
      classes: [],
      class_name: "",
      phrase: "",
      threshold: null,
      objective: "slice_balanced",
      objectives: [
        { value: "slice_balanced", label: "Slice-balanced" },
        { value: "worst_slice", label: "Worst slice" },
        { value: "class_balanced", label: "Class-balanced" },
        { value: "erm", label: "ERM" },
      ],
      theme: "auto",
      examples_key: "",
      glance: null,
      selected: [],
      score: null,
      history: [],
      annotations: [],
      status: READY,
      comparison: null,
      error: null,
      notes: [],
      can_undo: "",
      can_redo: "",
      models: [],
      sides: null,
      saved: null,
      suggestions: { state: "none", noise_line: null, sentence: "", phrases: [] },
      marks: NO_MARKS,
      attributes: null,
      pool: null,
      finetuning: FINETUNING,
      finetuning_result: null,
    };
    this.traits.classes = this.classes();
    Object.assign(this.traits, start);
  }

  get<K extends keyof Traits>(name: K): Traits[K] {
    return this.traits[name];
  }

  set<K extends keyof Traits>(name: K, value: Traits[K]): void {
    this.dirty[name] = value;
    this.update({ [name]: value } as Partial<Traits>);
  }

  save_changes(): void {
    this.saves.push(this.dirty);
    this.dirty = {};
  }

  on(event: string, listener: Listener): void {
    this.listeners.set(event, (this.listeners.get(event) ?? new Set()).add(listener));
  }

  off(event: string, listener: Listener): void {
    this.listeners.get(event)?.delete(listener);
  }

  listenerCount(): number {
    return [...this.listeners.values()].reduce((sum, set) => sum + set.size, 0);
  }

  send(content: unknown): void {
    const request = content as Request;
    this.requests.push(request);
    if (this.delay >= 0) setTimeout(() => this.receive(request), this.delay);
  }

  /** As one message of the kernel: all values first, then one event each. */
  update(change: Partial<Traits>): void {
    const before = { ...this.traits };
    Object.assign(this.traits, change);
    for (const name of Object.keys(change) as (keyof Traits)[]) {
      if (before[name] !== this.traits[name]) this.emit(`change:${name}`, this.traits[name]);
    }
  }

  /** Hands a message to whoever listens. */
  deliver(content: unknown, buffers: DataView[] = []): void {
    this.emit("msg:custom", content, buffers);
  }

  emit(event: string, ...values: unknown[]): void {
    for (const listener of [...(this.listeners.get(event) ?? [])]) listener(...values);
  }

  private reply(id: string, result: unknown, buffers: DataView[] = []): void {
    this.deliver({ id, ok: true, result }, buffers);
  }

  private fail(id: string, type: string, message: string): void {
    this.deliver({ id, ok: false, error: { type, message } });
  }

  private classes(): Traits["classes"] {
    const names = [...new Set(this.data.images.map(({ className }) => className))];
    const annotated = new Set((this.traits?.annotations ?? []).map(({ class_name }) => class_name));
    return names
      .map((name) => {
        const members = this.data.images.filter(({ className }) => className === name);
        const wrong = members.filter(({ predicted }) => predicted !== name).length;
        return {
          name,
          size: members.length,
          wrong,
          error_rate: wrong / members.length,
          annotated: annotated.has(name),
        };
      })
      .sort((a, b) => b.error_rate - a.error_rate);
  }

  /** How sure the model is of what it predicts: less so where it is wrong. */
  private confidence(image: FakeImage): number {
    const spread = random(image.row * 31 + 5)();
    return Math.fround(image.predicted === image.className ? 1 - 0.4 * spread : 0.9 - 0.4 * spread);
  }

  /** What comes with another class: it is no longer sent while the class stays. */
  private ofClass(className: string): Partial<Traits> {
    if (className === this.traits.class_name) return {};
    return { selected: [] };
  }

  private similarity(image: FakeImage, phrase: string): number {
    const noise = random(image.row * 7919 + phrase.length * 31 + phrase.charCodeAt(0))();
    const trait = image.traits[phrase.toLowerCase()];
    return Math.fround(0.16 + 0.05 * (noise + random(image.row + phrase.length)()) + 0.055 * (trait ?? 0.4));
  }

  private sendExamples(className: string, phrase: string): string {
    const members = this.data.images.filter((image) => image.className === className);
    const floats = (numbers: number[]) => new DataView(Float32Array.from(numbers).buffer);
    const similarities = floats(phrase ? members.map((image) => this.similarity(image, phrase)) : []);
    const confidences = floats(members.map((image) => this.confidence(image)));
    this.examples = [similarities, this.packed(members), confidences];
    const key = `examples ${++this.sets}`;
    const again = this.membersSent === className;
    this.membersSent = className;
    const buffers = again ? [similarities] : this.examples;
    this.deliver({ type: "examples", key, members: className }, buffers);
    return key;
  }

  private packed(members: FakeImage[]): DataView {
    const n = members.length;
    const bytes = new ArrayBuffer(5 * n);
    new Int32Array(bytes, 0, n).set(members.map(({ row }) => row));
    new Uint8Array(bytes, 4 * n, n).set(members.map((i) => (i.predicted === i.className ? 1 : 0)));
    return new DataView(bytes);
  }

  private scoreOf(className: string, phrase: string): Score {
    const members = this.data.images.filter((image) => image.className === className);
    const wrong = members.filter(({ predicted }) => predicted !== className);
    const right = members.filter(({ predicted }) => predicted === className);
    const of = (list: FakeImage[]) => list.map((image) => this.similarity(image, phrase));
    const found = ksScore(of(wrong), of(right));
    const known = phrase.toLowerCase() in (members[0]?.traits ?? {});
    return {
      class_name: className,
      phrase,
      ...found,
      p_value: Math.min(1, Math.exp(-2 * wrong.length * found.score ** 2)),
      wrong: wrong.length,
      correct: right.length,
      unknown_words: phrase === "velvet" ? ["velvet"] : [],
      left_out: Number(/sharpened by (\d+)$/.exec(phrase)?.[1] ?? 0),
      sentence: `Error Score ${found.score.toFixed(2)} for "${phrase}"${known ? "" : "."}`,
      warning: phrase === "velvet" ? "The demo encoder does not know “velvet”; load a CLIP model." : null,
    };
  }

  /** Says of every phrase of the class that is shown what retraining with it would give. */
  preview(): void {
    const tried = this.histories.get(this.traits.class_name) ?? [];
    this.histories.set(
      this.traits.class_name,
      tried.map((one) => ({ ...one, expected: expectedOf(one) })),
    );
    this.update({ history: this.history(this.traits.class_name), sides: this.sides() });
  }

  private sides(): Sides | null {
    const { class_name, phrase, threshold } = this.traits;
    if (!phrase || threshold === null) return null;
    const grid = Array.from({ length: 257 }, (_, i) => Math.round((1000 * i) / 256));
    return {
      class_name,
      phrase,
      threshold,
      train: [988, 12],
      val: [40, 12],
      low: threshold - 0.05,
      high: threshold + 0.05,
      at_or_below: grid,
      warnings: [
        `Only 12 training images are with “${phrase}”: in retraining each would count 82 times as much as one without it.`,
      ],
    };
  }

  private history(className: string): Tried[] {
    const tried = this.histories.get(className) ?? [];
    const best = Math.max(...tried.map(({ score }) => score));
    const kept = this.traits.annotations
      .filter((a) => a.class_name === className)
      .map(({ phrase }) => phrase);
    return tried.map((one) => ({ ...one, best: one.score === best, kept: kept.includes(one.phrase) }));
  }

  private receive(request: Request): void {
    const { id, type, class_name, phrase } = request;
    if (type === "hello" || type === "typing") this.reply(id, {});
    else if (type === "examples")
      this.reply(id, { key: this.traits.examples_key, members: this.membersSent }, this.examples);
    else if (type === "select_class") {
      this.update({
        class_name,
        phrase: "",
        threshold: null,
        score: null,
        sides: null,
        examples_key: this.sendExamples(class_name, ""),
        ...this.ofClass(class_name),
        history: this.history(class_name),
        suggestions: this.suggestionsFor(class_name),
        marks: NO_MARKS,
      });
      this.reply(id, {});
    } else if (type === "score") this.score(request);
    else if (type === "suggest") {
      this.update({ suggestions: this.suggestionsFor(class_name, 400) });
      this.reply(id, {});
    } else if (type === "mark") this.mark(request);
    else if (type === "sharpen") {
      const { has, has_not } = this.marks(phrase);
      this.score({ ...request, phrase: `${wordsOf(phrase)}, sharpened by ${has.length + has_not.length}` });
    } else if (type === "compare_phrases") this.comparePhrases(request);
    else if (type === "keep") this.keep(request);
    else if (type === "remove") {
      const annotations = this.traits.annotations.filter(
        (a) => a.class_name !== class_name || a.phrase !== phrase,
      );
      this.setAnnotations(annotations, `remove “${phrase}”`);
      this.reply(id, {});
    } else if (type === "switch") {
      const annotations = this.traits.annotations.map((a) =>
        a.class_name === class_name && a.phrase === phrase
          ? { ...a, active: request.on, used: request.on }
          : a,
      );
      this.setAnnotations(annotations, `switch “${phrase}”`);
      this.reply(id, {});
    } else if (type === "use_model") {
      const models = this.traits.models.map((m) => ({ ...m, in_use: m.number === request.number }));
      this.update({ models });
      this.reply(id, {});
    } else if (type === "redo") {
      this.update({ can_redo: "" });
      this.reply(id, { redone: "keep" });
    } else if (type === "undo") {
      this.setAnnotations(this.traits.annotations.slice(0, -1), "");
      this.reply(id, { undone: "keep" });
    } else if (type === "retrain") this.retrain(request);
    else if (type === "finetune") this.finetune(request);
    else if (type === "cancel") {
      this.cancelled = true;
      this.reply(id, {});
    } else if (type === "pool_search") this.searchPool(request);
    else if (type === "pool_decide") this.decide(request);
    else if (type === "pool_undo") {
      this.decisions.pop();
      this.showPool();
      this.reply(id, {});
    } else if (type === "pool_add") {
      this.added = this.decided().size;
      this.showPool();
      this.reply(id, {});
    } else if (type === "thumbnails") this.thumbnails(request);
    else if (type === "original") this.original(request);
    else if (type === "explanation") this.explanation(request);
    else this.fail(id, "RequestError", `Unknown request "${type}".`);
  }

  private readonly decisions: { rows: number[]; className: string | null }[] = [];
  private added = 0;

  private searchPool({ id, phrase }: Request): void {
    if (phrase === "velvet") this.fail(id, "PhraseError", "The encoder does not know “velvet”.");
    else {
      this.showPool(phrase.trim());
      this.reply(id, {});
    }
  }

  private decide({ id, rows, class_name }: Request): void {
    this.decisions.push({ rows, className: class_name });
    this.showPool();
    this.reply(id, {});
  }

  private decided(): Map<number, string | null> {
    return new Map(this.decisions.flatMap(({ rows, className }) => rows.map((row) => [row, className])));
  }

  private showPool(phrase = this.traits.pool?.phrase ?? ""): void {
    const decided = this.decided();
    const hits = this.data.images
      .map((image) => ({ row: image.row, similarity: this.similarity(image, phrase) }))
      .filter(({ row }) => !decided.has(row))
      .sort((a, b) => b.similarity - a.similarity)
      .slice(0, 120);
    const accepted = new Map<string, number>();
    for (const name of decided.values()) if (name) accepted.set(name, (accepted.get(name) ?? 0) + 1);
    const all = [...accepted.values()].reduce((sum, n) => sum + n, 0);
    const pool: Pool = {
      ...(this.traits.pool ?? POOL),
      phrase,
      rows: phrase ? hits.map(({ row }) => row) : [],
      similarities: phrase ? hits.map(({ similarity }) => similarity) : [],
      accepted: [...accepted],
      rejected: decided.size - all,
      waiting: Math.max(0, all - this.added),
      added: this.added,
      undo: this.decisions.length ? "the last decision" : "",
    };
    this.update({ pool });
  }

  private readonly marksOf = new Map<string, Map<number, boolean>>();

  private marks(phrase: string): Marks {
    const marks = [...(this.marksOf.get(wordsOf(phrase)) ?? [])];
    const rows = (wanted: boolean) => marks.filter(([, has]) => has === wanted).map(([row]) => row);
    return { has: rows(true), has_not: rows(false) };
  }

  private mark({ id, phrase, indices, has }: Request): void {
    const marks = this.marksOf.get(wordsOf(phrase)) ?? new Map<number, boolean>();
    this.marksOf.set(wordsOf(phrase), marks);
    for (const row of indices) {
      if (has === null) marks.delete(row);
      else marks.set(row, has);
    }
    this.update({ marks: this.marks(this.traits.phrase) });
    this.reply(id, {});
  }

  private suggestionsFor(className: string, most = 300): Suggestions {
    const members = this.data.images.filter((image) => image.className === className);
    const sentence = "By chance the best of 300 meaningless phrases passes 0.43 one time in twenty.";
    if (members.length > most) return { state: "ask", noise_line: null, sentence: "", phrases: [] };
    const words = [...Object.keys(members[0]?.traits ?? {}), "dark", "wood background", "at the left"];
    const phrases = words
      .map((phrase) => this.scoreOf(className, phrase))
      .filter(({ direction }) => direction === 1)
      .map(({ phrase, score }) => ({ phrase, score, above_noise: score > 0.43 }))
      .sort((a, b) => b.score - a.score);
    return { state: "ready", noise_line: 0.43, sentence, phrases };
  }

  private comparePhrases({ id, class_name, first, second }: Request): void {
    const members = this.data.images.filter((image) => image.className === class_name);
    const [one, other] = [first, second].map((phrase) => this.scoreOf(class_name, phrase)) as [Score, Score];
    const has = (image: FakeImage, { phrase, threshold }: Score) =>
      this.similarity(image, phrase) > threshold;
    const cells = [
      [true, true],
      [true, false],
      [false, true],
      [false, false],
    ].map(([a, b]) => {
      const inside = members.filter((image) => has(image, one) === a && has(image, other) === b);
      const right = inside.filter(({ predicted }) => predicted === class_name).length;
      const name = `${a ? "with" : "without"} “${first}”, ${b ? "with" : "without"} “${second}”`;
      return { name, size: inside.length, accuracy: inside.length ? right / inside.length : null };
    });
    const agreement = ((cells[0]?.size ?? 0) + (cells[3]?.size ?? 0)) / members.length;
    const result: PhraseComparison = {
      first: { phrase: first, score: one.score },
      second: { phrase: second, score: other.score },
      cells,
      agreement,
      correlation: 2 * agreement - 1,
      sentence: `“${first}” and “${second}” agree on ${agreement}.`,
    };
    this.reply(id, result);
  }

  private setAnnotations(annotations: Annotation[], undo: string): void {
    this.update({ annotations, can_undo: undo });
    this.update({ classes: this.classes(), history: this.history(this.traits.class_name) });
  }

  private score({ id, class_name, phrase, instead_of }: Request): void {
    const text = phrase.trim();
    if (!text || text.length > 300) {
      const message = text
        ? `The phrase has ${text.length} characters; at most 300 are allowed. Shorten it to a few words.`
        : "The phrase is empty. Type a word or two that the wrong images share, for example “red”.";
      this.fail(id, "PhraseError", message);
      return;
    }
    const score = this.scoreOf(class_name, text);
    const gone = [text, ...(instead_of ?? [])];
    const tried = (this.histories.get(class_name) ?? []).filter((one) => !gone.includes(one.phrase));
    const accuracies = this.accuraciesOf(class_name, score);
    this.histories.set(class_name, [
      { ...score, best: false, kept: false, expected: null, accuracies },
      ...tried,
    ]);
    this.update({
      class_name,
      phrase: text,
      threshold: score.threshold,
      score,
      examples_key: this.sendExamples(class_name, text),
      ...this.ofClass(class_name),
      history: this.history(class_name),
      suggestions: this.suggestionsFor(class_name),
      marks: this.marks(text),
    });
    this.reply(id, {});
  }

  private accuraciesOf(className: string, { phrase, threshold }: Score): [number | null, number | null] {
    const members = this.data.images.filter((image) => image.className === className);
    const share = (wanted: boolean) => {
      const side = members.filter((image) => this.similarity(image, phrase) > threshold === wanted);
      const right = side.filter(({ predicted }) => predicted === className).length;
      return side.length ? right / side.length : null;
    };
    return [share(false), share(true)];
  }

  private keep({ id, class_name, phrase, threshold }: Request): void {
    const others = this.traits.annotations.filter((a) => a.class_name !== class_name || a.phrase !== phrase);
    const score = this.scoreOf(class_name, phrase).score;
    const kept = { class_name, phrase, threshold, score, active: true, used: true };
    this.setAnnotations([...others, kept], `keep “${phrase}”`);
    this.reply(id, {});
  }

  /** Progress without an end, so that it can be looked at; `finish` ends it. */
  private retrain({ id, objective }: Request): void {
    const run_id = ++this.runs;
    this.cancelled = false;
    this.reply(id, { run_id });
    let step = 0;
    const tick = () => {
      if (this.cancelled) {
        this.update({ status: { ...READY, message: "Cancelled" } });
        return;
      }
      step++;
      const status: Status = {
        state: "retraining",
        message: "",
        fraction: step / 10,
        loss: 0.62 / step,
        seconds_left: 0.12 * (10 - step) + 2,
        curve: curveTo(step),
        run_id,
      };
      this.update({ status });
      if (step >= this.holdAt) return;
      if (step < 10) setTimeout(tick, 120);
      else
        this.update({
          status: READY,
          comparison: comparisonOf(this.data, objective),
          can_undo: "retrain",
          models: [
            ...this.traits.models.map((model) => ({ ...model, in_use: false })),
            {
              number: this.traits.models.length + 1,
              objective,
              phrases: this.traits.annotations.map(({ phrase }) => phrase),
              worst: [0.115, 0.802],
              average: [0.809, 0.931],
              curve: curveTo(10),
              in_use: true,
            },
          ],
        });
    };
    tick();
  }

  private finetune({ id }: Request): void {
    const run_id = `run ${++this.runs}`;
    this.cancelled = false;
    this.reply(id, { run_id });
    const running: Finetuning = { ...FINETUNING, state: "running", run_id, judged_by: "group" };
    this.update({ finetuning: { ...running, message: "Running the image tower over train", fraction: 0.5 } });
    const before: Finetuning["before"] = [0.81, 0.115];
    let epoch = 0;
    const tick = () => {
      if (this.cancelled) {
        this.update({ finetuning: { ...FINETUNING, run_id, message: "Cancelled" } });
        return;
      }
      epoch++;
      const curve = curveTo(epoch - 1);
      const step = { epoch, epochs: 10, loss: 0.62 / epoch, fraction: epoch / 10, seconds_left: 10 - epoch };
      this.update({ finetuning: { ...running, ...step, before, curve } });
      if (epoch >= this.holdAt) return;
      if (epoch < 10) setTimeout(tick, 120);
      else
        this.update({
          finetuning: { ...FINETUNING, run_id },
          finetuning_result: {
            phrases: this.traits.annotations.map(({ phrase }) => phrase),
            kept_epoch: "Epoch 7 of 10 had the best worst group on validation.",
            comparison: comparisonOf(this.data, "L_CLIP + L_vc + L_lc + 100 L_ls (released)"),
            before,
            curve: curveTo(10),
          },
        });
    };
    setTimeout(tick, 120);
  }

  private thumbnails({ id, indices }: Request): void {
    const items = indices.map((index) => this.describe(index));
    this.reply(
      id,
      { items },
      indices.map((index) => this.picture(index)),
    );
  }

  private original({ id, index }: Request): void {
    const { name, label, predicted, correct, mime } = this.describe(index);
    const confidence = this.confidence(this.data.images[index] as FakeImage);
    const path = `/data/${name}`;
    const known = { name, label, predicted, correct, confidence, path, explains: this.explains };
    this.reply(id, { ...known, width: 320, height: 320, mime }, [this.picture(index)]);
  }

  /** Whether the encoder's layers are known. */
  explains = true;

  private explanation({ id, index, about }: Request): void {
    if (about === "red") this.fail(id, "EncoderError", "The encoder has no layers.");
    else this.reply(id, { target: `logit of ${about}`, mime: "image/jpeg" }, [this.picture(index)]);
  }

  private describe(index: number) {
    const image = this.data.images[index] as FakeImage;
    return {
      index,
      name: `val/${image.className}/${String(index).padStart(5, "0")}.png`,
      label: image.className,
      predicted: image.predicted,
      correct: image.predicted === image.className,
      readable: index !== 13,
      mime: image.picture.startsWith("<svg") ? "image/svg+xml" : "image/jpeg",
    };
  }

  private picture(index: number): DataView {
    const { picture } = this.data.images[index] as FakeImage;
    if (index === 13) return new DataView(new ArrayBuffer(0));
    const bytes = picture.startsWith("<svg")
      ? new TextEncoder().encode(picture)
      : Uint8Array.from(atob(picture), (c) => c.charCodeAt(0));
    return new DataView(bytes.buffer);
  }
}

/** What a sharpened phrase began with. */
const wordsOf = (phrase: string) => phrase.replace(/, sharpened by \d+$/, "");

function expectedOf({ phrase, score, direction }: Tried): Expected {
  const before = phrase === "dark" ? 0.62 : 0.115;
  const after = before + (direction < 0 ? -0.07 : score > 0.4 ? 0.69 : 0.01);
  const within_noise = Math.abs(after - before) < 0.02;
  const sentence = `Retraining with “${phrase}”, on val: worst slice ${before} → ${after}.`;
  if (phrase !== "velvet") return { before, after, within_noise, sentence, reason: "" };
  const reason = "The demo encoder does not know “velvet”; load a CLIP model.";
  return { before: null, after: null, within_noise: false, sentence: reason, reason };
}

export function comparisonOf(data: FakeData, objective: string): Comparison {
  const [a = "square", b = "oval"] = [...new Set(data.images.map(({ className }) => className))];
  const trait = Object.keys(data.images[0]?.traits ?? {})[0] ?? "red";
  const row = (
    kind: Comparison["rows"][number]["kind"],
    name: string,
    size: number,
    before: number,
    after: number,
  ) => {
    const half = (p: number) => 1.96 * Math.sqrt((p * (1 - p)) / size + 0.0002);
    return {
      kind,
      name,
      size,
      before,
      before_low: Math.max(0, before - half(before)),
      before_high: Math.min(1, before + half(before)),
      after,
      after_low: Math.max(0, after - half(after)),
      after_high: Math.min(1, after + half(after)),
    };
  };
  const broken = data.images.filter((_, i) => i % 37 === 5).map(({ row: r }) => r);
  const fixed = data.images
    .filter(({ className, predicted }) => className !== predicted)
    .map(({ row: r }) => r);
  return {
    objective,
    split: "test",
    rows: [
      row("overall", "Average accuracy", 1000, 0.809, 0.931),
      row("worst", "Worst group", 96, 0.115, 0.802),
      row("slice", `${a} without “${trait}”`, 404, 0.985, 0.958),
      row("slice", `${a} with “${trait}”`, 96, 0.115, 0.802),
      row("group", `${b}, ${trait}`, 398, 0.977, 0.952),
      row("group", `${b}, other`, 102, 0.141, 0.843),
    ],
    fixed: fixed.length,
    broken: broken.length,
    fixed_indices: fixed.slice(0, 60),
    broken_indices: broken.slice(0, 60),
    p_value: 0.00001,
    sentence: "134 images fixed and 12 broken: very unlikely to be chance, p < .001.",
  };
}
