import { randomInt } from "node:crypto";
import { Client } from "pg";
import { connectionSettings } from "./database.ts";
import type { Database } from "./database.ts";
import type { Logger } from "./logger.ts";
import type { Worker } from "./worker.ts";

/** Shows the other replicas, and the next run of this one, that what it has taken up is being done. */
export interface Presence extends Worker {
  /** The number that this process holds the lock of; null while it cannot. */
  number(): number | null;
}

const retryMs = 1_000;

/**
 * Holds the advisory lock (`lockSpace`, number) on a connection of its own, which the database gives up at the moment the
 * process ends. Who is there is seen in pg_locks: classid is the lock space, objid the number.
 */
export function createPresence(options: { db: Database; service: string; lockSpace: number; log: Logger }): Presence {
  const { db, service, lockSpace, log } = options;
  let held: { client: Client; number: number } | undefined;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let beginning: Promise<void> = Promise.resolve();

  async function hold(): Promise<void> {
    const client = new Client(connectionSettings({ url: db.url, applicationName: `${service} presence` }));
    let failed = false;
    function fail(error: Error): void {
      // A session that the server ends says so twice.
      if (failed) return;
      failed = true;
      held = undefined;
      log.warn(
        { error: error.message },
        "the presence cannot be shown; what is taken up ends by time, or is taken over",
      );
      client.end().catch(() => {});
      if (!stopped) again();
    }
    client.on("error", fail);
    try {
      await client.connect();
      // A new number each time: a session that the server still takes for alive keeps the former one.
      const number = randomInt(1, 2 ** 31 - 1);
      await client.query("SELECT pg_advisory_lock($1, $2)", [lockSpace, number]);
      if (!failed) held = { client, number };
    } catch (error) {
      fail(error as Error);
    }
  }

  function again(): void {
    clearTimeout(timer);
    timer = setTimeout(() => {
      beginning = hold();
    }, retryMs);
  }

  return {
    start() {
      beginning = hold();
    },
    number: () => held?.number ?? null,
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await beginning;
      await held?.client.end();
    },
  };
}
