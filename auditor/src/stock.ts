import { windowStart } from "./invariant.ts";
import type { CheckedInvariant } from "./invariant.ts";

/** Stock, its movements and reservations. */
export const stockInvariants: CheckedInvariant[] = [
  {
    number: 8,
    name: "stock_sums",
    says: "on_hand >= 0 and 0 <= reserved <= on_hand.",
    kind: "constraint",
    sql: `SELECT sku_id, location_id, on_hand, reserved FROM inventory.stock
          WHERE on_hand < 0 OR reserved < 0 OR reserved > on_hand`,
  },
  {
    number: 9,
    name: "stock_is_its_movements",
    says: "On hand is the sum of stock movements, per SKU and location.",
    kind: "state",
    sql: `SELECT sku_id, location_id, s.on_hand, m.moved
          FROM inventory.stock s FULL JOIN (
            SELECT sku_id, location_id, sum(quantity) AS moved FROM inventory.movements GROUP BY sku_id, location_id) m
            USING (sku_id, location_id)
          WHERE coalesce(s.on_hand, 0) <> coalesce(m.moved, 0)`,
  },
  {
    number: 10,
    name: "reserved_is_its_reservations",
    says: "Reserved is the sum of active reservations, per SKU and location.",
    kind: "state",
    sql: `SELECT sku_id, location_id, s.reserved, r.active
          FROM inventory.stock s FULL JOIN (
            SELECT sku_id, location_id, sum(quantity - consumed - released) AS active FROM inventory.reservations
            GROUP BY sku_id, location_id) r USING (sku_id, location_id)
          WHERE coalesce(s.reserved, 0) <> coalesce(r.active, 0)`,
  },
  {
    number: 11,
    name: "reservations_end",
    says: "No reservation is resolved twice, and none is held for an order that has been terminal for 30 s.",
    kind: "constraint",
    windowSeconds: 30,
    sql: `SELECT r.order_id, r.line_id, r.location_id, r.quantity, r.consumed, r.released, o.status
          FROM inventory.reservations r LEFT JOIN orders.orders o ON o.id = r.order_id
          WHERE r.consumed + r.released > r.quantity
             OR r.consumed + r.released < r.quantity AND (
                  o.id IS NULL
                  OR o.status IN ('COMPLETED', 'REJECTED', 'CANCELLED') AND NOT EXISTS (
                       SELECT FROM orders.timeline t WHERE t.order_id = o.id AND t.what = o.status AND t.at >= ${windowStart}))`,
  },
];
