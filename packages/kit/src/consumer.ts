import type { Database, Transaction } from "./database.ts";
import { createDispatcher } from "./dispatch.ts";
import type { EventHandler } from "./dispatch.ts";
import { PermanentError, isUnavailable } from "./errors.ts";
import type { Consumer, DeliveredEvent, EventLog } from "./eventlog.ts";
import {
  countParked,
  dueWaiting,
  lockWaiting,
  lockWaitingById,
  maintainInbox,
  parkedKeys,
  parkedOfKey,
  putParked,
  putWaiting,
  receive,
  removeParked,
  removeWaiting,
} from "./inbox.ts";
import { openIncident } from "./incidents.ts";
import type { Logger } from "./logger.ts";
import type { Metrics } from "./metrics.ts";

export { onEvents } from "./dispatch.ts";
export type { EventHandler, Waiting } from "./dispatch.ts";

const retryMs = 250;
const idleSweepMs = 5_000;
const maintainEveryMs = 3_600_000;
const partitionDaysAhead = 3;
/** Longer than topics keep their events, so that no redelivery finds its inbox row gone. */
const inboxKeepDays = 8;

export interface ConsumerOptions {
  /** The consumer group, which is the service's name. */
  group: string;
  handlers: EventHandler[];
  db: Database;
  eventLog: EventLog;
  newId: () => string;
  log: Logger;
  metrics: Metrics;
  /** Least time between two batches, in ms. */
  paceMs?: number;
  /** How long an event may wait before it is parked. Default 600 s. */
  waitAtMostSeconds?: number;
}

export interface EventConsumer {
  start(): Promise<void>;
  stop(): Promise<void>;
  topics: string[];
  lastProgressMs(): number;
  /** Handles parked events of one key, or of all, in order, until one fails again. */
  replayParked(key: string | null): Promise<{ handled: number; remaining: number }>;
}

/**
 * The service's event consumer: inbox, batches, waiting and parked events. A batch is one transaction; where it fails
 * the events are handled one by one, so that only the guilty event's key is parked.
 */
