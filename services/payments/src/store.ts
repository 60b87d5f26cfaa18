import { statement } from "@crowdcrunch/kit/database";
import type { DueOperation, Operation, OperationStatus, Payment } from "./payment.ts";

const paymentColumns = `id, order_id AS "orderId", customer_id AS "customerId", currency, status, amount_minor AS "amountMinor",
  authorized_minor AS "authorizedMinor", captured_minor AS "capturedMinor", voided_minor AS "voidedMinor",
  refunded_minor AS "refundedMinor", instructed_minor AS "instructedMinor", capturable_minor AS "capturableMinor", refunds,
  provider_id AS "providerId", action_url AS "actionUrl", card_brand AS "cardBrand", card_last4 AS "cardLast4",
  expires_at AS "expiresAt", version, EXISTS (SELECT FROM erased e WHERE e.customer_id = payments.customer_id) AS erased`;

/** Locks payments in the order of their ids. `now` is the transaction's time. */
export const lockPayments = statement<Payment & { now: Date }>(
  "lockPayments",
  `SELECT ${paymentColumns}, now() FROM payments WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE`,
);

/**
 * The operations of payments that are not settled, and those that are named. Run after `lockPayments`, as a statement of
 * its own: joined to it, it would still show what stood there before the lock was given.
 */
export const operationsToSettle = statement<Operation>(
  "operationsToSettle",
  `SELECT o.id, o.payment_id AS "paymentId", o.kind, o.sequence, o.attempt, o.amount_minor AS "amountMinor", o.status, o.code,
     o.unknown_since AS "unknownSince", o.unresolved_told AS "unresolvedTold",
     CASE WHEN r.id IS NOT NULL THEN json_build_object('id', r.id, 'orderId', r.order_id, 'customerId', r.customer_id, 'version', r.version) END AS refund
   FROM operations o LEFT JOIN refunds r ON r.id = o.refund_id
   WHERE o.payment_id = ANY($1::uuid[])
     AND (o.status IN ('PENDING', 'UNKNOWN', 'ACTION_REQUIRED')
       OR (o.payment_id, o.kind, o.sequence, o.attempt) IN (SELECT * FROM unnest($1::uuid[], $2::text[], $3::int[], $4::int[])))
   ORDER BY o.id`,
);

const dueColumns = `o.payment_id AS "paymentId", o.kind, o.sequence, o.attempt, o.amount_minor AS "amountMinor", o.token, o.tries,
  p.order_id AS "orderId", p.order_number AS "orderNumber", p.currency, p.provider_id AS "providerId",
  p.authorized_minor AS "authorizedMinor", p.captured_minor AS "capturedMinor", p.voided_minor AS "voidedMinor",
  p.refunded_minor AS "refundedMinor", p.capturable_minor AS "capturableMinor"`;

/** How long who takes an operation up has it for himself, as long as he is there: $2 is his presence's number. */
const lease = `interval '10 seconds'`;

/**
 * Opens payments with their first authorization, which the caller has taken up by that; for a further card only the
 * operation is added, to be claimed when the former ones are settled. Returns the operations that are taken up.
 */
export const openPayments = statement<DueOperation>(
  "openPayments",
  `WITH incoming AS (
     SELECT * FROM json_to_recordset($1::json) AS n(id uuid, order_id uuid, order_number text, customer_id uuid, currency text, amount_minor bigint, attempt int, token text)
   ), opened AS (
     INSERT INTO payments (id, order_id, order_number, customer_id, currency, amount_minor, capturable_minor)
     SELECT id, order_id, order_number, customer_id, currency, amount_minor, amount_minor FROM incoming
     ON CONFLICT (id) DO UPDATE SET status = 'PENDING', action_url = NULL, amount_minor = excluded.amount_minor, capturable_minor = excluded.capturable_minor
       WHERE payments.status = 'DECLINED'
   ), added AS (
     INSERT INTO operations (payment_id, kind, sequence, amount_minor, token, tries, next_try_at, taken_by)
     SELECT id, 'AUTHORIZE', attempt, amount_minor, token, CASE WHEN attempt = 1 THEN 1 ELSE 0 END, CASE WHEN attempt = 1 THEN now() + ${lease} ELSE now() END,
       CASE WHEN attempt = 1 THEN $2::int END
     FROM incoming ON CONFLICT DO NOTHING RETURNING payment_id, sequence, tries
   )
   SELECT n.id AS "paymentId", 'AUTHORIZE' AS kind, n.attempt AS sequence, 1 AS attempt, n.amount_minor AS "amountMinor", n.token, a.tries,
     n.order_id AS "orderId", n.order_number AS "orderNumber", n.currency, NULL AS "providerId", 0 AS "authorizedMinor", 0 AS "capturedMinor",
     0 AS "voidedMinor", 0 AS "refundedMinor", n.amount_minor AS "capturableMinor", false AS "actionOpen"
   FROM added a JOIN incoming n ON n.id = a.payment_id AND n.attempt = a.sequence WHERE a.tries = 1`,
);

