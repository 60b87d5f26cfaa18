import { overServices, windowStart } from "./invariant.ts";
import type { CheckedInvariant } from "./invariant.ts";

/** Orders: what covers them, what they are worth, and that they come to an end. */
export const ordersInvariants: CheckedInvariant[] = [
  {
    number: 6,
    name: "confirmed_is_covered",
    says: "A confirmed order has an authorised payment, or nothing due, and a held or consumed reservation for its physical lines.",
    kind: "state",
    sql: `WITH confirmed AS (
            SELECT id, number, status, currency, due_minor, payment_id FROM orders.orders
            WHERE status IN ('CONFIRMED', 'PARTIALLY_SHIPPED', 'SHIPPED', 'PARTIALLY_DELIVERED', 'DELIVERED', 'COMPLETED'))
          SELECT o.number, o.status, 'due ' || o.due_minor || ', authorised ' || coalesce(p.authorized_minor, 0) AS uncovered
          FROM confirmed o LEFT JOIN payments.payments p ON p.id = o.payment_id AND p.order_id = o.id AND p.currency = o.currency
          WHERE coalesce(p.authorized_minor, 0) < o.due_minor
          UNION ALL
          SELECT o.number, o.status, 'line ' || l.id || ': ' || l.quantity - l.cancelled || ' units, reserved ' || coalesce(r.units, 0)
          FROM confirmed o JOIN orders.order_lines l ON l.order_id = o.id LEFT JOIN (
            SELECT order_id, line_id, sum(quantity - released) AS units FROM inventory.reservations GROUP BY order_id, line_id) r
            ON r.order_id = o.id AND r.line_id = l.id
          WHERE NOT l.digital AND coalesce(r.units, 0) < l.quantity - l.cancelled`,
  },
  {
    number: 12,
    name: "order_totals",
    says: "Order total = lines + tax + shipping - discount, in one currency.",
    kind: "constraint",
    // Prices include tax: lines without it are what the items are worth.
    sql: `SELECT o.number, o.currency, o.total_minor, o.items_minor, o.tax_minor, o.shipping_minor, o.discount_minor,
                 l.gross, l.tax, l.discount, p.currency AS payment_currency
          FROM orders.orders o LEFT JOIN (
            SELECT order_id, sum(unit_minor * quantity) AS gross, sum(tax_minor) AS tax, sum(discount_minor) AS discount,
                   sum(paid_minor) AS paid
            FROM orders.order_lines GROUP BY order_id) l ON l.order_id = o.id
          LEFT JOIN payments.payments p ON p.order_id = o.id AND p.currency <> o.currency
          WHERE l.order_id IS NULL OR p.id IS NOT NULL
             OR o.total_minor <> o.items_minor + o.tax_minor + o.shipping_minor - o.discount_minor
             OR o.total_minor <> l.paid + o.shipping_minor OR l.paid <> l.gross - l.discount
             OR o.tax_minor <> l.tax OR o.discount_minor <> l.discount OR o.items_minor <> l.gross - l.tax`,
  },
  {
    number: 13,
    name: "returns_within_sales",
    says: "Returned <= shipped and refunded <= paid, for each line.",
    kind: "constraint",
    // Orders credits what exchanges took back, which is what its returns accepted, and no more than was delivered.
    sql: `WITH accepted AS (
            SELECT line_id, sum(restocked + written_off) AS units FROM exchanges.return_lines GROUP BY line_id)
          SELECT coalesce(l.id, e.line_id) AS line_id, l.shipped, l.returned AS credited, e.returned, a.units AS accepted,
                 e.pending, e.delivered, l.refunded_minor, l.paid_minor
          FROM orders.order_lines l FULL JOIN exchanges.order_lines e ON e.line_id = l.id
          LEFT JOIN accepted a ON a.line_id = e.line_id
          WHERE l.returned > l.shipped OR l.refunded_minor > l.paid_minor OR l.returned > coalesce(e.returned, 0)
             OR e.returned <> coalesce(a.units, 0) OR e.pending + e.returned > e.delivered`,
  },
  {
    number: 19,
    name: "sagas_end",
    says: "No saga is past its deadline by 5 min without a terminal state.",
    kind: "state",
    windowSeconds: 300,
    // A cancelled order has ended for its shopper, but the saga only when stock and money are back. What the provider
    // refuses to void is an incident, which staff resolve.
    sql: `SELECT number, status, deadline_at AS since FROM orders.orders
          WHERE status IN ('PENDING', 'AWAITING_PAYMENT', 'PAYMENT_ACTION_REQUIRED') AND deadline_at < ${windowStart}
          UNION ALL
          SELECT o.number, o.status || CASE WHEN o.awaits_stock THEN ', awaits stock' ELSE ', awaits its void' END, t.at
          FROM orders.orders o LEFT JOIN orders.timeline t ON t.order_id = o.id AND t.what = 'CANCELLED'
          WHERE (o.awaits_stock OR o.awaits_void) AND coalesce(t.at, o.placed_at) < ${windowStart}
            AND (o.awaits_stock OR NOT EXISTS (
              SELECT FROM payments.incidents i
              WHERE i.kind = 'VOID_FAILED' AND i.subject = o.payment_id::text || '/1' AND i.resolved_at IS NULL))`,
  },
  {
    number: 20,
    name: "one_result",
    says: "One idempotency key, one result.",
    kind: "constraint",
    sql: `SELECT placed_by::text AS principal, 'placeOrder' AS operation, idempotency_key AS key, count(*) || ' orders' AS result
          FROM orders.orders GROUP BY placed_by, idempotency_key HAVING count(*) > 1
          UNION ALL
          SELECT i.principal, i.operation, i.key, 'no such order: ' || coalesce(i.result::text, 'null')
          FROM orders.idempotency i LEFT JOIN orders.orders o ON o.id = (i.result->>'orderId')::uuid
            AND o.placed_by::text = i.principal AND o.idempotency_key = i.key
          WHERE i.operation = 'placeOrder' AND o.id IS NULL
          UNION ALL
          ${overServices(
            (
              service,
            ) => `SELECT principal, '${service}.' || operation, key, count(*) || ' results' FROM ${service}.idempotency
                          GROUP BY principal, operation, key HAVING count(*) > 1`,
          )}`,
  },
];
