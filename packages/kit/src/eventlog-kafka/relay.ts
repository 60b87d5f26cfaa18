import type { Pool } from "pg";
import type { OutboxSource } from "../eventlog.ts";
import { toMessage } from "./records.ts";
import type { OutgoingMessage } from "./records.ts";

interface OutboxRow {
  id: number;
  event_id: string;
  type: string;
  key: string;
  subject: string;
  sequence: number;
  time: Date;
  traceparent: string | null;
  republished: boolean;
  data: string;
  /** Whether rows that were asked for are left out because they are too large together. */
  cut: boolean;
  /** Whether it is this relay's turn. */
  mine: boolean;
}

/** Most bytes of data in memory at once. */
const maxBytes = 4 * 1024 * 1024;

// The lock only saves work: two relays that send the same rows do no harm, because rows are sent in id order and removed
// after the acknowledgement, so that first occurrences stay in order, and the inbox absorbs repetitions.
const oldest = {
  name: "outbox_oldest",
  text: `WITH pending AS MATERIALIZED (
           SELECT id, event_id, type, key, subject, sequence, time, traceparent, republished, data::text AS data,
                  sum(octet_length(data::text)) OVER (ORDER BY id) AS upto, row_number() OVER (ORDER BY id) AS nth,
                  sum(octet_length(data::text)) OVER () > ${maxBytes} AS cut
           FROM (SELECT * FROM outbox WHERE id >= $1 ORDER BY id LIMIT $2) o
         ), turn AS MATERIALIZED (
           SELECT $3 OR pg_try_advisory_lock(hashtext('outbox.relay'), hashtext($4)) AS mine WHERE EXISTS (SELECT FROM pending)
         )
         SELECT p.*, turn.mine FROM pending p CROSS JOIN turn WHERE p.upto <= ${maxBytes} OR p.nth = 1 ORDER BY p.id`,
};
// The commit does not wait for the disk: a crash that takes it leaves rows that are sent once more.
const remove = {
  name: "outbox_remove",
  text: `WITH careless AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
         DELETE FROM outbox WHERE id = ANY ($1) AND EXISTS (SELECT FROM careless)`,
};
const passTurn = {
  name: "outbox_turn_over",
  text: `SELECT pg_advisory_unlock(hashtext('outbox.relay'), hashtext($1))`,
};

/** How long to wait for another relay's turn before going ahead without it. */
const turnAttempts = 40;
const turnWaitMs = 25;

export interface RelayParts {
  pool: Pool;
  send(messages: OutgoingMessage[]): Promise<void>;
}

/** Sends the oldest rows of the outbox in id order, and removes them when Kafka has them. */
export async function relayOutbox(
  { pool, send }: RelayParts,
  source: OutboxSource,
): Promise<{ moved: number; lastId: number }> {
  const { topic, floor, limit } = source;
  const client = await pool.connect();
  let broken: Error | undefined;
  let mine = false;

  /** The rows after an id; waits for another relay's turn to end. */
  async function rowsAfter(id: number, most: number): Promise<OutboxRow[]> {
    for (let attempt = 1; ; attempt++) {
      const values = [Math.max(floor, id + 1), most, mine, topic];
      const { rows } = await client.query<OutboxRow>({ ...oldest, values });
      mine ||= rows[0]?.mine ?? false;
      if (mine || rows.length === 0 || attempt === turnAttempts) return rows;
      await new Promise((resolve) => setTimeout(resolve, turnWaitMs));
    }
  }

  try {
    let [moved, lastId] = [0, 0];
    for (let more = true; more && moved < limit;) {
      const rows = await rowsAfter(lastId, limit - moved);
      if (rows.length === 0) break;
      await send(rows.map((row) => messageOf(topic, row)));
      await source.onAppended?.();
      await client.query({ ...remove, values: [rows.map(({ id }) => id)] });
      moved += rows.length;
      lastId = rows.at(-1)!.id;
      more = rows[0]!.cut;
    }
    return { moved, lastId };
  } finally {
    if (mine) await client.query({ ...passTurn, values: [topic] }).catch((error: Error) => void (broken = error));
    client.release(broken);
  }
}

function messageOf(topic: string, row: OutboxRow): OutgoingMessage {
  const event = {
    id: row.event_id,
    type: row.type,
    key: row.key,
    subject: row.subject,
    sequence: row.sequence,
    time: row.time.toISOString(),
    ...(row.traceparent === null ? {} : { traceparent: row.traceparent }),
    ...(row.republished ? { republished: true } : {}),
  };
  return toMessage(topic, event, row.data);
}
