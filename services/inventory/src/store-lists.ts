import type { Availability } from "@crowdcrunch/events/inventory";
import { statement } from "@crowdcrunch/kit/database";
import type { Queryable } from "@crowdcrunch/kit/database";
import { groupedInOrderOf, inOrderOf } from "@crowdcrunch/kit/graphql";

// The catalogue and the stock as the graph reads them.

export interface Product {
  id: string;
  slug: string;
  name: string;
  description: string;
  picture: string | null;
  taxClass: string;
  published: boolean;
  version: number;
}

export interface Sku {
  id: string;
  productId: string;
  code: string;
  options: { name: string; value: string }[];
  digital: boolean;
  weightGrams: number;
  priceVersion: number;
  availability: Availability;
  availabilityVersion: number;
}

export interface Category {
  id: string;
  slug: string;
  name: string;
  description: string;
  parentId: string | null;
}

export interface Price {
  skuId: string;
  currency: string;
  amountMinor: number;
}

export interface StockLevel {
  skuId: string;
  location: { id: string; code: string; name: string };
  onHand: number;
  reserved: number;
}

export interface MovementRow {
  id: string;
  locationCode: string;
  quantity: number;
  reason: string;
  reference: string | null;
  actor: string | null;
  movedAt: Date;
}

export const productColumns = `p.id, p.slug, p.name, p.description, p.picture, p.tax_class AS "taxClass", p.published, p.version`;
const skuColumns = `s.id, s.product_id AS "productId", s.code, s.options, s.digital, s.weight_grams AS "weightGrams",
  s.price_version AS "priceVersion", s.availability, s.availability_version AS "availabilityVersion"`;
const categoryColumns = `id, slug, name, description, parent_id AS "parentId"`;

const productsById = statement<Product>(
  "productById",
  `SELECT ${productColumns} FROM products p WHERE p.id = ANY($1::uuid[])`,
);
const productsBySlug = statement<Product>(
  "productBySlug",
  `SELECT ${productColumns} FROM products p WHERE p.slug = ANY($1::text[])`,
);
const skusById = statement<Sku>("skuById", `SELECT ${skuColumns} FROM skus s WHERE s.id = ANY($1::uuid[])`);
const skusByCode = statement<Sku>("skuByCode", `SELECT ${skuColumns} FROM skus s WHERE s.code = ANY($1::text[])`);
const skusOfProducts = statement<Sku>(
  "skuOfProducts",
  `SELECT ${skuColumns} FROM skus s WHERE s.product_id = ANY($1::uuid[]) AND s.listed ORDER BY s.product_id, s.position`,
);
const pricesOf = statement<Price>(
  "priceOf",
  `SELECT sku_id AS "skuId", currency, amount_minor AS "amountMinor" FROM prices WHERE sku_id = ANY($1::uuid[])`,
);
const categoriesOf = statement<Category & { productId: string }>(
  "categoryOf",
  `SELECT pc.product_id AS "productId", c.id, c.slug, c.name, c.description, c.parent_id AS "parentId"
   FROM product_categories pc JOIN categories c ON c.id = pc.category_id WHERE pc.product_id = ANY($1::uuid[]) ORDER BY c.slug`,
);
const categoriesById = statement<Category>(
  "categoryById",
  `SELECT ${categoryColumns} FROM categories WHERE id = ANY($1::uuid[])`,
);
const allCategories = statement<Category>("categoryAll", `SELECT ${categoryColumns} FROM categories ORDER BY name, id`);
const allLocations = statement<{ id: string; code: string; name: string }>(
  "locationAll",
  `SELECT id, code, name FROM locations ORDER BY code`,
);
const stockOf = statement<StockLevel>(
  "stockOf",
  `SELECT s.sku_id AS "skuId", json_build_object('id', l.id, 'code', l.code, 'name', l.name) AS location, s.on_hand AS "onHand", s.reserved
   FROM stock s JOIN locations l ON l.id = s.location_id WHERE s.sku_id = ANY($1::uuid[]) ORDER BY l.code`,
);
const movementsOf = statement<MovementRow>(
  "movementOf",
  `SELECT m.id, l.code AS "locationCode", m.quantity, m.reason, m.reference, m.actor, m.moved_at AS "movedAt"
   FROM movements m JOIN locations l ON l.id = m.location_id
   WHERE m.sku_id = $1 AND ($2::uuid IS NULL OR m.id < $2) ORDER BY m.id DESC LIMIT $3`,
);
const lowStock = statement<Sku>(
  "skuLow",
  `SELECT ${skuColumns} FROM skus s JOIN products p ON p.id = s.product_id
   WHERE s.availability <> 'IN_STOCK' AND NOT s.digital AND s.listed AND p.published AND ($1::uuid IS NULL OR s.id > $1) ORDER BY s.id LIMIT $2`,
);

/** Reads for the graph; the batch functions are stable, so that a request's loads meet in them. */
export function createLists(db: Queryable) {
  return {
    productsById: async (ids: readonly string[]) => inOrderOf(ids, await db.many(productsById, [ids]), (row) => row.id),
    productsBySlug: async (slugs: readonly string[]) =>
      inOrderOf(slugs, await db.many(productsBySlug, [slugs]), (row) => row.slug),
    skusById: async (ids: readonly string[]) => inOrderOf(ids, await db.many(skusById, [ids]), (row) => row.id),
    skusByCode: async (codes: readonly string[]) =>
      inOrderOf(codes, await db.many(skusByCode, [codes]), (row) => row.code),
    skusOfProducts: async (ids: readonly string[]) =>
      groupedInOrderOf(ids, await db.many(skusOfProducts, [ids]), (row) => row.productId),
    pricesOf: async (ids: readonly string[]) =>
      groupedInOrderOf(ids, await db.many(pricesOf, [ids]), (row) => row.skuId),
    categoriesOf: async (ids: readonly string[]) =>
      groupedInOrderOf(ids, await db.many(categoriesOf, [ids]), (row) => row.productId),
    categoriesById: async (ids: readonly string[]) =>
      inOrderOf(ids, await db.many(categoriesById, [ids]), (row) => row.id),
    stockOf: async (ids: readonly string[]) => groupedInOrderOf(ids, await db.many(stockOf, [ids]), (row) => row.skuId),
    allCategories: () => db.many(allCategories),
    allLocations: () => db.many(allLocations),
    movementsOf: (skuId: string, after: string | null, limit: number) => db.many(movementsOf, [skuId, after, limit]),
    lowStock: (after: string | null, limit: number) => db.many(lowStock, [after, limit]),
  };
}

export type Lists = ReturnType<typeof createLists>;
