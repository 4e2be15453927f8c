// What the widget loads when it is first wanted: panels and parts that few people open. They import nothing of the
// widget but types: it hands them what they share.

export { attributesPanel as attributes } from "./attributes";
export { finetuningPanel as finetuning } from "./finetuning";
export { lookingBar } from "./looking";
export { phraseComparison } from "./phrase-comparison";
export { poolPanel as pool } from "./pool";
