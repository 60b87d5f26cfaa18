import { statement } from "./database.ts";
import type { DeliveredEvent } from "./eventlog.ts";
import { advancePositions } from "./positions.ts";

// Statements over the tables of received events: inbox, waiting, parked.

export interface StoredEvent {
  event_id: string;
  event: DeliveredEvent;
}

/**
 * One statement: record where the database stands and the events in the inbox, and say which are new, which keys are parked,
 * what waits on the keys.
 */
export const receive = statement<{ fresh: string[]; parked_keys: string[]; waiting: StoredEvent[] }>(
  "inboxReceive",
  `WITH stands AS (
     ${advancePositions}
   ), fresh AS (
     INSERT INTO inbox (event_id) SELECT DISTINCT unnest($5::uuid[]) ON CONFLICT DO NOTHING RETURNING event_id
   )
   SELECT (SELECT coalesce(array_agg(event_id::text), '{}') FROM fresh) AS fresh,
          (SELECT coalesce(array_agg(DISTINCT key), '{}') FROM parked WHERE key = ANY($6::text[])) AS parked_keys,
          (SELECT coalesce(json_agg(json_build_object('event_id', event_id, 'event', event) ORDER BY since, event_id), '[]')
             FROM waiting WHERE key = ANY($6::text[])) AS waiting`,
);

export const putWaiting = statement(
  "waitingPut",
  `INSERT INTO waiting (event_id, key, event)
   SELECT event_id, key, event::json FROM unnest($1::uuid[], $2::text[], $3::text[]) AS e(event_id, key, event)
   ON CONFLICT (event_id) DO UPDATE SET attempts = waiting.attempts + 1,
     next_attempt_at = now() + least(interval '30 seconds', interval '200 milliseconds' * power(2, least(waiting.attempts, 10)))`,
);
export const removeWaiting = statement("waitingRemove", `DELETE FROM waiting WHERE event_id = ANY($1::uuid[])`);
export const dueWaiting = statement<{ key: string }>(
  "waitingDue",
  `SELECT key FROM waiting WHERE next_attempt_at <= now() GROUP BY key ORDER BY min(next_attempt_at) LIMIT 200`,
);
/** What waits on a key: all of it, or one event. */
export const lockWaiting = statement<StoredEvent & { expired: boolean }>(
  "waitingLock",
  `SELECT event_id, event, since < now() - make_interval(secs => $2) AS expired FROM waiting
   WHERE key = $1 AND ($3::uuid IS NULL OR event_id = $3) ORDER BY since, event_id FOR UPDATE`,
);
export const lockWaitingById = statement<StoredEvent>(
  "waitingLockById",
  `SELECT event_id, event FROM waiting WHERE event_id = ANY($1::uuid[]) ORDER BY since, event_id FOR UPDATE`,
);
export const putParked = statement(
  "parkedPut",
  `INSERT INTO parked (event_id, key, event, reason)
   SELECT event_id, key, event::json, $4 FROM unnest($1::uuid[], $2::text[], $3::text[])
     WITH ORDINALITY AS e(event_id, key, event, position) ORDER BY position
   ON CONFLICT (event_id) DO NOTHING`,
);
export const lockParked = statement<{ key: string }>(
  "parkedLock",
  `SELECT key FROM parked WHERE key = ANY($1::text[]) ORDER BY position FOR UPDATE`,
);
export const nextParked = statement<StoredEvent>(
  "parkedNext",
  `SELECT event_id, event FROM parked WHERE key = $1 ORDER BY position LIMIT 1 FOR UPDATE`,
);
export const setParkedReason = statement("parkedReason", `UPDATE parked SET reason = $2 WHERE event_id = $1`);
export const parkedKeys = statement<{ key: string }>(
  "parkedKeys",
  `SELECT key FROM parked GROUP BY key ORDER BY min(position)`,
);
export const removeParked = statement("parkedRemove", `DELETE FROM parked WHERE event_id = $1`);
export const keyOfParked = statement<{ key: string }>("parkedKey", `SELECT key FROM parked WHERE event_id = $1`);
/** All that is parked of a key, or one event of it. */
export const discardParked = statement<StoredEvent>(
  "parkedDiscard",
  `DELETE FROM parked WHERE key = $1 AND ($2::uuid IS NULL OR event_id = $2) RETURNING event_id, event`,
);
export const countParked = statement<{ count: number }>("parkedCount", `SELECT count(*) AS count FROM parked`);

export const maintainInbox = statement<unknown>("inboxMaintain", `SELECT inbox_maintain($1, $2)`);
