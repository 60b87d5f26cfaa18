import type { EventOf } from "@crowdcrunch/events/contract";
import type { productChanged } from "@crowdcrunch/events/inventory";
import { statement } from "@crowdcrunch/kit/database";
import type { Queryable, Transaction } from "@crowdcrunch/kit/database";

// Products as they are written: whole pages of them with one statement a table.

export interface SkuRow {
  id: string;
  productId: string;
  position: number;
  code: string;
  options: { name: string; value: string }[];
  digital: boolean;
  weightGrams: number;
}

export interface PriceRow {
  skuId: string;
  currency: string;
  amountMinor: number;
}

export interface ProductRow {
  id: string;
  slug: string;
  name: string;
  description: string;
  picture: string | null;
  taxClass: string;
  published: boolean;
}

const upsertProducts = statement<{ id: string }>(
  "productSave",
  `INSERT INTO products (id, slug, name, description, picture, tax_class, published, version)
   SELECT id, slug, name, description, picture, "taxClass", published, 0
   FROM json_to_recordset($1::json) AS n(id uuid, slug text, name text, description text, picture text, "taxClass" text, published boolean)
   ON CONFLICT (id) DO UPDATE SET slug = excluded.slug, name = excluded.name, description = excluded.description,
     picture = excluded.picture, tax_class = excluded.tax_class, published = excluded.published, changed_at = now()
   RETURNING id`,
);
const upsertSkus = statement(
  "skuSave",
  `INSERT INTO skus (id, product_id, position, code, options, digital, weight_grams, availability)
   SELECT id, "productId", position, code, options, digital, "weightGrams", CASE WHEN digital THEN 'IN_STOCK' ELSE 'OUT_OF_STOCK' END
   FROM json_to_recordset($1::json) AS n(id uuid, "productId" uuid, position int, code text, options json, digital boolean, "weightGrams" int)
   ON CONFLICT (id) DO UPDATE SET position = excluded.position, code = excluded.code, options = excluded.options,
     weight_grams = excluded.weight_grams, listed = true`,
);
const unlistSkus = statement(
  "skuUnlist",
  `UPDATE skus SET listed = false WHERE product_id = $1 AND NOT id = ANY($2::uuid[])`,
);
const upsertPrices = statement<{ sku_id: string }>(
  "priceSave",
  `INSERT INTO prices AS p (sku_id, currency, amount_minor)
   SELECT "skuId", currency, "amountMinor" FROM json_to_recordset($1::json) AS n("skuId" uuid, currency text, "amountMinor" bigint)
   ON CONFLICT (sku_id, currency) DO UPDATE SET amount_minor = excluded.amount_minor WHERE p.amount_minor <> excluded.amount_minor
   RETURNING sku_id`,
);
const removePrices = statement<{ sku_id: string }>(
  "priceRemove",
  `DELETE FROM prices p WHERE sku_id = ANY($1::uuid[]) AND NOT EXISTS (
     SELECT FROM json_to_recordset($2::json) AS n("skuId" uuid, currency text) WHERE n."skuId" = p.sku_id AND n.currency = p.currency)
   RETURNING sku_id`,
);
const raisePriceVersion = statement(
  "priceVersionRaise",
  `UPDATE skus SET price_version = price_version + 1 WHERE id = ANY($1::uuid[])`,
);
const removeCategories = statement(
  "productCategoryRemove",
  `DELETE FROM product_categories WHERE product_id = ANY($1::uuid[])`,
);
const addCategories = statement(
  "productCategoryAdd",
  `INSERT INTO product_categories (product_id, category_id)
   SELECT n."productId", c.id FROM json_to_recordset($1::json) AS n("productId" uuid, slug text) JOIN categories c ON c.slug = n.slug
   ON CONFLICT DO NOTHING`,
);
const knownCategories = statement<{ slug: string }>(
  "categoryKnown",
  `SELECT slug FROM categories WHERE slug = ANY($1::text[])`,
);
const upsertCategories = statement(
  "categorySave",
  `INSERT INTO categories (id, slug, name, description, parent_id)
   SELECT n.id, n.slug, n.name, n.description, (SELECT p.id FROM categories p WHERE p.slug = n.parent)
   FROM json_to_recordset($1::json) AS n(id uuid, slug text, name text, description text, parent text)
   ON CONFLICT (slug) DO NOTHING`,
);
const upsertLocations = statement(
  "locationSave",
  `INSERT INTO locations (id, code, name) SELECT id, code, name FROM json_to_recordset($1::json) AS n(id uuid, code text, name text)
   ON CONFLICT (code) DO NOTHING`,
);
const indexProducts = statement(
  "productIndex",
  `UPDATE products p SET search =
     setweight(to_tsvector('english', p.name), 'A')
     || setweight(to_tsvector('english', coalesce((SELECT string_agg(DISTINCT o.value, ' ') FROM skus s, json_to_recordset(s.options) AS o(name text, value text) WHERE s.product_id = p.id AND s.listed), '')), 'B')
     || setweight(to_tsvector('english', coalesce((SELECT string_agg(c.name || ' ' || coalesce(parent.name, ''), ' ') FROM product_categories pc JOIN categories c ON c.id = pc.category_id
          LEFT JOIN categories parent ON parent.id = c.parent_id WHERE pc.product_id = p.id), '')), 'B')
     || setweight(to_tsvector('simple', coalesce((SELECT string_agg(s.code, ' ') FROM skus s WHERE s.product_id = p.id AND s.listed), '')), 'B')
     || setweight(to_tsvector('english', p.description), 'D')
   WHERE p.id = ANY($1::uuid[])`,
);
const keepWords = statement(
  "searchWordKeep",
  `INSERT INTO search_words (word)
   SELECT DISTINCT word FROM products p, LATERAL unnest(regexp_split_to_array(lower(regexp_replace(concat_ws(' ', p.name, p.description,
     (SELECT string_agg(c.name, ' ') FROM product_categories pc JOIN categories c ON c.id = pc.category_id WHERE pc.product_id = p.id),
     (SELECT string_agg(o.value, ' ') FROM skus s, json_to_recordset(s.options) AS o(name text, value text) WHERE s.product_id = p.id)),
     '[''’]', '', 'g')), '[^[:alnum:]]+')) AS word
   WHERE p.id = ANY($1::uuid[]) AND length(word) BETWEEN 4 AND 40 ORDER BY word
   ON CONFLICT DO NOTHING`,
);
const lowerPrices = statement(
  "productPriceSave",
  `WITH lowest AS (
     SELECT s.product_id, r.currency, min(r.amount_minor) AS lowest_minor FROM skus s JOIN prices r ON r.sku_id = s.id
     WHERE s.product_id = ANY($1::uuid[]) AND s.listed GROUP BY s.product_id, r.currency
   ), gone AS (
     DELETE FROM product_prices p WHERE product_id = ANY($1::uuid[])
       AND NOT EXISTS (SELECT FROM lowest l WHERE l.product_id = p.product_id AND l.currency = p.currency)
   )
   INSERT INTO product_prices AS p (product_id, currency, lowest_minor) SELECT product_id, currency, lowest_minor FROM lowest
   ON CONFLICT (product_id, currency) DO UPDATE SET lowest_minor = excluded.lowest_minor WHERE p.lowest_minor <> excluded.lowest_minor`,
);
const raiseVersions = statement<{ id: string }>(
  "productVersionRaise",
  `UPDATE products SET version = version + 1, changed_at = now() WHERE id = ANY($1::uuid[])`,
);
/** The whole state that product-changed tells. */
const productStates = statement<ProductState>(
  "productState",
  `SELECT p.id AS "productId", p.version, p.published, p.slug, p.name, p.description, p.picture AS image,
     (SELECT coalesce(json_agg(json_build_object('slug', c.slug, 'name', c.name) ORDER BY c.slug), '[]') FROM product_categories pc
        JOIN categories c ON c.id = pc.category_id WHERE pc.product_id = p.id) AS categories,
     (SELECT coalesce(json_agg(json_build_object('skuId', s.id, 'code', s.code, 'options', s.options, 'digital', s.digital, 'taxClass', p.tax_class,
        'priceVersion', s.price_version, 'prices', (SELECT coalesce(json_agg(json_build_object('currency', r.currency, 'amountMinor', r.amount_minor) ORDER BY r.currency), '[]')
          FROM prices r WHERE r.sku_id = s.id)) ORDER BY s.position), '[]') FROM skus s WHERE s.product_id = p.id AND s.listed) AS skus
   FROM products p WHERE p.id = ANY($1::uuid[]) ORDER BY p.id`,
);
const lockProduct = statement<{ id: string; published: boolean }>(
  "productLock",
  `SELECT id, published FROM products WHERE id = $1 FOR UPDATE`,
);
const productOfSku = statement<{ productId: string }>(
  "productOfSku",
  `SELECT product_id AS "productId" FROM skus WHERE id = $1`,
);
const publish = statement("productPublish", `UPDATE products SET published = $2 WHERE id = $1`);
const skusOfProduct = statement<{ id: string; code: string; digital: boolean }>(
  "skuOfProduct",
  `SELECT id, code, digital FROM skus WHERE product_id = $1`,
);
const taken = statement<{ what: string }>(
  "productTaken",
  `SELECT 'slug' AS what FROM products WHERE slug = $2 AND id <> $1
   UNION ALL SELECT code FROM skus WHERE code = ANY($3::text[]) AND product_id <> $1`,
);
const imported = statement<{ code: string; id: string; skuId: string }>(
  "skuOfCode",
  `SELECT code, product_id AS id, id AS "skuId" FROM skus WHERE code = ANY($1::text[])`,
);
const anyProduct = statement<{ id: string }>("productAny", `SELECT id FROM products LIMIT 1`);
const lockSeed = statement<unknown>("seedLock", `SELECT pg_advisory_xact_lock(hashtext('inventory.catalogue'))`);
const idsAfter = statement<{ id: string }>(
  "productAfter",
  `SELECT id FROM products WHERE ($1::uuid IS NULL OR id > $1) ORDER BY id LIMIT $2`,
);

