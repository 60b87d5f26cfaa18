/** What must hold, as queries that give the rows which break it. Numbers and words are those of docs/invariants.md. */

/** How an invariant is checked: by rows of the database, by what the log holds, or by a constraint besides. */
export type Kind = "state" | "log" | "constraint";

export interface Invariant {
  number: number;
  /** A name for metrics and tests. */
  name: string;
  says: string;
  kind: Kind;
  /**
   * Gives offending rows, each with what identifies it. `$1` is the window in seconds: what is younger may still be on its
   * way. A query that does not mention it holds at any moment.
   */
  sql: string;
}

/** The services whose schemas have the kit's tables. */
const services = ["users", "customers", "inventory", "orders", "payments", "fulfillment", "exchanges", "frontend"];

const overServices = (query: (schema: string) => string) => services.map(query).join("\nUNION ALL\n");

export const invariants: Invariant[] = [
  {
    number: 1,
    name: "ledger_balances",
    says: "Ledger transactions balance per currency.",
    kind: "constraint",
    sql: `SELECT transaction_id, currency, sum(amount_minor) AS off_by FROM payments.ledger_entries
          GROUP BY transaction_id, currency HAVING sum(amount_minor) <> 0
          UNION ALL
          SELECT id, NULL, NULL FROM payments.ledger_transactions t
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
              coalesce(sum(e.amount_minor) FILTER (WHERE t.kind = 'AUTHORIZE' AND e.account = 'CARD_HOLDS'), 0) AS authorized,
              coalesce(sum(e.amount_minor) FILTER (WHERE t.kind = 'CAPTURE' AND e.account = 'PROVIDER_RECEIVABLE'), 0) AS captured,
              coalesce(sum(e.amount_minor) FILTER (WHERE t.kind = 'REFUND' AND e.account = 'REFUNDS'), 0) AS refunded
            FROM payments.ledger_entries e JOIN payments.ledger_transactions t ON t.id = e.transaction_id GROUP BY t.payment_id)
          SELECT p.id, p.authorized_minor, p.captured_minor, p.refunded_minor, l.authorized, l.captured, l.refunded
          FROM payments.payments p LEFT JOIN ledger l ON l.payment_id = p.id
          WHERE (p.authorized_minor, p.captured_minor, p.refunded_minor)
                  IS DISTINCT FROM (coalesce(l.authorized, 0), coalesce(l.captured, 0), coalesce(l.refunded, 0))
             OR NOT (0 <= p.refunded_minor AND p.refunded_minor <= p.captured_minor AND p.captured_minor <= p.authorized_minor)`,
  },
  {
    number: 4,
    name: "provider_agrees",
    says: "The provider's book and the ledger agree, key by key.",
    kind: "state",
    sql: `WITH ours AS (
            SELECT id, payment_id::text || ':' || kind || ':' || sequence || ':' || attempt AS key, kind, amount_minor
            FROM payments.operations WHERE status = 'SUCCEEDED' AND NOT (kind = 'VOID' AND amount_minor = 0)),
          theirs AS (
            SELECT idempotency_key AS key, kind, amount_minor FROM provider.operations
            WHERE status = 'SUCCEEDED' AND amount_minor > 0 AND coalesce(settled_at, created_at) < now() - make_interval(secs => $1))
          SELECT coalesce(ours.key, theirs.key) AS key, ours.amount_minor AS ours, theirs.amount_minor AS theirs
          FROM ours FULL JOIN theirs ON ours.key = theirs.key
          WHERE theirs.key IS NULL AND NOT EXISTS (SELECT FROM provider.operations o WHERE o.idempotency_key = ours.key)
             OR ours.key IS NULL OR ours.amount_minor <> theirs.amount_minor`,
  },
  {
    number: 5,
    name: "one_success",
    says: "At most one successful attempt for each (payment, operation, sequence).",
    kind: "constraint",
    sql: `SELECT payment_id, kind, sequence, count(*) FROM payments.operations WHERE status = 'SUCCEEDED'
          GROUP BY payment_id, kind, sequence HAVING count(*) > 1`,
  },
  {
    number: 6,
    name: "confirmed_is_covered",
    says: "A confirmed order has an authorised payment, or nothing due, and a held or consumed reservation for its physical lines.",
    kind: "state",
    sql: `SELECT o.number, o.status, p.authorized_minor, o.due_minor FROM orders.orders o
          LEFT JOIN payments.payments p ON p.id = o.payment_id
          WHERE o.status IN ('CONFIRMED', 'PARTIALLY_SHIPPED', 'SHIPPED', 'PARTIALLY_DELIVERED', 'DELIVERED', 'COMPLETED')
            AND (o.due_minor > 0 AND coalesce(p.authorized_minor, 0) < o.due_minor
              OR EXISTS (SELECT FROM orders.order_lines l WHERE l.order_id = o.id AND NOT l.digital AND l.quantity > l.cancelled
                AND NOT EXISTS (SELECT FROM inventory.reservations r WHERE r.order_id = o.id AND r.line_id = l.id)))`,
  },
  {
    number: 7,
    name: "captured_has_an_order",
    says: "No captured money without a live order or a refund.",
    kind: "state",
    sql: `SELECT p.id, p.captured_minor, p.refunded_minor, o.status FROM payments.payments p
          LEFT JOIN orders.orders o ON o.id = p.order_id
          WHERE p.captured_minor > p.refunded_minor AND (o.id IS NULL OR o.status IN ('REJECTED', 'CANCELLED'))
            AND p.created_at < now() - make_interval(secs => $1)`,
  },
  {
    number: 8,
    name: "stock_sums",
    says: "on_hand >= 0 and 0 <= reserved <= on_hand.",
    kind: "constraint",
    sql: `SELECT sku_id, location_id, on_hand, reserved FROM inventory.stock WHERE on_hand < 0 OR reserved < 0 OR reserved > on_hand`,
  },
  {
    number: 9,
    name: "stock_is_its_movements",
    says: "On hand is the sum of stock movements, per SKU and location.",
    kind: "state",
    sql: `SELECT coalesce(s.sku_id, m.sku_id) AS sku_id, coalesce(s.location_id, m.location_id) AS location_id, s.on_hand, m.moved
          FROM inventory.stock s FULL JOIN (
            SELECT sku_id, location_id, sum(quantity) AS moved FROM inventory.movements GROUP BY sku_id, location_id) m
            ON m.sku_id = s.sku_id AND m.location_id = s.location_id
          WHERE coalesce(s.on_hand, 0) <> coalesce(m.moved, 0)`,
  },
  {
    number: 10,
    name: "reserved_is_its_reservations",
    says: "Reserved is the sum of active reservations, per SKU and location.",
    kind: "state",
    sql: `SELECT coalesce(s.sku_id, r.sku_id) AS sku_id, coalesce(s.location_id, r.location_id) AS location_id, s.reserved, r.active
          FROM inventory.stock s FULL JOIN (
            SELECT sku_id, location_id, sum(quantity - consumed - released) AS active FROM inventory.reservations
            GROUP BY sku_id, location_id) r ON r.sku_id = s.sku_id AND r.location_id = s.location_id
          WHERE coalesce(s.reserved, 0) <> coalesce(r.active, 0)`,
  },
  {
    number: 11,
    name: "reservations_end",
    says: "No reservation is resolved twice, and none is held for an order that has been terminal for 30 s.",
    kind: "state",
    sql: `SELECT r.order_id, r.line_id, r.quantity, r.consumed, r.released, o.status FROM inventory.reservations r
          JOIN orders.orders o ON o.id = r.order_id
          WHERE r.consumed + r.released > r.quantity
             OR (r.consumed + r.released < r.quantity AND o.status IN ('COMPLETED', 'REJECTED', 'CANCELLED')
               AND (SELECT max(at) FROM orders.timeline t WHERE t.order_id = o.id) < now() - make_interval(secs => $1))`,
  },
  {
    number: 12,
    name: "order_totals",
    says: "Order total = lines + tax + shipping - discount, in one currency.",
    kind: "constraint",
    sql: `SELECT o.number, o.total_minor FROM orders.orders o
          JOIN (SELECT order_id, sum(unit_minor * quantity) AS gross, sum(tax_minor) AS tax, sum(discount_minor) AS discount, sum(paid_minor) AS paid
                FROM orders.order_lines GROUP BY order_id) l ON l.order_id = o.id
          WHERE o.total_minor <> o.items_minor + o.tax_minor + o.shipping_minor - o.discount_minor
             OR o.total_minor <> l.paid + o.shipping_minor OR o.tax_minor <> l.tax OR o.discount_minor <> l.discount
             OR o.items_minor <> l.gross - l.tax
             OR EXISTS (SELECT FROM payments.payments p WHERE p.id = o.payment_id AND p.currency <> o.currency)`,
  },
  {
    number: 13,
    name: "returns_within_sales",
    says: "Returned <= shipped and refunded <= paid, for each line.",
    kind: "constraint",
    sql: `SELECT order_id, id, shipped, returned, paid_minor, refunded_minor FROM orders.order_lines
          WHERE returned > shipped OR refunded_minor > paid_minor`,
  },
  {
    number: 14,
    name: "outbox_drains",
    says: "No unpublished outbox row older than 60 s.",
    kind: "state",
    sql: overServices((s) => `SELECT '${s}' AS service, id, type, key FROM ${s}.outbox WHERE time < now() - make_interval(secs => $1)`),
  },
  {
    number: 16,
    name: "one_effect",
    says: "No effect twice for (event, consumer).",
    kind: "constraint",
    sql: `SELECT order_id, what, detail, count(*) FROM orders.timeline
          WHERE what IN ('PLACED', 'STOCK_RESERVED', 'CONFIRMED', 'COMPLETED', 'REJECTED', 'CANCELLED')
          GROUP BY order_id, what, detail HAVING count(*) > 1`,
  },
  {
    number: 17,
    name: "versions_without_gap",
    says: "Distinct events of an aggregate have versions 1 to n without gap.",
    kind: "log",
    sql: `SELECT topic, subject, count(*) AS events, max(sequence) AS highest FROM (
            SELECT DISTINCT topic, subject, id, sequence FROM eventlog.events WHERE NOT republished) e
          GROUP BY topic, subject HAVING count(*) <> max(sequence) OR min(sequence) <> 1 OR count(DISTINCT sequence) <> count(*)`,
  },
  {
    number: 19,
    name: "sagas_end",
    says: "No saga is past its deadline by 5 min without a terminal state.",
    kind: "state",
    sql: `SELECT number, status, deadline_at FROM orders.orders
          WHERE status IN ('PENDING', 'AWAITING_PAYMENT', 'PAYMENT_ACTION_REQUIRED') AND deadline_at < now() - make_interval(secs => 5 * $1)`,
  },
  {
    number: 20,
    name: "one_result",
    says: "One idempotency key, one result.",
    kind: "constraint",
    sql: `SELECT placed_by, idempotency_key, count(*)::text AS orders FROM orders.orders GROUP BY placed_by, idempotency_key HAVING count(*) > 1
          UNION ALL
          SELECT i.principal::uuid, i.key, i.result->>'orderId' FROM orders.idempotency i
          WHERE i.operation = 'placeOrder' AND NOT EXISTS (SELECT FROM orders.orders o WHERE o.id = (i.result->>'orderId')::uuid)`,
  },
  {
    number: 21,
    name: "parked_has_an_incident",
    says: "No parked event without an open incident.",
    kind: "state",
    sql: overServices(
      (s) => `SELECT '${s}' AS service, event_id, key FROM ${s}.parked p
              WHERE NOT EXISTS (SELECT FROM ${s}.incidents i WHERE i.kind = 'EVENT_PARKED' AND i.subject = p.key AND i.resolved_at IS NULL)`,
    ),
  },
  {
    number: 23,
    name: "entries_only_added",
    says: "Ledger and movement tables refuse UPDATE and DELETE to the service's role.",
    kind: "constraint",
    sql: `SELECT t.name, p.privilege FROM (VALUES ('payments', 'payments.ledger_entries'), ('payments', 'payments.ledger_transactions'),
            ('inventory', 'inventory.movements')) AS t(role, name), (VALUES ('UPDATE'), ('DELETE'), ('TRUNCATE')) AS p(privilege)
          WHERE has_table_privilege(t.role, t.name, p.privilege)`,
  },
];
