import { randomUUID } from "node:crypto";
import { vi } from "vitest";
import type { Pool } from "pg";
import type { DeliveredEvent, EventLog, EventRecord, Subscription } from "../eventlog.ts";

/** An event log with nothing in it and what its conformance suite needs of the surroundings. */
export interface EventLogWorld {
  /** The log as this service sees it, on connections of its own. */
  open(service: string): Promise<EventLog>;
  /** Breaks the connections of a log; it may connect again. */
  cut(log: EventLog): void;
  /** Cuts a log off for good, as the end of its process would, without a word to the server. */
  crash(log: EventLog): Promise<void>;
  /** Connections of the service, whose schema has an outbox. */
  database(service: string): Pool;
  close(): Promise<void>;
}

export function record(key: string, sequence: number, more: Partial<EventRecord> = {}): EventRecord {
  const time = new Date(1_700_000_000_000 + sequence).toISOString();
  return {
    id: randomUUID(),
    type: "orders.order-placed.v1",
    key,
    subject: key,
    sequence,
    time,
    data: { key, sequence },
    ...more,
  };
}

/** Events of several keys, in turn: key-0 1, key-1 1 … key-0 2, key-1 2 …; sequences begin at `from`. */
export function records(keys: number, each: number, from = 1): EventRecord[] {
  return Array.from({ length: keys * each }, (_, index) =>
    record(`key-${index % keys}`, from + Math.floor(index / keys)),
  );
}

/** What handlers got, in the order in which they got it; an event whose handler failed counts as seen, not as handled. */
export interface Witness {
  seen: DeliveredEvent[];
  handled: DeliveredEvent[];
  errors: unknown[];
  /** A subscription whose handler notes down the events; `before` runs first and may throw. */
  subscription(
    group: string,
    topics: string[],
    before?: (events: DeliveredEvent[]) => unknown,
    more?: Partial<Subscription>,
  ): Subscription;
  /** Resolves when all of these have been handled. */
  hasHandled(events: { id: string }[]): Promise<void>;
}

export function createWitness(): Witness {
  const witness: Witness = {
    seen: [],
    handled: [],
    errors: [],
    subscription: (group, topics, before, more) => ({
      group,
      topics,
      async handleBatch(events) {
        witness.seen.push(...events);
        await before?.(events);
        witness.handled.push(...events);
      },
      onError: (error) => void witness.errors.push(error),
      ...more,
    }),
    hasHandled: (events) =>
      eventually(() => {
        const handled = new Set(witness.handled.map((event) => event.id));
        const missing = events.filter((event) => !handled.has(event.id)).length;
        if (missing > 0)
          throw new Error(`${missing} of ${events.length} events were not handled: ${String(witness.errors.at(-1))}`);
      }),
  };
  return witness;
}

export async function eventually(check: () => unknown): Promise<void> {
  await vi.waitFor(check, { timeout: 20_000, interval: 10 });
}

/** The first occurrence of each event: what is left when redeliveries are left out. */
export function firstOccurrences<Event extends { id: string }>(events: Event[]): Event[] {
  return [...Map.groupBy(events, (event) => event.id).values()].map(([first]) => first!);
}

/** Where the order of a key is broken, for a message; sequences of a key must rise by one from 1. */
export function disorder(events: DeliveredEvent[]): string[] {
  const last = new Map<string, number>();
  return events.flatMap(({ topic, key, sequence }) => {
    const name = `${topic} ${key}`;
    const before = last.get(name) ?? 0;
    last.set(name, sequence);
    return sequence === before + 1 ? [] : [`${name}: ${sequence} after ${before}`];
  });
}

/** Writes events to a service's outbox in one transaction, as `emit` does. */
export async function putIntoOutbox(
  pool: Pool,
  events: EventRecord[],
  options: { commit?: boolean } = {},
): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    await client.query(
      `INSERT INTO outbox (event_id, type, key, subject, sequence, traceparent, republished, data)
       SELECT id, type, key, subject, sequence, traceparent, coalesce(republished, false), data
       FROM ROWS FROM (json_to_recordset($1) AS
         (id uuid, type text, key text, subject text, sequence int, traceparent text, republished boolean, data json)
       ) WITH ORDINALITY AS e(id, type, key, subject, sequence, traceparent, republished, data, nth) ORDER BY nth`,
      [JSON.stringify(events)],
    );
    if (options.commit === false) throw new Error("the producer died");
    await client.query("COMMIT");
    client.release();
  } catch (error) {
    client.release(true);
    throw error;
  }
}
