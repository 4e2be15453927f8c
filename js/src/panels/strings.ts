// Every word that the panels show, but for those that they share with the widget.

const count = (n: number): string => n.toLocaleString("en-US");
const wholePercent = (share: number): string => `${(100 * share).toFixed(0)}%`;

export const strings = {
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