export function createConsumer(options: ConsumerOptions): EventConsumer {
  const { group, handlers, db, eventLog, log, newId } = options;
  const waitAtMostSeconds = options.waitAtMostSeconds ?? 600;
  const { topics, concerns, dispatch } = createDispatcher({ group, handlers, metrics: options.metrics });
  const parkedTotal = options.metrics.counter("crowdcrunch_events_parked_total", "Events parked", ["type"]);
  const seconds = options.metrics.histogram("crowdcrunch_event_batch_seconds", "Time to handle a batch of events");

  async function store(tx: Transaction, waiting: DeliveredEvent[]): Promise<void> {
    if (waiting.length === 0) return;
    await tx.run(putWaiting, [
      waiting.map((event) => event.id),
      waiting.map((event) => event.key),
      waiting.map((event) => JSON.stringify(event)),
    ]);
    tx.afterCommit(() => scheduleSweep(retryMs));
  }

  /** Handles what is new of a batch, then what waited on the same keys, for as long as that gets anything further. */
  async function handleInOneTransaction(events: DeliveredEvent[]): Promise<void> {
    await db.transaction(async (tx) => {
      const keys = [...new Set(events.map((event) => event.key))];
      const state = await tx.one(receive, [events.map((event) => event.id), keys]);
      if (!state) return;
      const fresh = new Set(state.fresh);
      const parkedBehind = new Set(state.parked_keys);
      const seen = new Set<string>();
      const todo: DeliveredEvent[] = [];
      const park: DeliveredEvent[] = [];
      for (const event of events) {
        if (!fresh.has(event.id) || seen.has(event.id)) continue;
        seen.add(event.id);
        (parkedBehind.has(event.key) ? park : todo).push(event);
      }
      if (park.length > 0) await putBehind(tx, park);
      if (todo.length === 0) return;
      const waiting = await dispatch(tx, todo);
      await store(tx, waiting);
      const candidates = state.waiting
        .filter(({ event }) => !parkedBehind.has(event.key))
        .map(({ event_id }) => event_id);
      // Locked, because the sweep may be trying them at this moment; what it has finished is no longer there.
      const stored =
        candidates.length === 0 ? [] : (await tx.many(lockWaitingById, [candidates])).map(({ event }) => event);
      // What has just been told to wait may have been overtaken by a later event of the same batch.
      const later = todo.length > waiting.length ? waiting : [];
      if (stored.length + later.length > 0) await retryWaiting(tx, [...stored, ...later]);
    });
  }

  /** Tries waiting events again until a round gets none of them further. */
  async function retryWaiting(tx: Transaction, events: DeliveredEvent[]): Promise<void> {
    let remaining = events;
    for (;;) {
      const still = await dispatch(tx, remaining);
      const done = remaining.filter((event) => !still.includes(event));
      if (done.length > 0) await tx.run(removeWaiting, [done.map((event) => event.id)]);
      if (still.length === 0 || done.length === 0) return;
      remaining = still;
    }
  }

  async function putBehind(tx: Transaction, events: DeliveredEvent[]): Promise<void> {
    const reason = "an earlier event of this key is parked";
    await tx.run(putParked, [
      events.map((event) => event.id),
      events.map((event) => event.key),
      events.map((event) => JSON.stringify(event)),
      events.map(() => reason),
    ]);
  }

  async function park(event: DeliveredEvent, error: unknown): Promise<void> {
    const reason = (error as Error).message;
    log.error({ event: event.id, type: event.type, key: event.key, error: (error as Error).stack }, "event is parked");
    parkedTotal.inc({ type: event.type });
    await db.transaction(async (tx) => {
      await tx.one(receive, [[event.id], [event.key]]);
      await tx.run(removeWaiting, [[event.id]]);
      await tx.run(putParked, [[event.id], [event.key], [JSON.stringify(event)], [reason]]);
      await openIncident(tx, newId, {
        kind: "EVENT_PARKED",
        subject: event.key,
        detail: `${event.type} ${event.id}: ${reason}`,
      });
    });
  }

  async function handleBatch(batch: DeliveredEvent[]): Promise<void> {
    const events = batch.filter(concerns);
    if (events.length === 0) return;
    const done = seconds.startTimer();
    try {
      await handleInOneTransaction(events);
    } catch (error) {
      if (isTransient(error)) throw error;
      log.warn(
        { events: events.length, error: (error as Error).message },
        "a batch failed; its events are handled one by one",
      );
      for (const event of events) {
        try {
          await handleInOneTransaction([event]);
        } catch (cause) {
          if (isTransient(cause)) throw cause;
          await park(event, cause);
        }
      }
    } finally {
      done();
    }
  }

  /** Events whose back-off has passed are tried again; those that waited too long are parked. */
  async function sweepWaiting(): Promise<void> {
    for (const { key } of await db.many(dueWaiting)) {
      const expired: DeliveredEvent[] = [];
      try {
        await db.transaction(async (tx) => {
          expired.length = 0;
          const rows = await tx.many(lockWaiting, [key, waitAtMostSeconds]);
          const events = rows.map(({ event }) => event);
          const still = new Set((await dispatch(tx, events)).map((event) => event.id));
          const done = events.filter((event) => !still.has(event.id));
          if (done.length > 0) await tx.run(removeWaiting, [done.map((event) => event.id)]);
          const overdue = new Set(rows.filter((row) => row.expired).map((row) => row.event_id));
          expired.push(...events.filter((event) => still.has(event.id) && overdue.has(event.id)));
          await store(
            tx,
            events.filter((event) => still.has(event.id) && !overdue.has(event.id)),
          );
        });
      } catch (error) {
        if (isTransient(error)) throw error;
        const [first] = await db.many(lockWaiting, [key, waitAtMostSeconds]);
        if (first) await park(first.event, error);
      }
      for (const event of expired)
        await park(event, new PermanentError(`waited ${waitAtMostSeconds} s for what must come before it`));
    }
  }

  let consumer: Consumer | undefined;
  let timer: NodeJS.Timeout | undefined;
  let timerDueMs = 0;
  let sweeping: Promise<void> | undefined;
  let stopped = false;
  let maintainedMs = Number.NEGATIVE_INFINITY;

  async function sweep(): Promise<void> {
    timer = undefined;
    try {
      await sweepWaiting();
      if (performance.now() - maintainedMs > maintainEveryMs) {
        await db.run(maintainInbox, [partitionDaysAhead, inboxKeepDays]);
        maintainedMs = performance.now();
      }
    } catch (error) {
      log.warn({ error: (error as Error).message }, "waiting events could not be looked at");
    }
  }

  /** Sweeps after the given time, or sooner if that is planned already. */
  function scheduleSweep(afterMs: number): void {
    const dueMs = performance.now() + afterMs;
    if (stopped || (timer && timerDueMs <= dueMs)) return;
    clearTimeout(timer);
    timerDueMs = dueMs;
    timer = setTimeout(() => {
      sweeping = sweep().finally(() => scheduleSweep(idleSweepMs));
    }, afterMs);
  }

  return {
    topics,
    lastProgressMs: () => consumer?.lastProgressMs() ?? 0,
    async start() {
      if (topics.length === 0) return;
      scheduleSweep(0);
      consumer = await eventLog.consume({
        group,
        topics,
        paceMs: options.paceMs ?? 0,
        handleBatch,
        onError: (error) => log.warn({ error: (error as Error).message }, "events are tried again"),
      });
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await consumer?.stop();
      await sweeping;
    },
    async replayParked(onlyKey) {
      let handled = 0;
      const keys = onlyKey === null ? (await db.many(parkedKeys)).map((row) => row.key) : [onlyKey];
      for (const key of keys) {
        try {
          await db.transaction(async (tx) => {
            handled += await replayKey(tx, key);
          });
        } catch (error) {
          log.warn({ key, error: (error as Error).message }, "a parked event failed again");
        }
      }
      return { handled, remaining: (await db.one(countParked))?.count ?? 0 };
    },
  };

  async function replayKey(tx: Transaction, key: string): Promise<number> {
    const rows = await tx.many(parkedOfKey, [key]);
    for (const row of rows) {
      await store(tx, await dispatch(tx, [row.event]));
      await tx.run(removeParked, [row.event_id]);
    }
    return rows.length;
  }
}

function isTransient(error: unknown): boolean {
  return (
    !(error instanceof PermanentError) && (isUnavailable(error) || (error as { code?: string }).code === "IN_PROGRESS")
  );
}
