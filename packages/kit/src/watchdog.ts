import { Client } from "pg";
import type { EventConsumer } from "./consumer.ts";
import { connectionSettings } from "./database.ts";
import { messageOf } from "./errors.ts";
import type { EventLog } from "./eventlog.ts";
import type { Logger } from "./logger.ts";
import type { Worker } from "./worker.ts";

/** It looks so many times before it takes a consumer for stuck: a process that was itself suspended has missed but one. */
const looks = 6;

export interface WatchdogOptions {
  group: string;
  consumer: Pick<EventConsumer, "topics" | "lastProgressMs" | "hasGivenUp">;
  eventLog: Pick<EventLog, "lag">;
  databaseUrl: string;
  log: Logger;
  /** Ends the process, for its supervisor to start it again. */
  exit: () => void;
  /** How long a consumer may make no progress. Default 60 s. */
  stallMs?: number;
}

/**
 * Ends a process whose consumer is stuck: it makes no progress although there are events for it and both the event log and
 * the database answer. One that tries again, waits for either of them, or has given up for a person to decide is not stuck.
 */
export function createWatchdog(options: WatchdogOptions): Worker {
  const { group, consumer, eventLog, log, stallMs = 60_000 } = options;
  let progressMs = Number.NaN;
  let stuck = 0;
  let looking: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  async function look(): Promise<void> {
    if (consumer.hasGivenUp() || consumer.lastProgressMs() !== progressMs) {
      progressMs = consumer.lastProgressMs();
      stuck = 0;
      return;
    }
    if (++stuck < looks) return;
    const behind = await eventsBehind();
    if (!behind || consumer.lastProgressMs() !== progressMs) return;
    log.fatal({ group, behind, stalledMs: stuck * (stallMs / looks) }, "the consumer is stuck: the process ends");
    options.exit();
  }

  /** Events that the group has not handled; undefined where the event log or the database does not answer. */
  async function eventsBehind(): Promise<number | undefined> {
    try {
      const [lag] = await Promise.all([eventLog.lag(group, consumer.topics), askDatabase(options.databaseUrl)]);
      return lag.reduce((sum, { committed, end }) => sum + Math.max(0, end - committed), 0);
    } catch (error) {
      log.warn({ error: messageOf(error) }, "no event is handled while the event log or the database is away");
      return undefined;
    }
  }

  return {
    start() {
      if (consumer.topics.length === 0) return;
      timer = setInterval(() => {
        looking ??= look().finally(() => (looking = undefined));
      }, stallMs / looks);
    },
    async stop() {
      clearInterval(timer);
      await looking;
    },
  };
}

/** On a connection of its own: those of the pool may be what is stuck. */
async function askDatabase(url: string): Promise<void> {
  const settings = connectionSettings({ url, applicationName: "watchdog" });
  const client = new Client({ ...settings, query_timeout: 5_000 });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.query("SELECT 1");
  } finally {
    await client.end().catch(() => {});
  }
}
