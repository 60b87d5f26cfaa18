import { statement } from "@crowdcrunch/kit/database";
import type { Queryable } from "@crowdcrunch/kit/database";
import { groupedInOrderOf, inOrderOf } from "@crowdcrunch/kit/graphql";
import type { Basket, Pair, Taste } from "./basket.ts";

// What is bought together, who agreed to what, and whom to remind of a cart.

// One statement: the pairs of all who did not decline, and the purchases of those who agreed.
const countBaskets = statement(
  "basketCount",
  `WITH kept AS (
     INSERT INTO purchases (customer_id, product_id)
     SELECT DISTINCT b."customerId", product_id::uuid
     FROM json_to_recordset($2::json) AS b("customerId" uuid, "productIds" json), json_array_elements_text(b."productIds") AS product_id
     WHERE EXISTS (SELECT FROM consents c WHERE c.customer_id = b."customerId" AND c.purpose = 'RECOMMENDATIONS' AND c.granted)
     ON CONFLICT DO NOTHING
   )
   INSERT INTO bought_together AS t (product_id, other_id, orders)
   SELECT n."productId", n."otherId", count(*)
   FROM json_to_recordset($1::json) AS n("customerId" uuid, "productId" uuid, "otherId" uuid)
   WHERE NOT EXISTS (SELECT FROM consents c WHERE c.customer_id = n."customerId" AND c.purpose = 'RECOMMENDATIONS' AND NOT c.granted)
   GROUP BY 1, 2 ORDER BY 1, 2
   ON CONFLICT (product_id, other_id) DO UPDATE SET orders = t.orders + excluded.orders`,
);
const boughtWith = statement<{ productId: string; otherId: string }>(
  "boughtWith",
  `SELECT wanted.id AS "productId", t.other_id AS "otherId"
   FROM unnest($1::uuid[]) AS wanted(id) CROSS JOIN LATERAL (
     SELECT b.other_id, b.orders FROM bought_together b JOIN products p ON p.product_id = b.other_id AND p.published
     WHERE b.product_id = wanted.id ORDER BY b.orders DESC, b.other_id LIMIT 40
   ) t ORDER BY wanted.id, t.orders DESC, t.other_id`,
);
// What is rarely bought with a product is never shown.
const removeRarePairs = statement(
  "boughtTogetherPrune",
  `DELETE FROM bought_together b USING (
     SELECT product_id, other_id, row_number() OVER (PARTITION BY product_id ORDER BY orders DESC, other_id) AS place FROM bought_together
   ) ranked WHERE ranked.place > 200 AND b.product_id = ranked.product_id AND b.other_id = ranked.other_id`,
);
const tastes = statement<Taste & { customerId: string }>(
  "tasteOf",
  `SELECT customer_id AS "customerId", NOT granted AS declined,
     (SELECT coalesce(array_agg(product_id), '{}') FROM purchases p WHERE p.customer_id = c.customer_id) AS bought
   FROM consents c WHERE customer_id = ANY($1::uuid[]) AND purpose = 'RECOMMENDATIONS'`,
);
const upsertConsents = statement(
  "consentUpsert",
  `INSERT INTO consents AS c (customer_id, purpose, granted, version)
   SELECT "customerId", purpose, granted, version
   FROM json_to_recordset($1::json) AS n("customerId" uuid, purpose text, granted boolean, version int)
   WHERE NOT EXISTS (SELECT FROM erased e WHERE e.customer_id = n."customerId")
   ORDER BY "customerId", purpose
   ON CONFLICT (customer_id, purpose) DO UPDATE SET granted = excluded.granted, version = excluded.version
   WHERE c.version < excluded.version`,
);
const forgetPurchases = statement("purchaseForget", `DELETE FROM purchases WHERE customer_id = ANY($1::uuid[])`);
const forgetConsents = statement("consentForget", `DELETE FROM consents WHERE customer_id = ANY($1::uuid[])`);
const markErased = statement(
  "erasedInsert",
  `INSERT INTO erased (customer_id, at) SELECT unnest($1::uuid[]), now() ON CONFLICT DO NOTHING`,
);
const erasedAmong = statement<{ customerId: string }>(
  "erasedAmong",
  `SELECT customer_id AS "customerId" FROM erased WHERE customer_id = ANY($1::uuid[])`,
);

