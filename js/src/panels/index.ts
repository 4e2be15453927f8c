// The panels that the widget loads when one is opened. They import nothing of the widget but types: it hands
// them what they share.

export { attributesPanel as attributes } from "./attributes";
export { finetuningPanel as finetuning } from "./finetuning";
export { poolPanel as pool } from "./pool";
