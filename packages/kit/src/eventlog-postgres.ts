import type { Pool } from "pg";
import { jsonOfData } from "./event-data.ts";
import type { Consumer, EventLog, PartitionLag, Tail } from "./eventlog.ts";
import { openControl } from "./eventlog-postgres/control.ts";
import { joinGroup } from "./eventlog-postgres/member.ts";
import { eventColumns, toEvent, topicChannel } from "./eventlog-postgres/records.ts";
import type { EventRow } from "./eventlog-postgres/records.ts";
import { keepTrimmed } from "./eventlog-postgres/retention.ts";
import { startTail } from "./eventlog-postgres/tail.ts";
import type { Backoff } from "./backoff.ts";
import type { Logger } from "./logger.ts";

export interface PostgresEventLogOptions {
  /** The service's pool, for append and relay: they run as the publisher, whose outbox is on its search_path. */
  pool: Pool;
  /** For the log's own connection; the same role. */
  url: string;
  /** The role: a service may append to the topic of this name, and use groups "<service>" and "<service>.<something>". */
  service: string;
  log: Logger;
  /** How long a silent member keeps its partitions. Default 10 s. */
  leaseMs?: number;
  /** How often to look for events that nobody announced. Default 1 s. */
  pollMs?: number;
  /** Between attempts after an error. Default 0.3 to 30 s. */
  backoff?: Backoff;
  /** Most bytes of data in a batch; an event alone may have more. Default 8 MiB. */
  batchBytes?: number;
  /** For tests: mixes the partitions of each batch by this seed. */
  shuffleSeed?: number;
}

// One relay at a time for each topic; another one waits before it locks a row. The commit does not wait for the disk: a
// crash that takes the events also takes their removal from the outbox, and all that was derived from them, because
// that stands later in the same WAL.
const relay = {
  name: "eventlog_relay",
  text: `WITH turn AS MATERIALIZED (
           SELECT pg_advisory_xact_lock(hashtext('eventlog.relay'), hashtext($1)), set_config('synchronous_commit', 'off', true)
         ), moved AS (
           DELETE FROM outbox
           WHERE id = ANY (ARRAY(SELECT o.id FROM turn CROSS JOIN outbox o WHERE o.id >= $2 ORDER BY o.id LIMIT $3))
           RETURNING *
         )
         SELECT eventlog.append($1, array_agg(
                  ROW(event_id, type, key, subject, sequence, time, traceparent, republished, data)::eventlog.event ORDER BY id)) AS moved,
                coalesce(max(id), 0) AS last_id
         FROM moved`,
};
const append = {
  name: "eventlog_append",
  text: `SELECT eventlog.append($1, array_agg(
           ROW(e.id, e.type, e.key, e.subject, e.sequence, e.time, e.traceparent, coalesce(e.republished, false), e.data)::eventlog.event
           ORDER BY e.nth))
         FROM ROWS FROM (json_to_recordset($2) AS (
           id uuid, type text, key text, subject text, sequence int, time timestamptz, traceparent text, republished boolean, data json
         )) WITH ORDINALITY AS e(id, type, key, subject, sequence, time, traceparent, republished, data, nth)`,
};
const notify = { name: "eventlog_notify", text: `SELECT pg_notify($1, '')` };
const createTopic = { name: "eventlog_create_topic", text: `SELECT eventlog.create_topic($1, $2)` };
const rewind = { name: "eventlog_rewind", text: `SELECT eventlog.rewind($1, $2)` };
const lag = {
  name: "eventlog_lag",
  text: `SELECT h.topic, h.partition, coalesce(p.committed, h.first) AS committed, h.next AS "end"
         FROM eventlog.heads h
         LEFT JOIN eventlog.positions p ON p.group_name = $1 AND p.topic = h.topic AND p.partition = h.partition
         WHERE h.topic = ANY($2) ORDER BY h.topic, h.partition`,
};
const partitionsOf = {
  name: "eventlog_partitions",
  text: `SELECT partition, first FROM eventlog.heads WHERE topic = $1 ORDER BY partition`,
};
const pageRows = 500;
const page = {
  name: "eventlog_page",
  text: `SELECT ${eventColumns} FROM eventlog.events e
         WHERE e.topic = $1 AND e.partition = $2 AND e."offset" >= $3 ORDER BY e."offset" LIMIT ${pageRows}`,
};

