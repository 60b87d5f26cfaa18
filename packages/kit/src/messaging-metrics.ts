import { statement } from "./database.ts";
import type { Database } from "./database.ts";
import { messageOf } from "./errors.ts";
import type { EventLog } from "./eventlog.ts";
import type { Logger } from "./logger.ts";
import type { Metrics } from "./metrics.ts";

/** A backlog is counted up to here: beyond it the exact number changes nothing. */
const mostCounted = 100_000;

const backlog = statement<{ pending: number; oldest: number; waiting: number; parked: number }>(
  "messagingBacklog",
  `SELECT (SELECT count(*) FROM (SELECT FROM outbox WHERE id >= $1 LIMIT ${mostCounted}) o) AS pending,
          coalesce((SELECT extract(epoch FROM now() - time)::float8 FROM outbox WHERE id >= $1 ORDER BY id LIMIT 1), 0) AS oldest,
          (SELECT count(*) FROM (SELECT FROM waiting LIMIT ${mostCounted}) w) AS waiting,
          (SELECT count(*) FROM (SELECT FROM parked LIMIT ${mostCounted}) p) AS parked`,
);

export interface MessagingMetricsOptions {
  group: string;
  topics: string[];
  db: Database;
  eventLog: Pick<EventLog, "lag">;
  /** Lowest id of the outbox that may still be there. */
  outboxFloor: () => number;
  log: Logger;
  metrics: Metrics;
  /** How long a sample is good for, in ms, however often it is scraped. Default 5 s. */
  freshMs?: number;
  /** How long a scrape waits for a new sample, in ms; then it gets the last one. Default 1 s. */
  patienceMs?: number;
}

/**
 * How far publishing and handling are behind, sampled when somebody scrapes. NaN, or no series, where the database or the
 * event log does not say.
 */
export function measureMessaging(options: MessagingMetricsOptions): void {
  const { group, topics, db, eventLog, log, metrics, freshMs = 5_000, patienceMs = 1_000 } = options;
  let sampledMs = Number.NEGATIVE_INFINITY;
  let sampling: Promise<void> | undefined;

  const gauge = (name: string, help: string) => metrics.gauge(name, help, [], fresh);
  const pending = gauge("crowdcrunch_outbox_pending", "Events that wait in the outbox");
  const oldest = gauge("crowdcrunch_outbox_oldest_seconds", "Age of the oldest event in the outbox");
  const waiting = gauge("crowdcrunch_waiting_events", "Received events whose time has not come");
  const parked = gauge("crowdcrunch_parked_events", "Received events that wait for a person");
  const lag = metrics.gauge("crowdcrunch_consumer_lag", "Events that the group has not handled", ["topic"], fresh);

  function claimNothing(): void {
    for (const unknown of [pending, oldest, waiting, parked]) unknown.set(Number.NaN);
  }

  async function sampleDatabase(): Promise<void> {
    try {
      const row = await db.one(backlog, [options.outboxFloor()]);
      pending.set(row?.pending ?? Number.NaN);
      oldest.set(row?.oldest ?? Number.NaN);
      waiting.set(row?.waiting ?? Number.NaN);
      parked.set(row?.parked ?? Number.NaN);
    } catch (error) {
      claimNothing();
      log.debug({ error: messageOf(error) }, "the backlog could not be sampled");
    }
  }

  async function sampleLog(): Promise<void> {
    if (topics.length === 0) return;
    try {
      const partitions = await eventLog.lag(group, topics);
      lag.reset();
      for (const topic of topics) lag.set({ topic }, 0);
      for (const { topic, committed, end } of partitions) lag.inc({ topic }, Math.max(0, end - committed));
    } catch (error) {
      lag.reset();
      log.debug({ error: messageOf(error) }, "the lag could not be sampled");
    }
  }

  async function fresh(): Promise<void> {
    if (performance.now() - sampledMs < freshMs) return;
    sampling ??= Promise.all([sampleDatabase(), sampleLog()]).then(() => {
      sampledMs = performance.now();
      sampling = undefined;
    });
    const { promise: impatient, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, patienceMs);
    await Promise.race([sampling, impatient]);
    clearTimeout(timer);
  }

  claimNothing();
}
