import type { Asking } from "./asking";

export interface PoolRequests {
  search(phrase: string): Promise<unknown>;
  /** Null rejects. */
  decide(split: string, rows: number[], className: string | null): Promise<unknown>;
  undo(): Promise<unknown>;
  add(): Promise<unknown>;
  retrain(objective: string): Promise<unknown>;
}

export function poolRequests({ ask }: Asking): PoolRequests {
  return {
    search: (phrase) => ask("pool_search", { phrase }, "pool"),
    decide: (split, rows, class_name) => ask("pool_decide", { split, rows, class_name }),
    undo: () => ask("pool_undo"),
    add: () => ask("pool_add"),
    retrain: (objective) => ask("retrain", { objective }),
  };
}
