import { statement } from "@crowdcrunch/kit/database";
import type { Queryable } from "@crowdcrunch/kit/database";
import type { Cart, CartLine, Lines } from "./cart.ts";

// Carts as orders and sign-ups change them.

const columns = `id, customer_id AS "customerId", claimed_from AS "claimedFrom", status, lines,
  coupon_code AS "couponCode", ship_to AS "shipTo", version`;

const lockById = statement<Cart>(
  "cartLock",
  `SELECT ${columns} FROM carts WHERE id = ANY($1::uuid[]) AND status = 'OPEN' ORDER BY id FOR UPDATE`,
);
const close = statement(
  "cartClose",
  `UPDATE carts c SET status = 'ORDERED', order_id = n."orderId", customer_id = n."customerId", guest = c.guest AND n."customerId" = c.customer_id,
     lines = n.lines, version = c.version + 1, touched_at = now()
   FROM json_to_recordset($1::json) AS n("cartId" uuid, "orderId" uuid, "customerId" uuid, lines jsonb)
   WHERE c.id = n."cartId"`,
);

/**
 * Opens a cart for its owner, or puts its lines into the one that is open already; a shopper who opens one at the same
 * moment meets the unique index, so that neither waits for nor loses the other.
 */
const open = (
  source: string,
) => `INSERT INTO carts AS c (id, customer_id, guest, claimed_from, lines, coupon_code, ship_to, version, reminded_at)
   ${source}
   ON CONFLICT (customer_id) WHERE status = 'OPEN' DO UPDATE SET lines = merged_lines(c.lines, excluded.lines),
     coupon_code = coalesce(c.coupon_code, excluded.coupon_code), ship_to = coalesce(c.ship_to, excluded.ship_to),
     version = c.version + 1, touched_at = now()`;

const openRest = statement(
  "cartOpenRest",
  open(
    `SELECT $1::uuid, customer_id, guest, claimed_from, $3::jsonb, coupon_code, ship_to, 1, reminded_at FROM carts WHERE id = $2`,
  ),
);
const reopen = statement(
  "cartReopen",
  `WITH gone AS (DELETE FROM carts WHERE id = $1 AND order_id = $2 RETURNING *)
   ${open(`SELECT id, customer_id, guest, claimed_from, lines, coupon_code, ship_to, version + 1, reminded_at FROM gone`)}`,
);
const claimOpen = statement(
  "cartClaim",
  `WITH gone AS (DELETE FROM carts WHERE customer_id = $1 AND status = 'OPEN' RETURNING *)
   ${open(`SELECT id, $2::uuid, false, $1::uuid, lines, coupon_code, ship_to, version + 1, NULL::timestamptz FROM gone`)}`,
);
const claimOrdered = statement(
  "cartClaimOrdered",
  `UPDATE carts SET customer_id = $2, claimed_from = $1, guest = false WHERE customer_id = $1 AND status = 'ORDERED'`,
);

const putEarly = statement(
  "earlyOrderPut",
  `INSERT INTO early_orders (cart_id, customer_id, order_id, lines)
   SELECT "cartId", "customerId", "orderId", lines
   FROM json_to_recordset($1::json) AS n("cartId" uuid, "customerId" uuid, "orderId" uuid, lines json)
   ON CONFLICT DO NOTHING`,
);
const takeEarly = statement<OrderOfCart>(
  "earlyOrderTake",
  `DELETE FROM early_orders e USING carts c
   WHERE c.customer_id = $1 AND c.status = 'OPEN' AND e.cart_id = c.id AND e.customer_id = $2
   RETURNING e.cart_id AS "cartId", e.customer_id AS "customerId", e.order_id AS "orderId", e.lines`,
);
const removeOf = statement("cartRemoveOf", `DELETE FROM carts WHERE customer_id = ANY($1::uuid[])`);
const removeOld = statement(
  "cartRemoveOld",
  `DELETE FROM carts WHERE (status = 'ORDERED' AND touched_at < now() - interval '2 days')
     OR touched_at < now() - make_interval(days => $1) OR EXISTS (SELECT FROM erased WHERE erased.customer_id = carts.customer_id)`,
);
const removeEarly = statement("earlyOrderRemove", `DELETE FROM early_orders WHERE at < now() - interval '1 day'`);

/** An order that says which cart it was made of. */
export interface OrderOfCart {
  cartId: string;
  orderId: string;
  customerId: string;
  lines: CartLine[];
}

/** A cart that an order closes: with what was ordered of it. */
export interface ClosedCart {
  cartId: string;
  orderId: string;
  /** The owner from here on. */
  customerId: string;
  lines: Lines;
}

/** Locks those of the carts that are open. */
export function lockOpenCarts(tx: Queryable, ids: string[]): Promise<Cart[]> {
  return tx.many(lockById, [ids]);
}

export async function closeCarts(tx: Queryable, carts: ClosedCart[]): Promise<void> {
  if (carts.length > 0) await tx.run(close, [JSON.stringify(carts)]);
}

/** What was not ordered of a closed cart is in an open one. */
export async function openRestOf(tx: Queryable, closedId: string, newId: string, rest: Lines): Promise<void> {
  await tx.run(openRest, [newId, closedId, JSON.stringify(rest)]);
}

/** Opens the cart of an order that came to nothing, or puts its lines into the cart that its owner opened since. */
export async function reopenCart(tx: Queryable, cartId: string, orderId: string): Promise<void> {
  await tx.run(reopen, [cartId, orderId]);
}

/** The guest's carts are the account's; two open ones become one. */
export async function claimCarts(tx: Queryable, guestId: string, userId: string): Promise<void> {
  await tx.run(claimOpen, [guestId, userId]);
  await tx.run(claimOrdered, [guestId, userId]);
}

/** Keeps an order for a cart that is not its customer's yet. */
export async function keepEarlyOrders(tx: Queryable, orders: OrderOfCart[]): Promise<void> {
  if (orders.length > 0) await tx.run(putEarly, [JSON.stringify(orders)]);
}

/** The account's order for the guest's open cart, if it came before the account claimed the guest. */
export function takeEarlyOrders(tx: Queryable, guestId: string, userId: string): Promise<OrderOfCart[]> {
  return tx.many(takeEarly, [guestId, userId]);
}

export async function removeCartsOf(tx: Queryable, customerIds: string[]): Promise<void> {
  await tx.run(removeOf, [customerIds]);
}

/** Removes open carts that nobody touched for so many days, ordered ones after the saga's end, and those of the erased. */
export async function removeOldCarts(tx: Queryable, keepDays: number): Promise<void> {
  await tx.run(removeOld, [keepDays]);
  await tx.run(removeEarly);
}
