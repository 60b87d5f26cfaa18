import type { DeliveredEvent, EventLog } from "@crowdcrunch/kit/eventlog";
import { aggregatesAfter, aggregatesOf, versionsInOutbox } from "./aggregates.ts";
import type { Query } from "./query.ts";
import { missingVersions, newestOf, shownVersionsOf } from "./read-models.ts";
import { missingReceipts, receiptsDays, receiptsOf } from "./receipts.ts";
import type { Receipt } from "./receipts.ts";
import { createSequences } from "./sequences.ts";
import type { ShownVersion } from "./read-models.ts";
import { createWaitlist } from "./waitlist.ts";

export interface TopicAuditOptions {
  topic: string;
  eventLog: Pick<EventLog, "read" | "lag">;
  /** For many rows by their keys: best with plans that use indexes. */
  query: Query;
  /** How long what an event comes to may take, in seconds. */
  windowSeconds: number;
  /** Most aggregates whose version is remembered well; all where it is not given. */
  subjectsAtLeast?: number;
  /** The log is younger than the aggregates, as LOG_BEGAN_ANEW says. */
  logBeganAnew: boolean;
  /** Monotonic clock, in ms. */
  nowMs(): number;
}

/** The invariants that are read from the log, by number. */
export const logNumbers = [15, 17, 18] as const;
export type LogNumber = (typeof logNumbers)[number];

/** Compares one topic of the log with what consumers received and with what the aggregates have counted. */
export interface TopicAudit {
  /** Takes what is new in the log; yields the number of events after each batch, so that the caller may rest. */
  readOn(): AsyncGenerator<number>;
  /** Compares the next aggregates with their events; resolves to false at the end, where it begins again. */
  walk(limit: number): Promise<boolean>;
  /** Looks again at what was not as it should be; reads the log on where it must. */
  settle(): Promise<void>;
  /** How much may be on its way still. */
  open(): number;
  violations(number: LogNumber): Record<string, unknown>[];
}

const batchEvents = 1_000;
/** A caller reads the log no further while so much is on its way. */
export const openAtMost = 20_000;

export function createTopicAudit(options: TopicAuditOptions): TopicAudit {
  const { topic, eventLog, query, nowMs } = options;
  const sequences = createSequences(topic, options);
  const waitlist = {
    windowMs: options.windowSeconds * 1_000,
    lag: (consumer: string, topics: string[]) => eventLog.lag(consumer, topics),
    nowMs,
  };
  const received = createWaitlist<Receipt>({ ...waitlist, unmet: (receipts) => missingReceipts(query, receipts) });
  const shown = createWaitlist<ShownVersion>({ ...waitlist, unmet: (versions) => missingVersions(query, versions) });
  /** Aggregates ahead of their events, with the versions that they had; those that are violations. */
  const ahead = new Map<string, number>();
  const unequal = new Map<string, Record<string, unknown>>();
  const tables = aggregatesOf(topic);
  let walking = { table: 0, after: undefined as string | undefined };
  const position = new Map<number, number>();

  async function takeBatch(events: DeliveredEvent[], oldestMs: number): Promise<void> {
    received.add(
      await missingReceipts(
        query,
        events.flatMap((event) => receiptsOf(event, oldestMs)),
      ),
    );
    shown.add(await missingVersions(query, newestOf(events.flatMap(shownVersionsOf))));
    // Last, so that what fails before is read again.
    for (const event of events) {
      sequences.take(event);
      position.set(event.partition, event.offset + 1);
    }
  }

  async function* readOn(): AsyncGenerator<number> {
    const [bound] = await query<{ ms: number }>(
      "SELECT (extract(epoch FROM now()) * 1000)::float8 - $1::float8 * 86400000 AS ms",
      [receiptsDays],
    );
    sequences.beginReading();
    let batch: DeliveredEvent[] = [];
    for await (const event of eventLog.read(topic, new Map(position))) {
      if (event.offset < (position.get(event.partition) ?? 0)) continue;
      batch.push(event);
      if (batch.length < batchEvents) continue;
      await takeBatch(batch, bound!.ms);
      yield batch.length;
      batch = [];
    }
    if (batch.length > 0) {
      await takeBatch(batch, bound!.ms);
      yield batch.length;
    }
  }

  function compare(subject: string, version: number): void {
    const told = sequences.versionOf(subject);
    // Rows are read after the log, so that their versions are no lower than those of their events.
    if (told === undefined || told === version || sequences.isGap(subject)) {
      unequal.delete(subject);
    } else if (told > version) {
      unequal.set(subject, { topic, subject, events: told, version });
    } else if (!unequal.has(subject)) {
      ahead.set(subject, version);
    }
  }

  /** What an aggregate has counted must be in the outbox or, after that was looked at, in the log. */
  async function settleAhead(): Promise<void> {
    const candidates = new Map(ahead);
    for (const [subject, row] of unequal) candidates.set(subject, row["version"] as number);
    if (candidates.size === 0) return;
    ahead.clear();
    const inOutbox = await versionsInOutbox(query, topic, [...candidates.keys()]);
    for await (const _ of readOn());
    for (const [subject, version] of candidates) {
      const events = sequences.versionOf(subject);
      const isTold = events === undefined || Math.max(events, inOutbox.get(subject) ?? 0) >= version;
      if (!isTold) unequal.set(subject, { topic, subject, events, version });
      else if (events === undefined || events <= version) unequal.delete(subject);
    }
  }

  /** Reads the log from its beginning for events that have the numbers of others. */
  async function settleDoubtful(): Promise<void> {
    const doubtful = new Map(sequences.doubtful().map((event) => [`${event.subject} ${event.sequence}`, event]));
    if (doubtful.size === 0) return;
    for await (const { id, subject, sequence, republished } of eventLog.read(topic)) {
      const again = republished ? undefined : doubtful.get(`${subject} ${sequence}`);
      if (!again || again.id === id) continue;
      sequences.report(again);
      doubtful.delete(`${subject} ${sequence}`);
    }
    sequences.forgetDoubtful();
  }

  return {
    readOn,
    async walk(limit) {
      const table = tables[walking.table];
      if (!table) {
        walking = { table: 0, after: undefined };
        return false;
      }
      const rows = await aggregatesAfter(query, table, walking.after, limit);
      for (const { subject, version } of rows) compare(subject, version);
      walking =
        rows.length < limit
          ? { table: walking.table + 1, after: undefined }
          : { table: walking.table, after: rows.at(-1)!.subject };
      return true;
    },
    async settle() {
      await settleAhead();
      await settleDoubtful();
      await received.look();
      await shown.look();
    },
    open: () => ahead.size + received.open() + shown.open(),
    violations(number) {
      if (number === 15) return received.violations();
      if (number === 18) return shown.violations();
      return [...sequences.violations(), ...unequal.values()];
    },
  };
}
