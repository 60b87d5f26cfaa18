import type { PostalAddress } from "@crowdcrunch/events/contract";
import { statement } from "@crowdcrunch/kit/database";
import type { Queryable } from "@crowdcrunch/kit/database";
import { inOrderOf } from "@crowdcrunch/kit/graphql";
import type { Cart } from "./cart.ts";

// Carts.

const columns = (
  c: string,
) => `${c}.id, ${c}.customer_id AS "customerId", ${c}.claimed_from AS "claimedFrom", ${c}.status,
  ${c}.lines, ${c}.coupon_code AS "couponCode", ${c}.ship_to AS "shipTo", ${c}.version`;

// A cart is not an order: its commit is not waited for on disk. Said within the statement, so that setting a line is one
// round trip and not a transaction of four.
const notDurable = `relaxed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))`;

/** $1 id of a new cart, $2 owner, $3 guest, $4 id of the cart that is meant (null: the open one), $5 SKU, $6 quantity. */
const setLine = statement<Cart>(
  "cartSetLine",
  `WITH ${notDurable}
   INSERT INTO carts AS c (id, customer_id, guest, lines)
   SELECT $1::uuid, $2::uuid, $3::boolean,
     CASE WHEN $6::int = 0 THEN '{}' ELSE jsonb_build_object($5::text, jsonb_build_object('position', 1, 'quantity', $6)) END
   FROM relaxed
   ON CONFLICT (customer_id) WHERE status = 'OPEN' DO UPDATE SET
     lines = CASE WHEN $6 = 0 THEN c.lines - $5 ELSE c.lines || jsonb_build_object($5, jsonb_build_object(
       'position', coalesce((c.lines -> $5 -> 'position')::int, c.version + 1), 'quantity', $6)) END,
     version = c.version + 1, touched_at = now()
   WHERE ($4::uuid IS NULL OR c.id = $4)
     AND ($6 = 0 OR c.lines ? $5 OR (SELECT count(*) FROM jsonb_object_keys(c.lines)) < $7::int)
   RETURNING ${columns("c")}`,
);

/** $1…$4 as above, $5 the coupon is given, $6 coupon, $7 the address is given, $8 address. */
const setDetails = statement<Cart>(
  "cartSetDetails",
  `WITH ${notDurable}
   INSERT INTO carts AS c (id, customer_id, guest, lines, coupon_code, ship_to)
   SELECT $1::uuid, $2::uuid, $3::boolean, '{}', $6::text, $8::json FROM relaxed
   ON CONFLICT (customer_id) WHERE status = 'OPEN' DO UPDATE SET
     coupon_code = CASE WHEN $5::boolean THEN $6 ELSE c.coupon_code END,
     ship_to = CASE WHEN $7::boolean THEN $8 ELSE c.ship_to END,
     version = c.version + 1, touched_at = now()
   WHERE $4::uuid IS NULL OR c.id = $4
   RETURNING ${columns("c")}`,
);

const byId = statement<Cart>("cartById", `SELECT ${columns("c")} FROM carts c WHERE id = ANY($1::uuid[])`);
const openOf = statement<Cart>(
  "cartOpenOf",
  `SELECT ${columns("c")} FROM carts c WHERE customer_id = $1 AND status = 'OPEN'`,
);

/** The change of a cart: whose, and which one is meant. */
export interface CartTarget {
  /** The id of the cart if one must be made. */
  newId: string;
  customerId: string;
  guest: boolean;
  /** The cart that the caller means; null for the open one. */
  cartId: string | null;
  /** Most lines that the cart may have. */
  mostLines: number;
}

/** Sets a line of the open cart, made where there is none. Undefined where another cart is meant or the cart is full. */
export function saveLine(
  db: Queryable,
  target: CartTarget,
  skuId: string,
  quantity: number,
): Promise<Cart | undefined> {
  const { newId, customerId, guest, cartId, mostLines } = target;
  return db.one(setLine, [cartId ?? newId, customerId, guest, cartId, skuId, quantity, mostLines]);
}

/** What of a cart's details changes; a part that is absent stays. */
export interface CartDetails {
  couponCode?: string | null;
  shipTo?: PostalAddress | null;
}

/** Sets details of the open cart, made where there is none. Undefined where another cart is meant. */
export function saveDetails(db: Queryable, target: CartTarget, details: CartDetails): Promise<Cart | undefined> {
  const { newId, customerId, guest, cartId } = target;
  const { couponCode, shipTo } = details;
  return db.one(setDetails, [
    cartId ?? newId,
    customerId,
    guest,
    cartId,
    couponCode !== undefined,
    couponCode ?? null,
    shipTo !== undefined,
    shipTo ? JSON.stringify(shipTo) : null,
  ]);
}

/** Reads for the graph; the batch functions are stable, so that a request's loads meet in them. */
export function createCartReads(db: Queryable) {
  return {
    async cartsById(ids: readonly string[]): Promise<(Cart | undefined)[]> {
      return inOrderOf(ids, await db.many(byId, [ids]), (cart) => cart.id);
    },
    openCartOf: (customerId: string) => db.one(openOf, [customerId]),
  };
}

export type CartReads = ReturnType<typeof createCartReads>;
