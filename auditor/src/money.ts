import { windowStart } from "./invariant.ts";
import type { CheckedInvariant } from "./invariant.ts";

// The account that says how much a transaction of a kind is about; see services/payments/src/ledger.ts.
const amountAccount = `CASE t.kind WHEN 'AUTHORIZE' THEN 'CARD_HOLDS' WHEN 'CAPTURE' THEN 'PROVIDER_RECEIVABLE'
                         WHEN 'VOID' THEN 'OPEN_COMMITMENTS' WHEN 'REFUND' THEN 'REFUNDS' END`;

/** Payments, their ledger and the provider's book. */
export const moneyInvariants: CheckedInvariant[] = [
  {
    number: 1,
    name: "ledger_balances",
    says: "Ledger transactions balance per currency.",
    kind: "constraint",
    sql: `SELECT transaction_id, currency, sum(amount_minor) AS off_by FROM payments.ledger_entries
          GROUP BY transaction_id, currency HAVING sum(amount_minor) <> 0
          UNION ALL
          SELECT id, 'no entries', NULL FROM payments.ledger_transactions t
          WHERE NOT EXISTS (SELECT FROM payments.ledger_entries e WHERE e.transaction_id = t.id)`,
  },
  {
    number: 2,
    name: "accounts_above_floor",
    says: "No account of a payment is below its floor.",
    kind: "state",
    sql: `SELECT t.payment_id, e.account, e.currency, sum(e.amount_minor) AS balance
          FROM payments.ledger_entries e JOIN payments.ledger_transactions t ON t.id = e.transaction_id
          JOIN payments.accounts a ON a.code = e.account
          GROUP BY t.payment_id, e.account, e.currency, a.floor_sign HAVING sum(e.amount_minor) * a.floor_sign < 0`,
  },
  {
    number: 3,
    name: "payment_sums",
    says: "0 <= refunded <= captured <= authorised for each payment, each as the ledger says.",
    kind: "constraint",
    sql: `WITH ledger AS (
            SELECT t.payment_id,
              sum(e.amount_minor) FILTER (WHERE t.kind = 'AUTHORIZE') AS authorized,
              sum(e.amount_minor) FILTER (WHERE t.kind = 'CAPTURE') AS captured,
              sum(e.amount_minor) FILTER (WHERE t.kind = 'VOID') AS voided,
              sum(e.amount_minor) FILTER (WHERE t.kind = 'REFUND') AS refunded
            FROM payments.ledger_entries e JOIN payments.ledger_transactions t ON t.id = e.transaction_id
            WHERE e.account = ${amountAccount} GROUP BY t.payment_id)
          SELECT p.id, p.authorized_minor, p.captured_minor, p.voided_minor, p.refunded_minor,
                 l.authorized, l.captured, l.voided, l.refunded
          FROM payments.payments p LEFT JOIN ledger l ON l.payment_id = p.id
          WHERE p.authorized_minor <> coalesce(l.authorized, 0) OR p.captured_minor <> coalesce(l.captured, 0)
             OR p.voided_minor <> coalesce(l.voided, 0) OR p.refunded_minor <> coalesce(l.refunded, 0)
             OR p.refunded_minor < 0 OR p.refunded_minor > p.captured_minor OR p.captured_minor > p.authorized_minor
             OR p.voided_minor < 0 OR p.captured_minor + p.voided_minor > p.authorized_minor`,
  },
  {
    number: 4,
    name: "provider_agrees",
    says: "The provider's book and the ledger agree, key by key.",
    kind: "state",
    windowSeconds: 60,
    // Keys as services/payments/src/provider.ts makes them. A void of nothing moved nothing and stands in no ledger.
    sql: `WITH ledger AS (
            SELECT t.payment_id, t.kind, t.sequence, e.currency, sum(e.amount_minor) AS amount_minor
            FROM payments.ledger_entries e JOIN payments.ledger_transactions t ON t.id = e.transaction_id
            WHERE e.account = ${amountAccount} GROUP BY t.payment_id, t.kind, t.sequence, e.currency),
          ours AS (
            SELECT concat_ws(':', l.payment_id, l.kind, l.sequence, o.attempt) AS key, l.kind, l.currency, l.amount_minor,
                   p.order_id::text AS reference
            FROM ledger l JOIN payments.payments p ON p.id = l.payment_id
            LEFT JOIN payments.operations o ON o.payment_id = l.payment_id AND o.kind = l.kind AND o.sequence = l.sequence
                                           AND o.status = 'SUCCEEDED'),
          theirs AS (
            SELECT o.idempotency_key AS key, o.kind, a.currency, o.amount_minor, a.reference,
                   coalesce(o.settled_at, o.created_at) < ${windowStart} AS is_due
            FROM provider.operations o JOIN provider.authorizations a ON a.id = o.authorization_id
            WHERE o.status = 'SUCCEEDED' AND o.amount_minor > 0)
          SELECT key, ours.amount_minor AS ours, theirs.amount_minor AS theirs, ours.currency, theirs.currency AS their_currency,
                 ours.reference, theirs.reference AS their_reference
          FROM ours FULL JOIN theirs USING (key)
          WHERE theirs.kind IS NULL OR (ours.kind IS NULL AND theirs.is_due)
             OR (ours.kind, ours.currency, ours.amount_minor, ours.reference)
                  <> (theirs.kind, theirs.currency, theirs.amount_minor, theirs.reference)`,
  },
  {
    number: 5,
    name: "one_success",
    says: "At most one successful attempt for each (payment, operation, sequence).",
    kind: "constraint",
    sql: `SELECT payment_id, kind, sequence, count(*) AS successes FROM payments.operations WHERE status = 'SUCCEEDED'
          GROUP BY payment_id, kind, sequence HAVING count(*) > 1`,
  },
  {
    number: 7,
    name: "captured_has_an_order",
    says: "No captured money without a live order or a refund after 15 min.",
    kind: "state",
    windowSeconds: 900,
    sql: `SELECT p.id, p.order_id, o.status, p.captured_minor, p.refunded_minor
          FROM payments.payments p LEFT JOIN orders.orders o ON o.id = p.order_id
          WHERE p.captured_minor > p.refunded_minor AND (o.id IS NULL OR o.status IN ('REJECTED', 'CANCELLED'))
            AND NOT EXISTS (SELECT FROM payments.ledger_transactions t
                            WHERE t.payment_id = p.id AND t.kind = 'CAPTURE' AND t.posted_at >= ${windowStart})
            AND NOT EXISTS (SELECT FROM orders.timeline t
                            WHERE t.order_id = o.id AND t.what IN ('REJECTED', 'CANCELLED') AND t.at >= ${windowStart})`,
  },
];
