// Every word that the widget shows, in one place. Bundles take what they use of it.

const percent = (value: number | null): string =>
  value === null || Number.isNaN(value) ? "–" : `${(100 * value).toFixed(1)}%`;
const share = (value: number | null): string => (value === null ? "–" : value.toFixed(2));
const count = (n: number): string => n.toLocaleString("en-US");
const wholePercent = (share: number): string => `${(100 * share).toFixed(0)}%`;
const images = (n: number): string => (n === 1 ? "1 image" : `${count(n)} images`);

function pValue(p: number): string {
  if (p < 0.001) return "p < .001";
  const digits = p < 0.1 ? p.toFixed(3) : p.toFixed(2);
  return `p = ${digits.startsWith("0") ? digits.slice(1) : digits}`;
}

/** For reading; not for a number box. */
const similarity = (value: number): string => value.toFixed(3).replace("-", "−");

export const strings = {
  percent,
  images,
  similarity,

  widget: "Clarify: correct an image classifier in words",
  undo: "Undo",
  undoWhat: (what: string) => `Undo: ${what}`,
  redo: "Redo",
  redoWhat: (what: string) => `Redo: ${what}`,
  dismiss: "Dismiss",
  saved: (time: string, folder: string) => `Saved ${time} in ${folder}`,
  savedHelp: (folder: string, time: string) =>
    `Every change is saved in ${folder}, the last at ${time}. Session.load opens it again.`,
  notSaved: (reason: string) => `Not saved: ${reason}`,
  notSavedHelp: (folder: string, time: string, reason: string) =>
    `Since ${time} nothing could be saved in ${folder}: ${reason}. Nothing is lost while the kernel runs; the next change tries again.`,
  notes: (n: number) => (n === 1 ? "1 note" : `${n} notes`),

  classHeading: "Class",
  classHint: "Error rate on validation images, worst first",
  filterClasses: "Filter classes",
  noClassMatches: "No class has that in its name.",
  annotated: "annotated",
  classSummary: (wrong: number, size: number) => `${count(wrong)} of ${images(size)} wrong`,

  sentenceStart: "The AI is often wrong on images that have",
  sentenceEnd: "in it.",
  phraseLabel: "What do the wrong images share?",
  phrasePlaceholder: "a word or two",
  ofClass: (name: string) => `Looking at images of “${name}”.`,
  scoring: "Scoring…",

  errorScore: "Error Score",
  errorScoreHelp:
    "How well the phrase separates wrong from right images: 0 is not at all, 1 is perfectly. It is the largest gap, over all thresholds, between the shares of wrong and of right images above the threshold.",
  oftenStart: "The AI is often ",
  oftenWrong: "wrong",
  oftenRight: "right",
  oftenEnd: " on these",
  chance: (p: number | null): string => {
    if (p === null) return "Too few images to say whether this is chance";
    return p < 0.05 ? `Unlikely to be chance, ${pValue(p)}` : `Could well be chance, ${pValue(p)}`;
  },
  leftOut: (n: number): string => (n ? ` ${images(n)} that it was sharpened by left out.` : ""),
  unknownWords: (words: string[]) =>
    `The encoder does not know ${words.map((word) => `“${word}”`).join(", ")}: this score means little.`,
  noScore:
    "Complete the sentence to see how well a phrase separates wrong from right. “snow, not sand” sets one thing against another; “snow AND fog”, “snow OR ice”, “snow NOT sand”, in capitals, join phrases.",

  suggestionsHeading: "Worth a try",
  suggestionScore: (phrase: string, score: number) => `${phrase}, Error Score ${score.toFixed(2)}`,
  noiseLine: (line: number) => `Chance alone: ${line.toFixed(2)}`,
  noneAboveNoise: "No phrase does better than chance.",
  suggest: "Suggest phrases",
  suggesting: "Looking for phrases…",

  hasIt: "Marked: has it",
  hasItNot: "Marked: has it not",
  mapAlt: (target: string, image: string) => `Where the model looks, ${target}: ${image}`,
  markQuestion: (phrase: string) => `Does it have “${phrase}”?`,
  markHas: "+ Has it",
  markHasNot: "− Has it not",
  hasMark: "+ has",
  hasNotMark: "− lacks",
  markHint: "Misunderstood? Select images and say which have it and which have not (keys + and −).",
  marked: (has: number, hasNot: number) => `${has} marked “has it”, ${hasNot} “has it not”`,
  sharpen: "Sharpen",
  sharpenHelp: (phrase: string) =>
    `Turn “${phrase}” towards the images that have it. Its score then leaves the marked images out.`,
  forgetMarks: "Forget marks",

  compareWith: (phrase: string) => `Compare “${phrase}” with the phrase shown`,

  historyHeading: "Tried so far",
  newestFirst: "Newest first",
  bestFirst: "Best first",
  accuracies: (without: number | null, having: number | null) =>
    `right: ${share(without)} without, ${share(having)} with`,
  best: "best",
  kept: "kept",
  rightSide: "often right",
  expectedPending: "after: …",
  expectedPendingHelp: "What retraining with this phrase would give is being worked out.",
  expected: (before: number, after: number) =>
    `after: worst slice ${before.toFixed(2)} → ${after.toFixed(2)}`,
  expectedSpoken: (before: number, after: number, verdict: string) =>
    `Retraining with it would take the worst slice from ${before.toFixed(2)} to ${after.toFixed(2)}: ${verdict}.`,
  withinNoise: "within noise",
  better: (change: number) => `+${change.toFixed(2)} better`,
  worse: (change: number) => `−${Math.abs(change).toFixed(2)} worse`,
  noPreview: (reason: string) => `no preview: ${reason}`,
  keep: "Keep this phrase",
  keepAgain: "Keep new threshold",
  keptAlready: "Kept",

  annotationsHeading: "Kept corrections",
  annotationsEmpty: "Keep a phrase, then retrain with it.",
  remove: (phrase: string, className: string) => `Remove “${phrase}” from ${className}`,
  switchOn: (phrase: string, className: string) => `Retrain with “${phrase}” for ${className}`,
  notUsed: "not used",
  notUsedHelp: "Another kept phrase of this class has a higher Error Score; retraining uses that one.",
  off: "off",
  annotationTitle: (className: string, phrase: string, threshold: number) =>
    `${className}: “${phrase}” above ${similarity(threshold)}`,

  objective: "Objective",
  retrain: "Retrain",
  cancel: "Cancel",
  retraining: "Retraining",
  waitForRetraining: "The last layer is being retrained; wait until that has ended, or cancel it.",
  waitForFinetuning: "The encoder is being fine-tuned; wait until that has ended, or cancel it.",
  loss: (loss: number) => `loss ${loss.toPrecision(4)}`,
  secondsLeft: (seconds: number) => (seconds < 1 ? "under 1 s left" : `${Math.round(seconds)} s left`),
  curveWorst: "worst slice",
  curveAverage: "average",
  curveLoss: "loss",
  curveHeading: "On validation, while it trained",
  curveSpoken: (worst: string, first: number, last: number, average: number) =>
    `Validation accuracy of the ${worst} went from ${percent(first)} to ${percent(last)}; the average is now ${percent(average)}.`,

  modelsHeading: "Models",
  modelOriginal: "Original",
  modelOriginalHelp: "The model as it was before any retraining",
  modelNumber: (number: number) => `${count(number)}`,
  modelPhrases: (phrases: string[]) => phrases.map((phrase) => `“${phrase}”`).join(", "),
  modelWorst: "worst",
  modelChange: (before: number | null, after: number | null) => `${percent(before)} → ${percent(after)}`,
  modelSpoken: (number: number, objective: string, phrases: string[], change: string) =>
    `Model ${number}, ${objective}${phrases.length ? `, with ${phrases.join(", ")}` : ""}: worst ${change}`,

  comparisonHeading: "Before and after",
  comparisonCaption: (objective: string, split: string) =>
    `${objective}, on ${split} images, with 95% intervals`,
  before: "Before",
  after: "After",
  change: "Change",
  kinds: {
    overall: "Overall",
    worst: "Worst",
    slice: "Slices",
    group: "Groups",
    class: "Classes",
  } as const,
  interval: (low: number, high: number) => `95% interval ${percent(low)} to ${percent(high)}`,
  points: (change: number | null): string => {
    if (change === null) return "–";
    const sign = change > 0.0005 ? "+" : change < -0.0005 ? "−" : "±";
    return `${sign}${Math.abs(100 * change).toFixed(1)}`;
  },
  changedHeading: "What retraining changed",
  fixed: "Fixed",
  broken: "Broken",
  fixedSummary: (n: number) => `${images(n)}: wrong before, right now`,
  brokenSummary: (n: number) => `${images(n)}: right before, wrong now`,
  noneFixed: "No image became right.",
  noneBroken: "No image became wrong.",
  showAllRows: (n: number) => `Show all ${n}`,

  histogramHeading: "Similarity to the phrase",
  histogramOf: (phrase: string) => `Similarity to “${phrase}”`,
  histogramEmpty: "Complete the sentence to sort the images by how similar they are to your words.",
  legendRight: (n: number) => `right (${count(n)})`,
  legendWrong: (n: number) => `wrong (${count(n)})`,
  legendShare: "Share of each",
  thresholdLabel: "Threshold",
  thresholdSlider: "Similarity threshold: images above it have the phrase",
  thresholdText: (threshold: number, n: number, accuracy: number) =>
    `${similarity(threshold)}: ${images(n)} with the phrase, ${percent(accuracy)} right`,
  thresholdBest: "Reset to best",
  thresholdBestHelp: "Return to the threshold with the best Error Score",
  sideWithout: "without",
  sideWith: "with",

  sidesCaption: "Images on each side of the threshold",
  training: "Training",
  validation: "Validation",
  about: (n: number) => `about ${count(n)}`,
  count,

  right: "Right",
  wrong: "Wrong",
  withPhrase: (phrase: string) => `With “${phrase}”`,
  withoutPhrase: (phrase: string) => `Without “${phrase}”`,
  sideSummary: (n: number, accuracy: number) =>
    n === 0 ? "no images" : `${images(n)}, ${percent(accuracy)} right`,
  allRight: (n: number, accuracy: number) => `${images(n)}, accuracy ${percent(accuracy)}`,
  allWrong: (n: number) => images(n),
  order: (title: string) => `Order of ${title}`,
  orders: {
    "most-similar": "most similar first",
    "least-similar": "least similar first",
    "most-confident": "most confident first",
    "least-confident": "least confident first",
    index: "in the order of the data",
  } as const,
  selected: (n: number) => `${count(n)} selected`,
  clear: "Clear",
  selectHint: "Ctrl+click, Shift+click or X selects, Z enlarges, a click opens the original",
  zoomHint: "Z enlarges, a click opens the original",
  noImages: "No images on this side.",
  wrongMark: "wrong",
  unreadable: "cannot be read",
  notInReport: "not in this report",
  label: "Label",
  predicted: "Predicted",
  predictedBefore: "Predicted before",
  nowRight: "Right after retraining",
  nowWrong: "Wrong after retraining",
  similarityLabel: "Similarity",
  confidence: "Confidence",
  path: "Path",
  copyPath: "Copy the path",
  size: "Size",
  pixels: (width: number, height: number) => `${width} × ${height} px`,
  imageName: (index: number) => `image ${index}`,
  close: "Close",
  previous: "Previous image",
  next: "Next image",
  loadingOriginal: "Loading the original…",
  chooseClass: "Choose a class to see what the model gets right and wrong.",

  panels: {
    attributes: "Attributes that the model leans on",
    finetuning: "Fine-tune the encoder instead",
    pool: "Search unlabelled images for more training data",
  } as const,
  loadingPanel: "Loading…",

  timeout: (seconds: number) =>
    `The kernel has not answered for ${seconds} seconds. It may be busy or stopped; what you entered is still here.`,
  gone: "The connection to the kernel is gone. Run the cell again to go on; what you kept is saved.",
} as const;

