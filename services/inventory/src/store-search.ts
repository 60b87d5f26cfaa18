import { statement } from "@crowdcrunch/kit/database";
import type { Queryable } from "@crowdcrunch/kit/database";
import type { Word } from "./search.ts";
import { productColumns } from "./store-lists.ts";
import type { Product } from "./store-lists.ts";

// Lists of products: filtered, sorted, in pages by what the last row was sorted by.

export type ProductSort = "RELEVANCE" | "NEWEST" | "NAME" | "PRICE_ASC" | "PRICE_DESC";

export interface ProductFilter {
  /** Each word as a text search query; a product has to have at least one. */
  words: string[];
  category: string | null;
  currency: string;
  minPrice: number | null;
  maxPrice: number | null;
  inStock: boolean;
  option: string | null;
  /** Unpublished ones too; staff only. */
  unpublished: boolean;
}

/** A product with what it was sorted by, which is where the next page begins. */
export interface Found extends Product {
  sortedBy: string | number;
}

/** By which expression, in which direction, and the type of its value. */
const sorts: Record<ProductSort, { by: string; descending: boolean; type: string }> = {
  RELEVANCE: { by: "relevance", descending: true, type: "float8" },
  NEWEST: { by: "p.id", descending: true, type: "uuid" },
  NAME: { by: "p.name", descending: false, type: "text" },
  PRICE_ASC: { by: "c.lowest_minor", descending: false, type: "bigint" },
  PRICE_DESC: { by: "c.lowest_minor", descending: true, type: "bigint" },
};

/** One statement for each sort; the name says which, and only these exist. */
function searchStatement(sort: ProductSort, ranked: boolean, priced: boolean) {
  const { by, descending, type } = sorts[sort];
  const direction = descending ? "DESC" : "ASC";
  const compare = descending ? "<" : ">";
  // The index of prices holds the product's id, too.
  const id = by.startsWith("c.") ? "c.product_id" : "p.id";
  // Products that have all words; if there is none, those that have most of them.
  const wanted = `WITH wanted AS MATERIALIZED (
     SELECT CASE WHEN full_match THEN all_words ELSE any_word END AS query, CASE WHEN full_match THEN '{}' ELSE $1::text[] END AS counted
     FROM (SELECT ('(' || array_to_string($1::text[], ') & (') || ')')::tsquery AS all_words,
             ('(' || array_to_string($1::text[], ') | (') || ')')::tsquery AS any_word) AS q,
       LATERAL (SELECT EXISTS (SELECT FROM products p WHERE (p.published OR $8) AND p.search @@ all_words) AS full_match) AS f)`;
  const relevance = `CROSS JOIN LATERAL (SELECT (SELECT count(*) FROM wanted, unnest(counted) AS w WHERE p.search @@ w::tsquery)
       + ts_rank('{0.05, 0.2, 0.5, 1.0}', p.search, (SELECT query FROM wanted)) / 2 AS relevance) AS r`;
  return statement<Found>(
    `productSearch${sort}${ranked ? "Ranked" : ""}${priced ? "Priced" : ""}`,
    `${ranked ? wanted : ""}
     SELECT ${productColumns}, ${by} AS "sortedBy" FROM products p
       ${priced ? "JOIN product_prices c ON c.product_id = p.id AND c.currency = $3" : ""} ${sort === "RELEVANCE" ? relevance : ""}
     WHERE (p.published OR $8) AND ${ranked ? "p.search @@ (SELECT query FROM wanted)" : "$1::text[] IS NOT NULL"}
       AND ($2::text IS NULL OR EXISTS (SELECT FROM product_categories pc JOIN categories k ON k.id = pc.category_id
              LEFT JOIN categories parent ON parent.id = k.parent_id WHERE pc.product_id = p.id AND $2 IN (k.slug, parent.slug)))
       AND $3::text IS NOT NULL
       ${priced ? "AND ($4::bigint IS NULL OR c.lowest_minor >= $4) AND ($5::bigint IS NULL OR c.lowest_minor <= $5)" : "AND $4::bigint IS NULL AND $5::bigint IS NULL"}
       AND (NOT $6::boolean OR EXISTS (SELECT FROM skus s WHERE s.product_id = p.id AND s.listed AND s.availability <> 'OUT_OF_STOCK'))
       AND ($7::text IS NULL OR EXISTS (SELECT FROM skus s, json_to_recordset(s.options) AS o(name text, value text)
              WHERE s.product_id = p.id AND s.listed AND lower(o.value) = lower($7)))
       AND ($9::text IS NULL OR (${by}, ${id}) ${compare} ($9::${type}, $10::uuid))
     ORDER BY ${by} ${direction}, ${id} ${direction} LIMIT $11`,
  );
}

/** A page of products. `after` is the sort value and the id of the page before. */
export async function searchProducts(
  db: Queryable,
  filter: ProductFilter,
  sort: ProductSort,
  after: { sortedBy: string; id: string } | null,
  limit: number,
): Promise<Found[]> {
  const ranked = filter.words.length > 0;
  const effective = sort === "RELEVANCE" && !ranked ? "NEWEST" : sort;
  const priced = effective.startsWith("PRICE") || filter.minPrice !== null || filter.maxPrice !== null;
  const { words, category, currency, minPrice, maxPrice, inStock, option, unpublished } = filter;
  return db.many(searchStatement(effective, ranked, priced), [
    words,
    category,
    currency,
    minPrice,
    maxPrice,
    inStock,
    option,
    unpublished,
    after?.sortedBy ?? null,
    after?.id ?? null,
    limit,
  ]);
}

const meanings = statement<{ word: string; query: string; known: boolean }>(
  "wordMeaning",
  `SELECT word, query::text, query <> '' AND EXISTS (SELECT FROM products p WHERE p.published AND p.search @@ query) AS known
   FROM (SELECT word, plainto_tsquery('english', word) || plainto_tsquery('simple', word) AS query FROM unnest($1::text[]) AS word) AS w`,
);
const alike = statement<Word & { typed: string }>(
  "wordAlike",
  `SELECT typed, word, products FROM unnest($1::text[]) AS typed,
     LATERAL (SELECT word FROM search_words ORDER BY word <-> typed LIMIT $2) AS near,
     LATERAL (SELECT count(*)::int AS products FROM products p WHERE p.published AND p.search @@ plainto_tsquery('english', word)) AS has
   WHERE products > 0`,
);

/** What each word means to the text search, and whether any product has it. */
export async function findMeanings(
  db: Queryable,
  words: string[],
): Promise<Map<string, { query: string; known: boolean }>> {
  const rows = await db.many(meanings, [words]);
  return new Map(rows.map(({ word, query, known }) => [word, { query, known }]));
}

const alikeAtMost = 20;

/** Words of products on sale that look like the typed ones, by these. */
export async function findAlike(db: Queryable, typed: string[]): Promise<Map<string, Word[]>> {
  const words = new Map(typed.map((word): [string, Word[]] => [word, []]));
  if (typed.length === 0) return words;
  for (const row of await db.many(alike, [typed, alikeAtMost])) words.get(row.typed)?.push(row);
  return words;
}
