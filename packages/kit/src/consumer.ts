import type { EventContract, EventOf, ParsedEvent } from "@crowdcrunch/events/contract";
import type { Database, Transaction } from "./database.ts";
import { statement } from "./database.ts";
import { PermanentError, isUnavailable } from "./errors.ts";
import type { Consumer, DeliveredEvent, EventLog } from "./eventlog.ts";
import { openIncident } from "./incidents.ts";
import type { Logger } from "./logger.ts";
import type { Metrics } from "./metrics.ts";

/** What a handler gives back: events whose time has not come. They are kept and tried again. */
export interface Waiting {
  wait: string[];
}

/**
 * Handles events of some contracts. It receives all of a batch at once, in order within a key, in one transaction:
 * load with `= ANY`, decide, save with one statement per table, emit. Lock rows in id order. Anything it throws that is
 * not the database's absence parks the guilty event and the later events of its key.
 */
export interface EventHandler {
  handles: readonly EventContract<string, never>[];
  handle(tx: Transaction, events: ParsedEvent[]): Promise<Waiting | void>;
}

/** Declares a handler whose events are typed by the contracts it handles. */
export function onEvents<const Contracts extends readonly EventContract<string, any>[]>(
  handles: Contracts,
  handle: (tx: Transaction, events: EventOf<Contracts[number]>[]) => Promise<Waiting | void>,
): EventHandler {
  return { handles: handles as unknown as readonly EventContract<string, never>[], handle: handle as EventHandler["handle"] };
}

interface StoredEvent {
  event_id: string;
  event: DeliveredEvent;
}

/** One statement: record the events in the inbox, and say which are new, which keys are parked, what waits on the keys. */
const receive = statement<{ fresh: string[]; parked_keys: string[]; waiting: StoredEvent[] }>(
  "inboxReceive",
  `WITH fresh AS (
     INSERT INTO inbox (event_id) SELECT DISTINCT unnest($1::uuid[]) ON CONFLICT DO NOTHING RETURNING event_id
   )
   SELECT (SELECT coalesce(array_agg(event_id::text), '{}') FROM fresh) AS fresh,
          (SELECT coalesce(array_agg(DISTINCT key), '{}') FROM parked WHERE key = ANY($2::text[])) AS parked_keys,
          (SELECT coalesce(json_agg(json_build_object('event_id', event_id, 'event', event) ORDER BY since, event_id), '[]')
             FROM waiting WHERE key = ANY($2::text[])) AS waiting`,
);

