import type { Database, Transaction } from "./database.ts";
import { createDispatcher } from "./dispatch.ts";
import type { EventHandler } from "./dispatch.ts";
import { PermanentError, isTransient, messageOf } from "./errors.ts";
import type { Consumer, DeliveredEvent, EventLog } from "./eventlog.ts";
import { inertFaults } from "./faults.ts";
import type { Faults } from "./faults.ts";
import {
  dueWaiting,
  lockWaiting,
  lockWaitingById,
  maintainInbox,
  putWaiting,
  receive,
  removeWaiting,
} from "./inbox.ts";
import type { StoredEvent } from "./inbox.ts";
import type { Logger } from "./logger.ts";
import type { Metrics } from "./metrics.ts";
import { createParking } from "./parking.ts";
import type { Parking } from "./parking.ts";

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
  /** Faults on purpose; none where not given. */
  faults?: Faults;
}

export interface EventConsumer {
  start(): Promise<void>;
  stop(): Promise<void>;
  topics: string[];
  lastProgressMs(): number;
  /** Handles parked events again: those of one key, or all. */
  replayParked: Parking["replay"];
}

/**
 * The service's event consumer: inbox, batches, waiting and parked events. A batch is one transaction; where it fails
 * the events are handled one by one, so that only the guilty event's key is parked.
 */
export function createConsumer(options: ConsumerOptions): EventConsumer {
  const { group, handlers, db, eventLog, log, faults = inertFaults } = options;
  const waitAtMostSeconds = options.waitAtMostSeconds ?? 600;
  const { topics, concerns, dispatch } = createDispatcher({ group, handlers, metrics: options.metrics });
  const seconds = options.metrics.histogram("crowdcrunch_event_batch_seconds", "Time to handle a batch of events");
  const parking = createParking({ ...options, handle: async (tx, event) => store(tx, await dispatch(tx, [event])) });

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
      const parkedBehind = state.parked_keys.length > 0 ? await parking.hold(tx, state.parked_keys) : new Set<string>();
      const seen = new Set<string>();
      const todo: DeliveredEvent[] = [];
      const park: DeliveredEvent[] = [];
      for (const event of events) {
        if (!fresh.has(event.id) || seen.has(event.id)) continue;
        seen.add(event.id);
        (parkedBehind.has(event.key) ? park : todo).push(event);
      }
      if (park.length > 0) await parking.parkBehind(tx, park);
      if (todo.length === 0) return;
      const waiting = await dispatch(tx, todo);
      await store(tx, waiting);
      const candidates = state.waiting
        .filter(({ event }) => !parkedBehind.has(event.key))
        .map(({ event_id }) => event_id);
      // Locked, because the sweep may be trying them at this moment; what it has finished is no longer there.
      const stored = candidates.length === 0 ? [] : (await tx.many(lockWaitingById, [candidates])).map(eventOf);
      // What has just been told to wait may have been overtaken by a later event of the same batch.
      const later = todo.length > waiting.length ? waiting : [];
      if (stored.length + later.length > 0) await retryWaiting(tx, [...stored, ...later]);
      if (faults.on) await faults.at("consumer.in-handler", () => typesOf(todo));
    });
  }

  /** Tries waiting events again until a round gets none of them further. Resolves to those that must still wait. */
  async function retryWaiting(tx: Transaction, events: DeliveredEvent[]): Promise<DeliveredEvent[]> {
    let remaining = events;
    for (;;) {
      const still = await dispatch(tx, remaining);
      const done = remaining.filter((event) => !still.includes(event));
      if (done.length > 0) await tx.run(removeWaiting, [done.map((event) => event.id)]);
      if (still.length === 0 || done.length === 0) return still;
      remaining = still;
    }
  }

  async function parkNew(event: DeliveredEvent, error: unknown): Promise<void> {
    await db.transaction(async (tx) => {
      const state = await tx.one(receive, [[event.id], [event.key]]);
      // Where it is not new, another member of the group has handled it meanwhile.
      if (state?.fresh.includes(event.id)) await parking.park(tx, event, error);
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
      log.warn({ events: events.length, error: messageOf(error) }, "a batch failed; its events are handled one by one");
      for (const event of events) {
        try {
          await handleInOneTransaction([event]);
        } catch (cause) {
          if (isTransient(cause)) throw cause;
          await parkNew(event, cause);
        }
      }
    } finally {
      done();
    }
    if (faults.on) await faults.at("consumer.after-commit", () => typesOf(events));
  }

  /** Events whose back-off has passed are tried again; those that waited too long are parked. */
  async function sweepWaiting(): Promise<void> {
    for (const { key } of await db.many(dueWaiting)) {
      if (stopped) return;
      try {
        await tryWaiting(key, null);
      } catch (error) {
        if (isTransient(error)) throw error;
        await tryOneByOne(key);
      }
    }
  }

  /** Tries what waits on a key, or one event of it. */
  async function tryWaiting(key: string, only: string | null): Promise<void> {
    await db.transaction(async (tx) => {
      const rows = await tx.many(lockWaiting, [key, waitAtMostSeconds, only]);
      const still = new Set(await retryWaiting(tx, rows.map(eventOf)));
      const left = rows.filter(({ event }) => still.has(event));
      const early = left.filter(({ expired }) => !expired);
      await store(tx, early.map(eventOf));
      const tooLong = new PermanentError(`waited ${waitAtMostSeconds} s for what must come before it`);
      for (const { event } of left.filter(({ expired }) => expired)) await parkWaiting(tx, event, tooLong);
    });
  }

  /** Something that waits on the key cannot be handled: finds out which, and parks that. */
  async function tryOneByOne(key: string): Promise<void> {
    for (const { event } of await db.many(lockWaiting, [key, waitAtMostSeconds, null])) {
      try {
        await tryWaiting(key, event.id);
      } catch (error) {
        if (isTransient(error)) throw error;
        await db.transaction((tx) => parkWaiting(tx, event, error));
      }
    }
  }

  async function parkWaiting(tx: Transaction, event: DeliveredEvent, error: unknown): Promise<void> {
    // Where it waits no more, a batch has handled it meanwhile.
    if ((await tx.run(removeWaiting, [[event.id]])) === 1) await parking.park(tx, event, error);
  }

  let consumer: Consumer | undefined;
  let timer: NodeJS.Timeout | undefined;
  let timerDueMs = 0;
  let sweeping = Promise.resolve();
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
      log.warn({ error: messageOf(error) }, "waiting events could not be looked at");
    }
  }

  /** Sweeps after the given time, or sooner if that is planned already. */
  function scheduleSweep(afterMs: number): void {
    const dueMs = performance.now() + afterMs;
    if (stopped || (timer && timerDueMs <= dueMs)) return;
    clearTimeout(timer);
    timerDueMs = dueMs;
    timer = setTimeout(() => {
      sweeping = sweeping.then(sweep).finally(() => scheduleSweep(idleSweepMs));
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
        onError: (error) => log.warn({ error: messageOf(error) }, "events are tried again"),
      });
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await consumer?.stop();
      await sweeping;
    },
    replayParked: parking.replay,
  };
}

function eventOf(row: StoredEvent): DeliveredEvent {
  return row.event;
}

function typesOf(events: DeliveredEvent[]): string {
  return [...new Set(events.map((event) => event.type))].join(",");
}