/** The event log over Postgres: the schema `eventlog` of the service's database, made by the bootstrap. */
export function postgresEventLog(options: PostgresEventLogOptions): EventLog {
  const { pool, log } = options;
  const control = openControl({ url: options.url, applicationName: `${options.service}-eventlog`, log });
  const pollMs = options.pollMs ?? 1_000;
  const backoff = options.backoff ?? { firstMs: 300, mostMs: 30_000 };
  const running = new Set<Consumer | Tail>();
  /** What stops the removal of old events, by topic. */
  const retentions = new Map<string, () => void>();
  /** Topics whose announcement is on its way; true where there is more to announce behind it. */
  const announcing = new Map<string, boolean>();

  /** Wakes consumers. In a transaction of its own, because the commit of one that notifies takes a lock on the whole server. */
  async function announce(topic: string): Promise<void> {
    if (announcing.has(topic)) return void announcing.set(topic, true);
    try {
      do {
        announcing.set(topic, false);
        await control.query(notify, [topicChannel(topic)]);
      } while (announcing.get(topic));
    } catch (error) {
      log.debug({ error: (error as Error).message }, "consumers find the events by polling");
    } finally {
      announcing.delete(topic);
    }
  }

  function keepFor(topic: string, retentionMs: number): void {
    retentions.get(topic)?.();
    retentions.set(topic, keepTrimmed(control, { topic, retentionMs, log }));
  }

  function track<Part extends Consumer | Tail>(part: Part): Part {
    running.add(part);
    return {
      ...part,
      async stop() {
        running.delete(part);
        await part.stop();
      },
    };
  }

  return {
    name: "postgres",
    async ensureTopics(topics) {
      for (const { topic, partitions, retentionMs } of topics) {
        await control.query(createTopic, [topic, partitions]);
        if (retentionMs !== undefined) keepFor(topic, retentionMs);
      }
    },
    async append(topic, events) {
      if (events.length === 0) return;
      for (const event of events) jsonOfData(event);
      await pool.query({ ...append, values: [topic, JSON.stringify(events)] });
      void announce(topic);
    },
    async relay({ topic, floor, limit, onAppended }) {
      const { rows } = await pool.query<{ moved: number; last_id: unknown }>({
        ...relay,
        values: [topic, floor, limit],
      });
      const moved = rows[0]?.moved ?? 0;
      if (moved > 0) await onAppended?.();
      if (moved > 0) void announce(topic);
      return { moved, lastId: Number(rows[0]?.last_id ?? 0) };
    },
    async consume(subscription) {
      const { leaseMs = 10_000, batchBytes = 8 * 1024 * 1024, shuffleSeed } = options;
      const settings = { leaseMs, pollMs, backoff, batchBytes, shuffleSeed };
      return track(joinGroup(control, subscription, settings));
    },
    async tail(subscription) {
      return track(await startTail(control, subscription, { pollMs, backoff, log }));
    },
    async rewind(group, topics) {
      await control.query(rewind, [group, topics]);
    },
    async *read(topic, from) {
      for (const { partition, first } of await control.query<{ partition: number; first: number }>(partitionsOf, [
        topic,
      ])) {
        for (let next = from?.get(partition) ?? first; ;) {
          const rows = await control.query<EventRow>(page, [topic, partition, next]);
          yield* rows.map(toEvent);
          if (rows.length < pageRows) break;
          next = rows.at(-1)!.offset + 1;
        }
      }
    },
    lag: (group, topics) => control.query<PartitionLag>(lag, [group, topics]),
    async close() {
      for (const stop of retentions.values()) stop();
      await Promise.all([...running].map((part) => part.stop()));
      await control.close();
    },
  };
}