export type ProductState = Omit<EventOf<typeof productChanged>["data"], "skus" | "image"> & {
  image: string | null;
  skus: Omit<EventOf<typeof productChanged>["data"]["skus"][number], "name">[];
};

export interface CatalogueRows {
  products: ProductRow[];
  skus: SkuRow[];
  prices: PriceRow[];
  categories: { productId: string; slug: string }[];
}

/** Writes products with all that belongs to them; what they had in categories before is replaced. */
export async function saveCatalogue(tx: Transaction, rows: CatalogueRows): Promise<void> {
  const ids = rows.products.map(({ id }) => id);
  await tx.run(upsertProducts, [JSON.stringify(rows.products)]);
  await tx.run(upsertSkus, [JSON.stringify(rows.skus)]);
  await savePrices(tx, rows.prices);
  await tx.run(removeCategories, [ids]);
  if (rows.categories.length > 0) await tx.run(addCategories, [JSON.stringify(rows.categories)]);
  await tx.run(indexProducts, [ids]);
  await tx.run(keepWords, [ids]);
}

/** Sets prices; a price that really changes gives its SKU a new price version. Resolves to whether any did. */
export async function savePrices(tx: Transaction, prices: PriceRow[]): Promise<boolean> {
  const changed = await tx.many(upsertPrices, [JSON.stringify(prices)]);
  if (changed.length === 0) return false;
  await tx.run(raisePriceVersion, [[...new Set(changed.map((row) => row.sku_id))]]);
  return true;
}

