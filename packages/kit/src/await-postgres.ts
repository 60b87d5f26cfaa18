import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { Problem } from "./program.ts";

/**
 * Resolves once Postgres answers; it replays its log first where it was killed. Throws a Problem with `refused` where it
 * answers that the password is wrong, and the last error where it has not answered for `patienceMs`.
 */
export async function untilPostgresAnswers(options: {
  url: string;
  /** What to say to whoever gave the password. */
  refused: string;
  /** Default: as long as it takes. */
  patienceMs?: number;
  everyMs?: number;
  /** Is told each time why it does not answer yet. */
  waiting?: (reason: string) => void;
}): Promise<void> {
  const giveUpAt = performance.now() + (options.patienceMs ?? Infinity);
  for (;;) {
    const client = new Client({
      connectionString: options.url,
      application_name: "bootstrap",
      connectionTimeoutMillis: 10_000,
    });
    // Ended by the server while it starts up: the next round asks again.
    client.on("error", () => {});
    try {
      await client.connect();
      return await client.end();
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      if (code === "28P01") throw new Problem(options.refused);
      if (performance.now() > giveUpAt) throw error;
      options.waiting?.(message || String(code));
      await sleep(options.everyMs ?? 50);
    }
  }
}
