import { statement } from "./database.ts";
import type { Database } from "./database.ts";
import type { DeliveredEvent } from "./eventlog.ts";

interface ParkedRow {
  id: string;
  key: string;
  reason: string;
  parkedAt: Date;
  position: number;
  /** As a whole: of one with a zero byte anywhere, Postgres would refuse to take a part out. */
  event: DeliveredEvent;
}

const columns = `event_id AS id, key, reason, parked_at AS "parkedAt", position, event`;
const pageOfParked = statement<ParkedRow>(
  "parkedPage",
  `SELECT ${columns} FROM parked WHERE position > $1 AND ($2::text IS NULL OR key = $2) ORDER BY position LIMIT $3`,
);
const totalOfParked = statement<{ total: number }>(
  "parkedTotal",
  `SELECT count(*) AS total FROM parked WHERE $1::text IS NULL OR key = $1`,
);
const parkedOfKeys = statement<{ key: string; events: number; oldestAt: Date }>(
  "parkedOfKeys",
  `SELECT key, count(*) AS events, min(parked_at) AS "oldestAt" FROM parked WHERE key = ANY($1::text[])
   GROUP BY key ORDER BY min(position)`,
);
const parkedById = statement<ParkedRow>("parkedById", `SELECT ${columns} FROM parked WHERE event_id = $1`);

/** A page of parked events, the oldest first, of a key or of all; with all that is parked of the keys on the page. */
export async function listParked(db: Database, page: { first: number; after: number; key: string | null }) {
  const rows = await db.many(pageOfParked, [page.after, page.key, page.first + 1]);
  const nodes = rows.slice(0, page.first).map(({ event, ...row }) => ({ ...row, type: event.type }));
  const [keys, total] = await Promise.all([
    db.many(parkedOfKeys, [[...new Set(nodes.map(({ key }) => key))]]),
    db.one(totalOfParked, [page.key]),
  ]);
  const endCursor = nodes.at(-1)?.position;
  return {
    ...{ nodes, keys, total: total?.total ?? 0 },
    pageInfo: { hasNextPage: rows.length > page.first, endCursor: endCursor === undefined ? null : String(endCursor) },
  };
}

/** One parked event with its payload; null where it is not parked. */
export async function showParked(db: Database, id: string) {
  const row = await db.one(parkedById, [id]);
  if (!row) return null;
  const { event, ...parked } = row;
  const { type, subject, sequence, time, traceparent = null, data } = event;
  return { ...parked, type, subject, sequence, time, traceparent, payload: JSON.stringify(data) };
}
