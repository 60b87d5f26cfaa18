import { statement } from "@crowdcrunch/kit/database";
import type { Queryable } from "@crowdcrunch/kit/database";

// Digital deliveries as the mailing worker and the links use them. Each statement stands alone.

/** A delivery that this worker may mail until its lease ends. */
export interface ClaimedDelivery {
  id: string;
  orderId: string;
  email: string | null;
  orderNumber: string;
  attempts: number;
  lines: { id: string; name: string; quantity: number; expiresAt: string }[];
}

const claim = statement<ClaimedDelivery>(
  "deliveryClaim",
  `WITH due AS (
     SELECT id FROM digital_deliveries WHERE status IN ('TO_SEND', 'SENDING') AND next_attempt_at <= now()
     ORDER BY next_attempt_at LIMIT $1 FOR UPDATE SKIP LOCKED
   ), claimed AS (
     UPDATE digital_deliveries d SET status = 'SENDING', attempts = d.attempts + 1,
       next_attempt_at = now() + make_interval(secs => $2)
     FROM due WHERE d.id = due.id RETURNING d.*
   ), linked AS (
     UPDATE downloads l SET expires_at = now() + make_interval(days => $3) FROM claimed
     WHERE l.delivery_id = claimed.id AND l.quantity > 0 RETURNING l.*
   )
   SELECT c.id, c.order_id AS "orderId", c.email, c.attempts, f.order_number AS "orderNumber",
     (SELECT json_agg(json_build_object('id', l.id, 'name', l.name, 'quantity', l.quantity, 'expiresAt', l.expires_at) ORDER BY l.id)
      FROM linked l WHERE l.delivery_id = c.id) AS lines
   FROM claimed c JOIN fulfillments f ON f.order_id = c.order_id`,
);
const postpone = statement(
  "deliveryPostpone",
  `UPDATE digital_deliveries d SET next_attempt_at = now() + make_interval(secs => n.seconds)
   FROM unnest($1::uuid[], $2::double precision[]) AS n(id, seconds) WHERE d.id = n.id`,
);

/** Takes deliveries that are due; a crashed worker's come back when its lease ends. Links last from here. */
export function claimDeliveries(
  db: Queryable,
  terms: { atMost: number; leaseSeconds: number; linkDays: number },
): Promise<ClaimedDelivery[]> {
  return db.many(claim, [terms.atMost, terms.leaseSeconds, terms.linkDays]);
}

/** Says when deliveries are tried again. None is no statement. */
export async function postponeDeliveries(tx: Queryable, waits: { id: string; afterMs: number }[]): Promise<void> {
  if (waits.length === 0) return;
  await tx.run(postpone, [waits.map(({ id }) => id), waits.map(({ afterMs }) => afterMs / 1_000)]);
}

/** What the file of a link says. */
export interface LicensedFile {
  name: string;
  quantity: number;
  licenceKey: string;
  orderNumber: string;
}

const take = statement<LicensedFile>(
  "downloadTake",
  `UPDATE downloads l SET downloads_left = l.downloads_left - 1
   FROM digital_deliveries d JOIN fulfillments f ON f.order_id = d.order_id
   WHERE l.id = $1 AND d.id = l.delivery_id AND d.status IN ('TO_SEND', 'SENDING', 'SENT') AND l.quantity > 0
     AND l.revoked_at IS NULL AND l.expires_at > now() AND l.downloads_left > 0
   RETURNING l.name, l.quantity, l.licence_key AS "licenceKey", f.order_number AS "orderNumber"`,
);
const exists = statement<{ id: string }>("downloadExists", `SELECT id FROM downloads WHERE id = $1`);

/** Uses a link once, if it still may be used. */
export function takeDownload(db: Queryable, id: string): Promise<LicensedFile | undefined> {
  return db.one(take, [id]);
}

export async function hasDownload(db: Queryable, id: string): Promise<boolean> {
  return (await db.one(exists, [id])) !== undefined;
}
