import { statement } from "@crowdcrunch/kit/database";
import type { Queryable } from "@crowdcrunch/kit/database";
import type { Coupon, PricedSku, ShippingMethod } from "./pricing.ts";

// What prices an order: the read model of the catalogue, taxes, shipping and coupons.

const skusById = statement<PricedSku>(
  "skuById",
  `SELECT sku_id AS "skuId", product_id AS "productId", name, digital, tax_class AS "taxClass", price_version AS "priceVersion",
     on_sale AS "onSale", prices FROM catalogue_skus WHERE sku_id = ANY($1::uuid[])`,
);
const upsertProducts = statement<{ product_id: string }>(
  "productUpsert",
  `INSERT INTO catalogue_products AS p (product_id, version)
   SELECT id, version FROM json_to_recordset($1::json) AS n(id uuid, version int) ORDER BY id
   ON CONFLICT (product_id) DO UPDATE SET version = excluded.version WHERE p.version < excluded.version
   RETURNING product_id`,
);
const upsertSkus = statement(
  "skuUpsert",
  `INSERT INTO catalogue_skus (sku_id, product_id, name, digital, tax_class, price_version, on_sale, prices)
   SELECT "skuId", "productId", name, digital, "taxClass", "priceVersion", "onSale", prices
   FROM json_to_recordset($1::json) AS n("skuId" uuid, "productId" uuid, name text, digital boolean, "taxClass" text,
     "priceVersion" int, "onSale" boolean, prices json) ORDER BY "skuId"
   ON CONFLICT (sku_id) DO UPDATE SET product_id = excluded.product_id, name = excluded.name, digital = excluded.digital,
     tax_class = excluded.tax_class, price_version = excluded.price_version, on_sale = excluded.on_sale, prices = excluded.prices`,
);
const retireSkus = statement(
  "skuRetire",
  `UPDATE catalogue_skus SET on_sale = false WHERE product_id = ANY($1::uuid[]) AND NOT sku_id = ANY($2::uuid[])`,
);
const ratesOf = statement<{ taxClass: string; basisPoints: number }>(
  "taxRatesOf",
  `SELECT tax_class AS "taxClass", basis_points AS "basisPoints" FROM tax_rates WHERE country_code = $1`,
);
const methodOf = statement<ShippingMethod>(
  "shippingMethodOf",
  `SELECT code, name, currency, price_minor AS "priceMinor", free_above_minor AS "freeAboveMinor" FROM shipping_methods
   WHERE currency = $1 AND ($2::text IS NULL OR code = $2) ORDER BY price_minor, code`,
);
const validCoupon = statement<Coupon & { state: string }>(
  "couponFind",
  `SELECT code, percent, amount_minor AS "amountMinor", currency,
     CASE WHEN starts_at > now() THEN 'NOT_YET' WHEN ends_at <= now() THEN 'EXPIRED' WHEN uses >= uses_at_most THEN 'USED_UP' ELSE 'VALID' END AS state
   FROM coupons WHERE code = upper($1)`,
);
const useCoupon = statement(
  "couponUse",
  `UPDATE coupons SET uses = uses + 1 WHERE code = $1 AND starts_at <= now() AND (ends_at IS NULL OR ends_at > now())
     AND (uses_at_most IS NULL OR uses < uses_at_most)`,
);
const insertCoupon = statement<{ code: string }>(
  "couponInsert",
  `INSERT INTO coupons (code, percent, amount_minor, currency, starts_at, ends_at, uses_at_most, created_by)
   VALUES ($1, $2, $3, $4, coalesce($5, now()), $6, $7, $8) ON CONFLICT (code) DO NOTHING RETURNING code`,
);

/** SKUs that the read model knows, by id. */
export async function findSkus(db: Queryable, ids: string[]): Promise<Map<string, PricedSku>> {
  const rows = await db.many(skusById, [ids]);
  return new Map(rows.map((row) => [row.skuId, row]));
}

export interface CatalogueProduct {
  id: string;
  version: number;
  skus: PricedSku[];
}

/** Takes over products whose version is newer; the rest stay as they are. */
export async function saveProducts(db: Queryable, products: CatalogueProduct[]): Promise<void> {
  const newer = await db.many(upsertProducts, [JSON.stringify(products.map(({ id, version }) => ({ id, version })))]);
  const ids = newer.map((row) => row.product_id);
  const skus = products.filter(({ id }) => ids.includes(id)).flatMap((product) => product.skus);
  if (ids.length === 0) return;
  if (skus.length > 0) await db.run(upsertSkus, [JSON.stringify(skus)]);
  await db.run(retireSkus, [ids, skus.map(({ skuId }) => skuId)]);
}

/** Basis points by tax class for deliveries to the country. */
export async function findTaxRates(db: Queryable, countryCode: string): Promise<Map<string, number>> {
  const rows = await db.many(ratesOf, [countryCode]);
  return new Map(rows.map((row) => [row.taxClass, row.basisPoints]));
}

/** Shipping methods of a currency, cheapest first; all of them, or the one of the code. */
export async function findShippingMethods(
  db: Queryable,
  currency: string,
  code: string | null = null,
): Promise<ShippingMethod[]> {
  return db.many(methodOf, [currency, code]);
}

/** A coupon and whether it may be used now. */
export async function findCoupon(db: Queryable, code: string): Promise<(Coupon & { state: string }) | undefined> {
  return db.one(validCoupon, [code]);
}

/** Takes one use of the coupon; false when there is none left. The row lock makes the last use go to one order. */
export async function takeCoupon(tx: Queryable, code: string): Promise<boolean> {
  return (await tx.run(useCoupon, [code])) === 1;
}

export interface NewCoupon {
  code: string;
  percent: number | null;
  amountMinor: number | null;
  currency: string | null;
  startsAt: Date | null;
  endsAt: Date | null;
  usesAtMost: number | null;
  createdBy: string;
}

/** False when the code is taken. */
export async function addCoupon(db: Queryable, coupon: NewCoupon): Promise<boolean> {
  const { code, percent, amountMinor, currency, startsAt, endsAt, usesAtMost, createdBy } = coupon;
  return (
    (await db.one(insertCoupon, [code, percent, amountMinor, currency, startsAt, endsAt, usesAtMost, createdBy])) !==
    undefined
  );
}
