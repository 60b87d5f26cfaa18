import type { Database, Transaction } from "./database.ts";
import { isStatementTimeout, isTransient, messageOf } from "./errors.ts";
import type { DeliveredEvent } from "./eventlog.ts";
import {
  countParked,
  discardParked,
  keyOfParked,
  lockParked,
  nextParked,
  parkedKeys,
  putParked,
  removeParked,
  setParkedReason,
} from "./inbox.ts";
import { noteOnIncident, openIncident, parkedIncident, resolveParkedIncident } from "./incidents.ts";
import type { Logger } from "./logger.ts";
import type { Metrics } from "./metrics.ts";

export interface Parking {
  /** Parks an event that cannot be handled and opens an incident for its key. */
  park(tx: Transaction, event: DeliveredEvent, error: unknown): Promise<void>;
  /** Parks events behind others of their keys. */
  parkBehind(tx: Transaction, events: DeliveredEvent[]): Promise<void>;
  /**
   * Those of the keys that have parked events, which stay so until the transaction ends; waits for a replay of them that
   * is under way.
   */
  hold(tx: Transaction, keys: string[]): Promise<Set<string>>;
  /**
   * Handles the parked events of a key, or of all keys, in order, each in a transaction of its own, until one fails
   * again; the key's incident is resolved with the last of them. `by` is who asked for it. Throws where the database is
   * away.
   */
  replay(key: string | null, by: string): Promise<{ handled: number; remaining: number }>;
  /**
   * Removes one parked event, or all of a key, for good. The key's incident keeps who did it and why, and is resolved with
   * the last of them, from where on the key's events flow again.
   */
  discard(what: Discard): Promise<{ discarded: number; remaining: number }>;
}

/** What is to be discarded: one event by its id, or all that is parked of a key. */
export interface Discard {
  id: string | null;
  key: string | null;
  reason: string;
  /** Who asked for it. */
  by: string;
}

/** So many of the events that were discarded together are named in their incident; the log names all. */
const mostNamed = 20;

/** Keeps what cannot be handled, and what comes behind it, until a person lets it be handled again. */
export function createParking(options: {
  db: Database;
  newId: () => string;
  log: Logger;
  metrics: Metrics;
  /** Handles one event anew; it may be told to wait. */
  handle(tx: Transaction, event: DeliveredEvent): Promise<void>;
}): Parking {
  const { db, newId, log } = options;
  const parkedTotal = options.metrics.counter("crowdcrunch_events_parked_total", "Events parked", ["type"]);
  const discardedTotal = options.metrics.counter(
    "crowdcrunch_events_discarded_total",
    "Parked events that a person removed without handling them",
    ["type"],
  );

  async function put(tx: Transaction, events: DeliveredEvent[], reason: string): Promise<void> {
    await tx.run(putParked, [
      events.map((event) => event.id),
      events.map((event) => event.key),
      events.map((event) => JSON.stringify(event)),
      reason,
    ]);
  }

  /** True while there is more to replay of the key. */
  async function replayNext(tx: Transaction, key: string, by: string): Promise<boolean> {
    // Others that park an event of the key wait here, or are waited for: none can slip in behind the last one unseen.
    const incident = await tx.one(parkedIncident, [key]);
    const row = await tx.one(nextParked, [key]);
    if (row) {
      await options.handle(tx, row.event);
      await tx.run(removeParked, [row.event_id]);
    }
    if (incident) await tx.run(resolveParkedIncident, [incident.id, by, "replayed"]);
    return row !== undefined;
  }

  async function discardOf(tx: Transaction, key: string, what: Discard): Promise<number> {
    const { reason, by } = what;
    const incident = await tx.one(parkedIncident, [key]);
    // In the order in which batches lock them.
    await tx.many(lockParked, [[key]]);
    const events = (await tx.many(discardParked, [key, what.id])).map(({ event }) => event);
    if (events.length === 0) return 0;
    if (incident) {
      const names = events.slice(0, mostNamed).map(({ type, id }) => `${type} ${id}`);
      if (events.length > mostNamed) names.push(`${events.length - mostNamed} more`);
      await tx.run(noteOnIncident, [incident.id, `${by} discarded ${names.join(", ")}: ${reason}`]);
      await tx.run(resolveParkedIncident, [incident.id, by, null]);
    }
    tx.afterCommit(() => {
      for (const { id, type } of events) {
        discardedTotal.inc({ type });
        log.warn({ event: id, type, key, by, reason }, "a parked event is discarded");
      }
    });
    return events.length;
  }

  async function stillParked(key: string, error: unknown): Promise<void> {
    const reason = messageOf(error);
    log.warn({ key, error: reason }, "a parked event failed again");
    await db.transaction(async (tx) => {
      const row = await tx.one(nextParked, [key]);
      if (!row) return;
      await tx.run(setParkedReason, [row.event_id, reason]);
      await openIncident(tx, newId, incidentOf(row.event, reason));
    });
  }

  return {
    async park(tx, event, error) {
      const reason = messageOf(error);
      await put(tx, [event], reason);
      await openIncident(tx, newId, incidentOf(event, reason));
      tx.afterCommit(() => {
        parkedTotal.inc({ type: event.type });
        log.error(
          { event: event.id, type: event.type, key: event.key, error: (error as Error)?.stack ?? reason },
          "event is parked",
        );
      });
    },
    parkBehind: (tx, events) => put(tx, events, "an earlier event of this key is parked"),
    async hold(tx, keys) {
      return new Set((await tx.many(lockParked, [keys])).map(({ key }) => key));
    },
    async replay(onlyKey, by) {
      let handled = 0;
      const keys = onlyKey === null ? (await db.many(parkedKeys)).map((row) => row.key) : [onlyKey];
      for (const key of keys) {
        try {
          while (await db.transaction((tx) => replayNext(tx, key, by))) handled++;
        } catch (error) {
          if (isTransient(error) && !isStatementTimeout(error)) throw error;
          await stillParked(key, error);
        }
      }
      return { handled, remaining: (await db.one(countParked))?.count ?? 0 };
    },
    async discard(what) {
      const key = what.id === null ? what.key : ((await db.one(keyOfParked, [what.id]))?.key ?? null);
      const discarded = key === null ? 0 : await db.transaction((tx) => discardOf(tx, key, what));
      return { discarded, remaining: (await db.one(countParked))?.count ?? 0 };
    },
  };
}

function incidentOf(event: DeliveredEvent, reason: string): { kind: string; subject: string; detail: string } {
  return { kind: "EVENT_PARKED", subject: event.key, detail: `${event.type} ${event.id}: ${reason}` };
}
