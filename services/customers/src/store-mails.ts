import { statement } from "@crowdcrunch/kit/database";
import type { Queryable } from "@crowdcrunch/kit/database";
import type { Letter } from "./letters.ts";

// Mails: written with the event, sent later.

// A guest's mail is the account's who claimed the guest. Where an address is neither in the event nor in the profile the
// mail waits for a profile that has not come yet; people who are known and have none get no mail.
const queue = statement(
  "mailQueue",
  `INSERT INTO mails (id, customer_id, kind, about, email, subject, text, expires_at)
   SELECT n.id, o.owner, n.kind, n.about, coalesce(n.email, c.email), n.subject, n.text, n."expiresAt"
   FROM json_to_recordset($1::json) AS n(id uuid, "customerId" uuid, kind text, about uuid, email text, subject text, text text,
     "expiresAt" timestamptz)
   LEFT JOIN claims ON claims.guest_id = n."customerId"
   CROSS JOIN LATERAL (SELECT coalesce(claims.user_id, n."customerId") AS owner) o
   LEFT JOIN customers c ON c.id = o.owner
   WHERE (n.email IS NOT NULL OR c.email IS NOT NULL OR c.id IS NULL)
     AND NOT EXISTS (SELECT FROM erased WHERE erased.customer_id IN (o.owner, n."customerId"))
     AND (n.kind <> 'CART_REMINDER' OR EXISTS (
       SELECT FROM consents k WHERE k.customer_id = o.owner AND k.purpose = 'CART_REMINDERS' AND k.granted))
   ON CONFLICT DO NOTHING`,
);

/** Longer than a mail server may take to answer. */
const leaseMinutes = 5;

const claim = statement<DueMail>(
  "mailClaim",
  `UPDATE mails SET attempts = attempts + 1, next_attempt_at = now() + make_interval(mins => $2)
   WHERE id = ANY (ARRAY(
     SELECT id FROM mails WHERE state = 'QUEUED' AND email IS NOT NULL AND next_attempt_at <= now()
     ORDER BY next_attempt_at LIMIT $1 FOR UPDATE SKIP LOCKED))
   RETURNING id, email AS "to", subject, text, attempts, coalesce(expires_at <= now(), false) AS expired`,
);
// The lease may have ended and somebody else may have sent it: what was sent stays sent.
const settle = statement(
  "mailSettle",
  `UPDATE mails m SET state = n.state, last_error = n.error,
     sent_at = CASE WHEN n.state = 'SENT' THEN now() END,
     next_attempt_at = now() + make_interval(secs => coalesce(n."retrySeconds", 0)),
     text = CASE WHEN n.state = 'QUEUED' THEN m.text ELSE regexp_replace(m.text, '([?&](key|token)=)[^[:space:]&]+', '\\1…', 'g') END
   FROM json_to_recordset($1::json) AS n(id uuid, state text, error text, "retrySeconds" int)
   WHERE m.id = n.id AND m.state = 'QUEUED'`,
);

const ofCustomer = statement<MailRow>(
  "mailOfCustomer",
  `SELECT id, kind, email AS "to", subject, text, state, queued_at AS "queuedAt", sent_at AS "sentAt" FROM mails
   WHERE customer_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3`,
);

export interface MailRow {
  id: string;
  kind: string;
  to: string | null;
  subject: string;
  text: string;
  state: "QUEUED" | "SENT" | "FAILED" | "EXPIRED";
  queuedAt: Date;
  sentAt: Date | null;
}

/** A mail that is to be sent now, under a lease. */
export interface DueMail {
  id: string;
  to: string;
  subject: string;
  text: string;
  /** With this one. */
  attempts: number;
  expired: boolean;
}

/** What became of an attempt. */
export interface Attempt {
  id: string;
  state: MailRow["state"];
  error?: string;
  /** For a mail that stays QUEUED: when it is tried again. */
  retrySeconds?: number;
}

/** Writes the mails that their recipients may get; one an event and one reminder a cart. Resolves to their number. */
export function queueMails(tx: Queryable, letters: Letter[]): Promise<number> {
  return tx.run(queue, [JSON.stringify(letters)]);
}

/** Mails whose time has come; for five minutes nobody else gets them. */
export function claimMails(db: Queryable, limit: number): Promise<DueMail[]> {
  return db.many(claim, [limit, leaseMinutes]);
}

/** Keeps what became of the attempts; from mails that are done the secrets in links go. */
export async function settleMails(tx: Queryable, attempts: Attempt[]): Promise<void> {
  await tx.run(settle, [JSON.stringify(attempts)]);
}

/** The person's mails, newest first. */
export function findMails(db: Queryable, customerId: string, after: string | null, limit: number): Promise<MailRow[]> {
  return db.many(ofCustomer, [customerId, after, limit]);
}