/** Of what is loaded when it is first wanted, but for what that shares with the widget. */
export const panelStrings = {
  dismiss: "Dismiss",

  compared: {
    heading: (first: string, second: string) => `“${first}” beside “${second}”`,
    close: "Close the comparison",
    with: (phrase: string) => `with “${phrase}”`,
    without: "without",
    share: (accuracy: number | null) => (accuracy === null ? "–" : wholePercent(accuracy)),
    worst: "worst",
    cell: (accuracy: string, images: string) => `${accuracy} of ${images} right`,
    emptyCell: "no images",
    agreement: (share: number, correlation: number | null) =>
      `They agree on ${wholePercent(share)} of the images${
        correlation === null ? "" : `; correlation ${correlation.toFixed(2).replace("-", "−")}`
      }.`,
    join: "Join them",
    joinTry: (phrase: string) => `Score “${phrase}”`,
  },
  looking: {
    lookFor: "Where the model looks for",
    loading: "Looking…",
    mapOf: (target: string) => `Bright places speak for it: ${target}.`,
  },
  finetuning: {
    about:
      "Retraining corrects the last layer. This corrects the encoder instead: it trains the projections of images and texts until the kept phrases no longer speak for a class. That changes every similarity, so the result is a new session, and this one stays as it is.",
    uses: "It will use",
    usesNothing: "Keep a phrase first: it says what the encoder should no longer go by.",
    kept: (className: string, phrase: string) => `${className}: “${phrase}”`,
    start: "Fine-tune the encoder",
    again: "Fine-tune again",
    cancel: "Cancel",
    running: "Fine-tuning the encoder",
    epoch: (epoch: number, epochs: number, loss: number) =>
      `Epoch ${count(epoch)} of ${count(epochs)}, loss ${loss.toPrecision(3)}`,
    /** Of what the lowest accuracy is. */
    worst: { group: "worst group", slice: "worst slice", "": "worst" },
    before: (average: string, worst: string, worstName: string) =>
      `On validation before: average ${average}, ${worstName} ${worst}.`,
    done: (phrases: string[]) => `Fine-tuned against ${phrases.map((phrase) => `“${phrase}”`).join(", ")}.`,
    goOn: "Go on in the new session, where widget is what you called this one:",
    goOnCode: "cw.ClarifyWidget(widget.finetuned.session)",
    save: "Keep the encoder as a folder that open_clip opens:",
    saveCode: 'widget.finetuned.save("tuned")',
  },
  pool: {
    search: "Search",
    searchIn: (name: string, images: string) => `Search ${name} (${images}) for`,
    placeholder: "what the training data lacks",
    searchShown: (phrase: string) => `Search for “${phrase}”`,
    searching: "Searching…",
    start: "Search by phrase, then accept what shows a class and reject the rest.",
    found: (n: number, all: number, high: string, low: string) =>
      `The ${count(n)} most similar that are not decided yet, of ${count(all)}: similarity ${high} to ${low}.`,
    none: "Nothing is left to decide about.",
    above: (n: number, of: number, threshold: string) =>
      `${n === of ? "All" : count(n)} of them above the threshold ${threshold}.`,
    noImages: "This pool has rows and no images; open it with images= to see what is accepted.",
    hits: (phrase: string, n: number) => `Hits for “${phrase}”: ${count(n)}`,
    selected: (n: number) => `${count(n)} selected`,
    acceptAs: "Accept as",
    acceptClass: "Class to accept as",
    reject: "Reject",
    undo: "Undo",
    undoWhat: (what: string) => `Undo: ${what}`,
    hint: "A accepts and R rejects the image in focus, or all that are selected; U undoes. Ctrl+click, Shift+click, X or Ctrl+A selects; a click opens the original.",
    decided: (accepted: readonly (readonly [name: string, n: number])[], rejected: number) => {
      const kinds = accepted.map(([name, n]) => `${count(n)} as ${name}`);
      return `Accepted ${kinds.length ? kinds.join(", ") : "none"}; rejected ${count(rejected)}.`;
    },
    added: (n: number) => `${count(n)} added to the training data.`,
    add: (n: number) => `Add ${count(n)} to training data`,
    addNone: "Add to training data",
    retrain: "Retrain on both",
    retrainHelp: "Train the last layer again, on the training data of before and on what was added",
  },
  attributes: {
    none: (className: string) =>
      `No attribute was tested on ${className}: too few images have one, or lack it.`,
    caption: (className: string) => `Accuracy on ${className}, with each attribute and without it`,
    hint: "↑ ↓ go from row to row; H judges healthy, S spurious, Backspace undecided; Enter tries it as the phrase.",
    columns: {
      attribute: "Attribute",
      with: "With it",
      without: "Without",
      difference: "Difference",
      p_value: "Chance",
      confused_with: "Taken for",
    } as const,
    judgement: "Judgement",
    accuracy: (accuracy: string, size: number) => `${accuracy} of ${count(size)}`,
    difference: (points: string, low: string, high: string) => `${points} (${low}\u00a0to\u00a0${high})`,
    p: (p: number) => (p < 0.001 ? "p < .001" : `p = ${p.toFixed(3).replace(/^0/, "")}`),
    chance: "could\u00a0be\u00a0chance",
    healthy: "Healthy",
    healthyHelp: (attribute: string, className: string) => `“${attribute}” is part of ${className}`,
    spurious: "Spurious",
    spuriousHelp: (attribute: string, className: string) => `“${attribute}” only comes with ${className}`,
    use: "Use as phrase",
    useWhat: (attribute: string) => `Use “${attribute}” as the phrase`,
  },
} as const;