const putWaiting = statement(
  "waitingPut",
  `INSERT INTO waiting (event_id, key, event)
   SELECT event_id, key, event::json FROM unnest($1::uuid[], $2::text[], $3::text[]) AS e(event_id, key, event)
   ON CONFLICT (event_id) DO UPDATE SET attempts = waiting.attempts + 1,
     next_attempt_at = now() + least(interval '30 seconds', interval '200 milliseconds' * power(2, least(waiting.attempts, 10)))`,
);
const removeWaiting = statement("waitingRemove", `DELETE FROM waiting WHERE event_id = ANY($1::uuid[])`);
const dueWaiting = statement<{ key: string }>(
  "waitingDue",
  `SELECT key FROM waiting WHERE next_attempt_at <= now() GROUP BY key ORDER BY min(next_attempt_at) LIMIT 200`,
);
const lockWaiting = statement<StoredEvent & { expired: boolean }>(
  "waitingLock",
  `SELECT event_id, event, since < now() - make_interval(secs => $2) AS expired FROM waiting WHERE key = $1
   ORDER BY since, event_id FOR UPDATE`,
);
const lockWaitingById = statement<StoredEvent>(
  "waitingLockById",
  `SELECT event_id, event FROM waiting WHERE event_id = ANY($1::uuid[]) ORDER BY since, event_id FOR UPDATE`,
);
const putParked = statement(
  "parkedPut",
  `INSERT INTO parked (event_id, key, event, reason)
   SELECT event_id, key, event::json, reason FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[])
     WITH ORDINALITY AS e(event_id, key, event, reason, position) ORDER BY position
   ON CONFLICT (event_id) DO NOTHING`,
);
const parkedOfKey = statement<StoredEvent>(
  "parkedOfKey",
  `SELECT event_id, event FROM parked WHERE key = $1 ORDER BY position FOR UPDATE`,
);
const parkedKeys = statement<{ key: string }>("parkedKeys", `SELECT key FROM parked GROUP BY key ORDER BY min(position)`);
const removeParked = statement("parkedRemove", `DELETE FROM parked WHERE event_id = $1`);
const countParked = statement<{ count: number }>("parkedCount", `SELECT count(*) AS count FROM parked`);

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
  const contracts = new Map<string, { contract: EventContract<string, unknown>; handler: EventHandler }>();
  for (const handler of handlers) {
    for (const contract of handler.handles as unknown as EventContract<string, unknown>[]) {
      if (contracts.has(contract.type)) throw new Error(`${group} handles ${contract.type} twice`);
      contracts.set(contract.type, { contract, handler });
    }
  }
  const topics = [...new Set([...contracts.values()].map(({ contract }) => contract.topic))];
  // A known event in an unknown version must not be dropped: its consumer would silently miss it.
  const names = new Set([...contracts.values()].map(({ contract }) => `${contract.topic}.${contract.name}`));
  const handledTotal = options.metrics.counter("crowdcrunch_events_handled_total", "Events handled", ["type"]);
  const parkedTotal = options.metrics.counter("crowdcrunch_events_parked_total", "Events parked", ["type"]);
  const seconds = options.metrics.histogram("crowdcrunch_event_batch_seconds", "Time to handle a batch of events");

  function concerns(event: DeliveredEvent): boolean {
    return contracts.has(event.type) || names.has(event.type.replace(/\.v\d+$/, ""));
  }

  /** Runs the handlers over events of one transaction. Resolves to those that must wait. */
  async function dispatch(tx: Transaction, events: DeliveredEvent[]): Promise<DeliveredEvent[]> {
    const byHandler = new Map<EventHandler, ParsedEvent[]>();
    for (const event of events) {
      const known = contracts.get(event.type);
      if (!known) throw new PermanentError(`no contract for ${event.type}: this version of ${group} does not know it`);
      const parsed = { ...event, data: parse(known.contract, event.data) };
      const list = byHandler.get(known.handler);
      if (list) list.push(parsed);
      else byHandler.set(known.handler, [parsed]);
    }
    const waiting = new Set<string>();
    for (const [handler, list] of byHandler) {
      const outcome = await handler.handle(tx, list);
      for (const id of outcome?.wait ?? []) waiting.add(id);
    }
    for (const event of events) if (!waiting.has(event.id)) handledTotal.inc({ type: event.type });
    return events.filter((event) => waiting.has(event.id));
  }

  async function store(tx: Transaction, waiting: DeliveredEvent[]): Promise<void> {
    if (waiting.length === 0) return;
    await tx.run(putWaiting, [waiting.map((event) => event.id), waiting.map((event) => event.key), waiting.map((event) => JSON.stringify(event))]);
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
      const candidates = state.waiting.filter(({ event }) => !parkedBehind.has(event.key)).map(({ event_id }) => event_id);
      // Locked, because the sweep may be trying them at this moment; what it has finished is no longer there.
      const stored = candidates.length === 0 ? [] : (await tx.many(lockWaitingById, [candidates])).map(({ event }) => event);
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
    await tx.run(putParked, [events.map((event) => event.id), events.map((event) => event.key), events.map((event) => JSON.stringify(event)), events.map(() => reason)]);
  }

  async function park(event: DeliveredEvent, error: unknown): Promise<void> {
    const reason = (error as Error).message;
    log.error({ event: event.id, type: event.type, key: event.key, error: (error as Error).stack }, "event is parked");
    parkedTotal.inc({ type: event.type });
    await db.transaction(async (tx) => {
      await tx.one(receive, [[event.id], [event.key]]);
      await tx.run(removeWaiting, [[event.id]]);
      await tx.run(putParked, [[event.id], [event.key], [JSON.stringify(event)], [reason]]);
      await openIncident(tx, newId, { kind: "EVENT_PARKED", subject: event.key, detail: `${event.type} ${event.id}: ${reason}` });
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
      log.warn({ events: events.length, error: (error as Error).message }, "a batch failed; its events are handled one by one");
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
          await store(tx, events.filter((event) => still.has(event.id) && !overdue.has(event.id)));
        });
      } catch (error) {
        if (isTransient(error)) throw error;
        const [first] = await db.many(lockWaiting, [key, waitAtMostSeconds]);
        if (first) await park(first.event, error);
      }
      for (const event of expired) await park(event, new PermanentError(`waited ${waitAtMostSeconds} s for what must come before it`));
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
      if (contracts.size === 0) return;
      scheduleSweep(0);
      consumer = await eventLog.consume({
        group,
        topics,
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

const maintainInbox = statement<unknown>("inboxMaintain", `SELECT inbox_maintain($1, $2)`);

function parse(contract: EventContract<string, unknown>, data: unknown): unknown {
  try {
    return contract.parse(data);
  } catch (error) {
    throw new PermanentError((error as Error).message, { cause: error });
  }
}

function isTransient(error: unknown): boolean {
  return !(error instanceof PermanentError) && (isUnavailable(error) || (error as { code?: string }).code === "IN_PROGRESS");
}
