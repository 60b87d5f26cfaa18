import { setTimeout as sleep } from "node:timers/promises";
import { Problem } from "../environment.ts";

const lookEveryMs = 150;
const patienceMs = 45_000;

/** Looks until there is something to be seen. Throws a Problem that says what did not come. */
export async function until<Seen>(what: string, look: () => Promise<Seen | undefined>): Promise<Seen> {
  const giveUpAt = performance.now() + patienceMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (performance.now() > giveUpAt) throw tooLate(what);
    await sleep(lookEveryMs);
  }
}

function tooLate(what: string): Problem {
  return new Problem(
    `${what} did not come within ${patienceMs / 1000} s. What stands in the way: make status, make logs, make parked.`,
  );
}
