import { setTimeout as sleep } from "node:timers/promises";
import { Problem } from "@crowdcrunch/kit/program";

const lookEveryMs = 150;
const patienceMs = 45_000;

/** Something that the shop owes its shopper did not come in time. */
export class TooLate extends Problem {
  override name = "TooLate";
}

/** Looks until there is something to be seen. Throws TooLate, which says what did not come. */
export async function until<Seen>(what: string, look: () => Promise<Seen | undefined>): Promise<Seen> {
  const giveUpAt = performance.now() + patienceMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (performance.now() > giveUpAt) throw new TooLate(`${what} did not come within ${patienceMs / 1000} s.`);
    await sleep(lookEveryMs);
  }
}
