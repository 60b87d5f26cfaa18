import { AsyncLocalStorage } from "node:async_hooks";
import { retryable } from "./errors.ts";

/**
 * How much time a request has left, known to whatever is called while it is answered. The gateway says it with
 * `x-budget-ms`; events and workers have none.
 */
export interface Budgets {
  /** Runs `work` with this much time; undefined is no bound. */
  within<T>(budgetMs: number | undefined, work: () => T): T;
  /** Runs what outlives the request that starts it, such as a nudged relay. */
  outside<T>(work: () => T): T;
  /** What is left in ms, at least 1; undefined where there is no bound. Throws TIMEOUT, retryable, when it is spent. */
  leftMs(): number | undefined;
}

export function createBudgets(): Budgets {
  const deadlines = new AsyncLocalStorage<number | undefined>();
  return {
    within: (budgetMs, work) => deadlines.run(budgetMs === undefined ? undefined : performance.now() + budgetMs, work),
    outside: (work) => deadlines.run(undefined, work),
    leftMs() {
      const deadlineMs = deadlines.getStore();
      if (deadlineMs === undefined) return undefined;
      const leftMs = Math.floor(deadlineMs - performance.now());
      if (leftMs < 1) throw spent();
      return leftMs;
    },
  };
}

function spent(): Error {
  return retryable("TIMEOUT", "The time for this was over before it was done; try again.", 1_000);
}

/** The budget that a request's `x-budget-ms` header gives; undefined without one. What is no number counts as none left. */
export function budgetOf(header: string | string[] | undefined): number | undefined {
  if (header === undefined) return undefined;
  const budgetMs = Number(header);
  return Number.isFinite(budgetMs) ? budgetMs : 0;
}
