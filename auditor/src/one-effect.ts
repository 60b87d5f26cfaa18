import type { CheckedInvariant } from "./invariant.ts";

/**
 * The inbox lets no event in twice. What it could not know of (two events for one thing, a handler that counts twice)
 * shows where the effects of one service exceed what another service told it: each of these holds at any moment, because
 * the cause is committed before its effect.
 */
export const oneEffect: CheckedInvariant = {
  number: 16,
  name: "one_effect",
  says: "No effect twice for (event, consumer).",
  kind: "constraint",
  sql: `SELECT 'orders: ' || what || ' in the timeline' AS effect, order_id::text AS id, count(*) AS done, 1 AS told
        FROM orders.timeline WHERE what IN ('PLACED', 'STOCK_RESERVED', 'CONFIRMED', 'COMPLETED', 'REJECTED', 'CANCELLED')
        GROUP BY order_id, what HAVING count(*) > 1
        UNION ALL
        SELECT 'inventory: ' || reason || ' movement of line ' || line_id, reference, count(*), 1 FROM inventory.movements
        WHERE reference IS NOT NULL GROUP BY reason, reference, line_id, location_id HAVING count(*) > 1
        UNION ALL
        SELECT 'inventory: units out of stock of line', coalesce(r.line_id, m.line_id)::text, coalesce(m.units, 0), coalesce(r.consumed, 0)
        FROM (SELECT line_id, location_id, sum(consumed) AS consumed FROM inventory.reservations GROUP BY line_id, location_id) r
        FULL JOIN (SELECT line_id, location_id, -sum(quantity) AS units FROM inventory.movements WHERE reason = 'SALE'
                   GROUP BY line_id, location_id) m USING (line_id, location_id)
        WHERE coalesce(m.units, 0) <> coalesce(r.consumed, 0)
        UNION ALL
        SELECT 'inventory: units consumed and released of line', l.id::text, r.consumed + r.released, l.shipped + l.cancelled
        FROM (SELECT line_id, sum(consumed) AS consumed, sum(released) AS released FROM inventory.reservations GROUP BY line_id) r
        JOIN orders.order_lines l ON l.id = r.line_id
        WHERE r.consumed > l.shipped OR r.released > l.cancelled
        UNION ALL
        SELECT 'inventory: units put back of line', m.line_id::text, m.units, coalesce(r.restocked, 0)
        FROM (SELECT reference, line_id, sum(quantity) AS units FROM inventory.movements WHERE reason = 'RETURN'
              GROUP BY reference, line_id) m
        LEFT JOIN exchanges.return_lines r ON r.return_id::text = m.reference AND r.line_id = m.line_id
        WHERE m.units > coalesce(r.restocked, 0)
        UNION ALL
        SELECT 'payments: sum to capture', p.id::text, p.instructed_minor, o.capture_asked_minor
        FROM payments.payments p JOIN orders.orders o ON o.payment_id = p.id
        WHERE p.instructed_minor > o.capture_asked_minor
        UNION ALL
        SELECT 'orders: captured sum', o.id::text, o.captured_minor, coalesce(p.captured_minor, 0)
        FROM orders.orders o LEFT JOIN payments.payments p ON p.id = o.payment_id
        WHERE o.captured_minor > coalesce(p.captured_minor, 0)
        UNION ALL
        SELECT 'orders: refunded sum', o.id::text, o.refunded_minor, coalesce(r.settled, 0)
        FROM orders.orders o LEFT JOIN (
          SELECT order_id, sum(amount_minor) AS settled FROM payments.refunds WHERE status = 'SETTLED' GROUP BY order_id) r
          ON r.order_id = o.id
        WHERE o.refunded_minor > coalesce(r.settled, 0)
        UNION ALL
        SELECT 'fulfillment: units to send of line', f.line_id::text, f.units, coalesce(l.quantity, 0)
        FROM (SELECT line_id, sum(quantity + cancelled) AS units FROM (
                SELECT line_id, quantity, cancelled FROM fulfillment.shipment_lines
                UNION ALL SELECT line_id, quantity, cancelled FROM fulfillment.downloads) AS sent GROUP BY line_id) f
        LEFT JOIN orders.order_lines l ON l.id = f.line_id
        WHERE f.units > coalesce(l.quantity, 0)
        UNION ALL
        SELECT 'exchanges: units delivered of line', e.line_id::text, e.delivered, coalesce(l.delivered, 0)
        FROM exchanges.order_lines e LEFT JOIN orders.order_lines l ON l.id = e.line_id
        WHERE e.delivered > coalesce(l.delivered, 0)`,
};