/** Takes up operations that are due and have no unsettled one before them, for the length of a lease. */
export const claimOperations = statement<DueOperation>(
  "claimOperations",
  `UPDATE operations o SET tries = o.tries + 1, next_try_at = now() + ${lease}, taken_by = $2
   FROM (
     SELECT id FROM operations d WHERE status IN ('PENDING', 'UNKNOWN') AND next_try_at <= now()
       AND NOT EXISTS (SELECT FROM operations e WHERE e.payment_id = d.payment_id AND e.id < d.id AND e.status IN ('PENDING', 'UNKNOWN'))
     ORDER BY next_try_at LIMIT $1 FOR UPDATE SKIP LOCKED
   ) due, payments p
   WHERE o.id = due.id AND p.id = o.payment_id
   RETURNING ${dueColumns}, EXISTS (SELECT FROM operations e WHERE e.payment_id = p.id AND e.id <> o.id AND e.status = 'ACTION_REQUIRED') AS "actionOpen"`,
);

/** The space of the advisory locks that show which payments processes run. */
export const presenceLockSpace = 4_005;

/** Ends the leases of those who are no longer there. */
export const releaseAbandoned = statement(
  "releaseAbandoned",
  `UPDATE operations SET next_try_at = now(), taken_by = NULL
   WHERE status IN ('PENDING', 'UNKNOWN') AND next_try_at > now() AND taken_by <> ALL (
     SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = ${presenceLockSpace} AND objsubid = 2
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`,
);

/** Stores what transitions changed. An unknown outcome is looked up again after 0.2 s, doubled up to 30 s. */
export const saveTransitions = statement(
  "saveTransitions",
  `WITH saved AS (
     UPDATE payments p SET status = n.status, authorized_minor = n."authorizedMinor", captured_minor = n."capturedMinor", voided_minor = n."voidedMinor",
       refunded_minor = n."refundedMinor", provider_id = n."providerId", action_url = n."actionUrl", card_brand = n."cardBrand",
       card_last4 = n."cardLast4", expires_at = n."expiresAt", version = n.version
     FROM json_to_recordset($1::json) AS n(id uuid, status text, "authorizedMinor" bigint, "capturedMinor" bigint, "voidedMinor" bigint,
       "refundedMinor" bigint, "providerId" text, "actionUrl" text, "cardBrand" text, "cardLast4" text, "expiresAt" timestamptz, version int)
     WHERE p.id = n.id
   )
   UPDATE operations o SET status = n.status, code = n.code, amount_minor = n."amountMinor", unknown_since = n."unknownSince", unresolved_told = n."unresolvedTold",
     settled_at = CASE WHEN n.status IN ('SUCCEEDED', 'FAILED') THEN now() END,
     taken_by = NULL, token = CASE WHEN n.status IN ('PENDING', 'UNKNOWN') THEN o.token END,
     next_try_at = CASE WHEN n.status = 'UNKNOWN' THEN now() + least(interval '30 seconds', interval '100 milliseconds' * power(2, least(o.tries, 12))) ELSE o.next_try_at END
   FROM json_to_recordset($2::json) AS n(id bigint, status text, code text, "amountMinor" bigint, "unknownSince" timestamptz, "unresolvedTold" boolean)
   WHERE o.id = n.id`,
);

export const settleRefunds = statement(
  "settleRefunds",
  `UPDATE refunds r SET status = n.status, code = n.code, version = n.version, settled_at = CASE WHEN n.status = 'SETTLED' THEN now() END
   FROM json_to_recordset($1::json) AS n(id uuid, status text, code text, version int) WHERE r.id = n.id`,
);

