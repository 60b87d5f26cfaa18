import { setTimeout as sleep } from "node:timers/promises";

/** A client that asks on and on, and never again for what failed. */
export interface Asking {
  /** How many requests have been answered as they should. */
  answered(): number;
  /** Why requests failed, oldest first. */
  failed: string[];
  /** Resolves when the last requests have ended. */
  end(): Promise<void>;
}

/** Asks in each of the ways, one request after the other, with a pause of so many ms in between. */
export function keepAsking(pauseMs: number, ways: readonly (() => Promise<unknown>)[]): Asking {
  const failed: string[] = [];
  let [answered, ending] = [0, false];
  const all = ways.map(async (ask) => {
    while (!ending) {
      try {
        await ask();
        answered += 1;
      } catch (error) {
        failed.push((error as Error).message);
      }
      await sleep(pauseMs);
    }
  });
  return {
    answered: () => answered,
    failed,
    async end() {
      ending = true;
      await Promise.all(all);
    },
  };
}