// Starts at the few who asked for reminders; only what is still on a page can be named.
const remindable = statement<AbandonedCart>(
  "cartRemind",
  `WITH idle AS MATERIALIZED (
     SELECT c.id, (SELECT json_agg(json_build_object('skuId', s.sku_id, 'name', s.name, 'quantity', (line.value->>'quantity')::int)
                     ORDER BY (line.value->>'position')::int)
                   FROM jsonb_each(c.lines) AS line JOIN skus s ON s.sku_id = line.key::uuid
                   JOIN products p ON p.product_id = s.product_id AND p.published) AS lines
     FROM consents k JOIN carts c ON c.customer_id = k.customer_id AND c.status = 'OPEN'
     WHERE k.purpose = 'CART_REMINDERS' AND k.granted AND NOT c.guest AND c.reminded_at IS NULL
       AND c.touched_at < now() - make_interval(secs => $1::double precision * 3600)
     ORDER BY c.id LIMIT $2 FOR UPDATE OF c SKIP LOCKED
   )
   UPDATE carts SET reminded_at = now() FROM idle
   WHERE carts.id = idle.id
   RETURNING carts.id AS "cartId", carts.customer_id AS "customerId", idle.lines`,
);

export interface AbandonedCart {
  cartId: string;
  customerId: string;
  /** What of it is still on sale; null if nothing is. */
  lines: { skuId: string; name: string; quantity: number }[] | null;
}

/** Marks carts that were idle for so many hours as reminded of, and gives them back: each once. */
export function takeAbandonedCarts(tx: Queryable, hours: number, limit: number): Promise<AbandonedCart[]> {
  return tx.many(remindable, [hours, limit]);
}

/** Counts what was bought together. */
export async function saveBaskets(tx: Queryable, pairs: Pair[], baskets: Basket[]): Promise<void> {
  if (baskets.length > 0) await tx.run(countBaskets, [JSON.stringify(pairs), JSON.stringify(baskets)]);
}

/** Keeps the 200 most frequent companions of each product. */
export async function pruneBaskets(tx: Queryable): Promise<void> {
  await tx.run(removeRarePairs);
}

export interface ConsentRow {
  customerId: string;
  purpose: string;
  granted: boolean;
  version: number;
}

/** Takes over what is newer; a person and purpose stand in the list once. */
export async function saveConsents(tx: Queryable, rows: ConsentRow[]): Promise<void> {
  await tx.run(upsertConsents, [JSON.stringify(rows)]);
}

export async function removePurchasesOf(tx: Queryable, customerIds: string[]): Promise<void> {
  if (customerIds.length > 0) await tx.run(forgetPurchases, [customerIds]);
}

/** Forgets the people, and remembers that nothing is to be kept of them. */
export async function forgetPeople(tx: Queryable, customerIds: string[]): Promise<void> {
  await tx.run(markErased, [customerIds]);
  await tx.run(forgetPurchases, [customerIds]);
  await tx.run(forgetConsents, [customerIds]);
}

/** Which of these people were forgotten. */
export async function findErased(tx: Queryable, customerIds: string[]): Promise<Set<string>> {
  return new Set((await tx.many(erasedAmong, [customerIds])).map(({ customerId }) => customerId));
}

/** Reads for the graph; the batch functions are stable, so that a request's loads meet in them. */
export function createRecommendationReads(db: Queryable) {
  return {
    /** Products on sale that are bought with each product, the most frequent first. */
    async boughtWith(productIds: readonly string[]): Promise<string[][]> {
      const rows = groupedInOrderOf(productIds, await db.many(boughtWith, [productIds]), (row) => row.productId);
      return rows.map((group) => group.map(({ otherId }) => otherId));
    },
    async tasteOf(customerIds: readonly string[]): Promise<(Taste | undefined)[]> {
      return inOrderOf(customerIds, await db.many(tastes, [customerIds]), (row) => row.customerId);
    },
  };
}

export type RecommendationReads = ReturnType<typeof createRecommendationReads>;