export const postEntries = statement(
  "postEntries",
  `WITH posted AS (
     INSERT INTO ledger_transactions (id, payment_id, kind, sequence)
     SELECT id, "paymentId", kind, sequence FROM json_to_recordset($1::json) AS t(id uuid, "paymentId" uuid, kind text, sequence int)
   )
   INSERT INTO ledger_entries (transaction_id, line, account, currency, amount_minor)
   SELECT "transactionId", line, account, currency, "amountMinor"
   FROM json_to_recordset($2::json) AS e("transactionId" uuid, line int, account text, currency text, "amountMinor" bigint)`,
);

/** Stores what instructions changed, and the operations that they ask for, in their order. */
export const saveInstructions = statement(
  "saveInstructions",
  `WITH saved AS (
     UPDATE payments p SET instructed_minor = n."instructedMinor", capturable_minor = n."capturableMinor", refunds = n.refunds
     FROM json_to_recordset($1::json) AS n(id uuid, "instructedMinor" bigint, "capturableMinor" bigint, refunds int) WHERE p.id = n.id
   ), refunding AS (
     INSERT INTO refunds (id, payment_id, order_id, customer_id, amount_minor, currency, reason)
     SELECT id, "paymentId", "orderId", "customerId", "amountMinor", currency, reason
     FROM json_to_recordset($2::json) AS r(id uuid, "paymentId" uuid, "orderId" uuid, "customerId" uuid, "amountMinor" bigint, currency text, reason text)
   )
   INSERT INTO operations (payment_id, kind, sequence, amount_minor, refund_id)
   SELECT "paymentId", kind, sequence, "amountMinor", "refundId"
   FROM ROWS FROM (json_to_recordset($3::json) AS ("paymentId" uuid, kind text, sequence int, "amountMinor" bigint, "refundId" uuid))
     WITH ORDINALITY AS o("paymentId", kind, sequence, "amountMinor", "refundId", position)
   ORDER BY position
   ON CONFLICT (payment_id, kind, sequence, attempt) DO NOTHING`,
);

export const reassignOrders = statement(
  "reassignOrders",
  `WITH incoming AS (SELECT * FROM unnest($1::uuid[], $2::uuid[]) AS n(order_id, customer_id)),
   refunding AS (UPDATE refunds r SET customer_id = n.customer_id FROM incoming n WHERE r.order_id = n.order_id)
   UPDATE payments p SET customer_id = n.customer_id FROM incoming n WHERE p.order_id = n.order_id`,
);

export const eraseCustomers = statement(
  "eraseCustomers",
  `WITH noted AS (INSERT INTO erased (customer_id, at) SELECT * FROM unnest($1::uuid[], $2::timestamptz[]) ON CONFLICT DO NOTHING)
   UPDATE payments SET card_brand = NULL, card_last4 = NULL WHERE customer_id = ANY($1::uuid[]) AND card_last4 IS NOT NULL`,
);

export const closeIncident = statement(
  "closeIncident",
  `UPDATE incidents SET resolved_at = now(), resolved_by = 'payments', resolution = 'it succeeded when it was tried again'
   WHERE kind = $1 AND subject = $2 AND resolved_at IS NULL`,
);

export const lastAttempt = statement<{ id: number; status: OperationStatus }>(
  "lastAttempt",
  `SELECT id, status FROM operations WHERE payment_id = $1 AND kind = $2 AND sequence = $3 ORDER BY attempt DESC LIMIT 1`,
);
/** The same operation once more, under the next attempt's key. */
export const addAttempt = statement(
  "addAttempt",
  `INSERT INTO operations (payment_id, kind, sequence, attempt, amount_minor, refund_id)
   SELECT payment_id, kind, sequence, attempt + 1, amount_minor, refund_id FROM operations WHERE id = $1`,
);
export const hasten = statement("hasten", `UPDATE operations SET next_try_at = now() WHERE id = $1`);

export const insertDispute = statement(
  "insertDispute",
  `INSERT INTO disputes (idempotency_key, payment_id, amount_minor, reason) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
);
export const countEvent = statement("countEvent", `UPDATE payments SET version = $2 WHERE id = $1`);