/** Removes the SKUs' prices in other currencies than those given. */
export async function removeOtherPrices(tx: Transaction, skuIds: string[], prices: PriceRow[]): Promise<void> {
  const removed = await tx.many(removePrices, [skuIds, JSON.stringify(prices)]);
  if (removed.length > 0) await tx.run(raisePriceVersion, [[...new Set(removed.map((row) => row.sku_id))]]);
}

/** SKUs that are no longer among the product's: kept, because orders refer to them. */
export async function unlistOthers(tx: Transaction, productId: string, skuIds: string[]): Promise<void> {
  await tx.run(unlistSkus, [productId, skuIds]);
}

/** Gives the products their next version, finds what they cost at least, and resolves to their whole state. */
export async function nextVersions(tx: Transaction, ids: string[]): Promise<ProductState[]> {
  await tx.run(raiseVersions, [ids]);
  await tx.run(lowerPrices, [ids]);
  return findStates(tx, ids);
}

export async function findStates(db: Queryable, ids: string[]): Promise<ProductState[]> {
  return db.many(productStates, [ids]);
}

export async function findUnknownCategories(db: Queryable, slugs: string[]): Promise<string[]> {
  if (slugs.length === 0) return [];
  const known = new Set((await db.many(knownCategories, [slugs])).map(({ slug }) => slug));
  return slugs.filter((slug) => !known.has(slug));
}

export async function addLocations(
  tx: Queryable,
  locations: { id: string; code: string; name: string }[],
): Promise<void> {
  await tx.run(upsertLocations, [JSON.stringify(locations)]);
}

export async function addCategoriesOf(
  tx: Queryable,
  categories: { id: string; slug: string; name: string; description: string; parent?: string }[],
): Promise<void> {
  await tx.run(upsertCategories, [JSON.stringify(categories)]);
}

export const findProductForUpdate = (tx: Transaction, id: string) => tx.one(lockProduct, [id]);
export const findProductOfSku = async (tx: Queryable, skuId: string) =>
  (await tx.one(productOfSku, [skuId]))?.productId;
export const setPublished = (tx: Queryable, id: string, published: boolean) => tx.run(publish, [id, published]);
export const findSkusOfProduct = (tx: Queryable, id: string) => tx.many(skusOfProduct, [id]);
/** The slug or codes that other products have already. */
export const findTaken = async (tx: Queryable, id: string, slug: string, codes: string[]) =>
  (await tx.many(taken, [id, slug, codes])).map(({ what }) => what);
export const findImported = (db: Queryable, codes: string[]) => db.many(imported, [codes]);
export const hasProducts = async (db: Queryable) => (await db.one(anyProduct)) !== undefined;
/** Lets one replica at a time load or import. */
export const lockCatalogue = (tx: Transaction) => tx.run(lockSeed);
export const findIdsAfter = async (db: Queryable, after: string | null, limit: number) =>
  (await db.many(idsAfter, [after, limit])).map(({ id }) => id);
