// How two phrases are joined into one that the kernel takes apart again.

export type Operator = "AND" | "OR" | "NOT";

const OPERATOR = /\b(AND|OR|NOT)\b/;

/** In a phrase that is all in capitals the kernel sees no operator, so one part must not be. */
export function join(first: string, operator: Operator, second: string): string {
  const [a, b] = [first, second].map((part) => (OPERATOR.test(part) ? `(${part})` : part));
  const joined = `${a} ${operator} ${b}`;
  return joined === joined.toUpperCase() ? `${a?.toLowerCase()} ${operator} ${b}` : joined;
}
