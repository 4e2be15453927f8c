// The panels that the widget loads when one is opened. They import nothing of the widget but types: it hands
// them what they share.

export { attributesPanel as attributes } from "./attributes";
export { poolPanel as pool } from "./pool";
