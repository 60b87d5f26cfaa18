import { statement } from "@crowdcrunch/kit/database";
import type { Queryable } from "@crowdcrunch/kit/database";

// The read model of the catalogue.

const productBySlug = statement<PageRow>(
  "pageBySlug",
  `SELECT p.product_id AS "productId", p.slug, p.name, p.description, p.image, p.categories,
     (SELECT coalesce(json_agg(json_build_object('skuId', s.sku_id, 'code', s.code, 'name', s.name, 'digital', s.digital,
        'options', s.options, 'prices', s.prices, 'availability', a.availability) ORDER BY s.position), '[]')
      FROM skus s LEFT JOIN availabilities a USING (sku_id) WHERE s.product_id = p.product_id) AS offers
   FROM products p WHERE p.slug = $1 AND p.published ORDER BY p.product_id DESC LIMIT 1`,
);
const upsertProducts = statement<{ productId: string }>(
  "productUpsert",
  `INSERT INTO products AS p (product_id, version, published, slug, name, description, image, categories)
   SELECT "productId", version, published, slug, name, description, image, categories
   FROM json_to_recordset($1::json) AS n("productId" uuid, version int, published boolean, slug text, name text,
     description text, image text, categories json) ORDER BY "productId"
   ON CONFLICT (product_id) DO UPDATE SET version = excluded.version, published = excluded.published, slug = excluded.slug,
     name = excluded.name, description = excluded.description, image = excluded.image, categories = excluded.categories
   WHERE p.version < excluded.version
   RETURNING product_id AS "productId"`,
);
const upsertSkus = statement(
  "skuUpsert",
  `INSERT INTO skus (sku_id, product_id, position, code, name, digital, options, prices)
   SELECT "skuId", "productId", position, code, name, digital, options, prices
   FROM json_to_recordset($1::json) AS n("skuId" uuid, "productId" uuid, position int, code text, name text,
     digital boolean, options json, prices json) ORDER BY "skuId"
   ON CONFLICT (sku_id) DO UPDATE SET product_id = excluded.product_id, position = excluded.position, code = excluded.code,
     name = excluded.name, digital = excluded.digital, options = excluded.options, prices = excluded.prices`,
);
const removeSkus = statement(
  "skuRemove",
  `DELETE FROM skus WHERE product_id = ANY($1::uuid[]) AND NOT sku_id = ANY($2::uuid[])`,
);
const upsertAvailabilities = statement(
  "availabilityUpsert",
  `INSERT INTO availabilities AS a (sku_id, version, availability)
   SELECT "skuId", version, availability
   FROM json_to_recordset($1::json) AS n("skuId" uuid, version int, availability text) ORDER BY "skuId"
   ON CONFLICT (sku_id) DO UPDATE SET version = excluded.version, availability = excluded.availability
   WHERE a.version < excluded.version`,
);

export interface PageRow {
  productId: string;
  slug: string;
  name: string;
  description: string;
  image: string | null;
  categories: { slug: string; name: string }[];
  offers: OfferRow[];
}

export interface OfferRow {
  skuId: string;
  code: string;
  name: string;
  digital: boolean;
  options: { name: string; value: string }[];
  prices: { currency: string; amountMinor: number }[];
  availability: string | null;
}

/** A product as an event told of it. */
export interface ProductRow {
  productId: string;
  version: number;
  published: boolean;
  slug: string;
  name: string;
  description: string;
  image: string | null;
  categories: { slug: string; name: string }[];
  skus: (Omit<OfferRow, "availability"> & { productId: string; position: number })[];
}

/** The page of a published product. */
export function findPage(db: Queryable, slug: string): Promise<PageRow | undefined> {
  return db.one(productBySlug, [slug]);
}

/** Takes over the products that are newer than what is here. */
export async function saveProducts(tx: Queryable, products: ProductRow[]): Promise<void> {
  const rows = products.map(({ skus: _, ...product }) => product);
  const newer = new Set((await tx.many(upsertProducts, [JSON.stringify(rows)])).map(({ productId }) => productId));
  if (newer.size === 0) return;
  const skus = products.filter(({ productId }) => newer.has(productId)).flatMap((product) => product.skus);
  await tx.run(upsertSkus, [JSON.stringify(skus)]);
  await tx.run(removeSkus, [[...newer], skus.map(({ skuId }) => skuId)]);
}

export interface AvailabilityRow {
  skuId: string;
  version: number;
  availability: string;
}

/** Takes over what is newer; a SKU stands in the list once. */
export async function saveAvailabilities(tx: Queryable, rows: AvailabilityRow[]): Promise<void> {
  await tx.run(upsertAvailabilities, [JSON.stringify(rows)]);
}
