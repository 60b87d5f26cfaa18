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
  PRICE_ASC: { by: "coalesce(price, 9007199254740991)", descending: false, type: "bigint" },
  PRICE_DESC: { by: "coalesce(price, -1)", descending: true, type: "bigint" },
};

/** One statement for each sort; the name says which, and only these exist. */
function searchStatement(sort: ProductSort, ranked: boolean, priced: boolean) {
  const { by, descending, type } = sorts[sort];
  const direction = descending ? "DESC" : "ASC";
  const compare = descending ? "<" : ">";
  // Words that a product has count first; where they stand and how often decides among equals.
  const relevance = ranked
    ? `CROSS JOIN LATERAL (SELECT (SELECT count(*) FROM unnest($1::text[]) AS w WHERE p.search @@ w::tsquery)
         + ts_rank('{0.05, 0.2, 0.5, 1.0}', p.search, array_to_string($1::text[], ' | ')::tsquery) / 2 AS relevance) AS r`
    : "";
  const price = priced
    ? `LEFT JOIN LATERAL (SELECT min(r.amount_minor) AS price FROM skus s JOIN prices r ON r.sku_id = s.id
         WHERE s.product_id = p.id AND s.listed AND r.currency = $3) AS c ON true`
    : "";
  return statement<Found>(
    `productSearch${sort}${ranked ? "Ranked" : ""}${priced ? "Priced" : ""}`,
    `SELECT ${productColumns}, ${by} AS "sortedBy" FROM products p ${relevance} ${price}
     WHERE (p.published OR $8) ${ranked ? "AND p.search @@ array_to_string($1::text[], ' | ')::tsquery" : "AND $1::text[] IS NOT NULL"}
       AND ($2::text IS NULL OR EXISTS (SELECT FROM product_categories pc JOIN categories k ON k.id = pc.category_id
              LEFT JOIN categories parent ON parent.id = k.parent_id WHERE pc.product_id = p.id AND $2 IN (k.slug, parent.slug)))
       AND $3::text IS NOT NULL
       ${priced ? "AND ($4::bigint IS NULL OR price >= $4) AND ($5::bigint IS NULL OR price <= $5)" : "AND $4::bigint IS NULL AND $5::bigint IS NULL"}
       AND (NOT $6::boolean OR EXISTS (SELECT FROM skus s WHERE s.product_id = p.id AND s.listed AND s.availability <> 'OUT_OF_STOCK'))
       AND ($7::text IS NULL OR EXISTS (SELECT FROM skus s, json_to_recordset(s.options) AS o(name text, value text)
              WHERE s.product_id = p.id AND s.listed AND lower(o.value) = lower($7)))
       AND ($9::text IS NULL OR (${by}, p.id) ${compare} ($9::${type}, $10::uuid))
     ORDER BY ${by} ${direction}, p.id ${direction} LIMIT $11`,
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
const vocabulary = statement<Word>(
  "vocabulary",
  `SELECT word, count(*)::int AS products FROM products p,
     LATERAL (SELECT DISTINCT unnest(regexp_split_to_array(lower(replace(replace(concat_ws(' ', p.name, p.description,
        (SELECT string_agg(c.name, ' ') FROM product_categories pc JOIN categories c ON c.id = pc.category_id WHERE pc.product_id = p.id),
        (SELECT string_agg(o.value, ' ') FROM skus s, json_to_recordset(s.options) AS o(name text, value text) WHERE s.product_id = p.id)), '''', ''), '’', '')), '[^[:alnum:]]+')) AS word) AS w
   WHERE p.published AND length(word) >= 4 GROUP BY word`,
);

/** What each word means to the text search, and whether any product has it. */
export async function findMeanings(
  db: Queryable,
  words: string[],
): Promise<Map<string, { query: string; known: boolean }>> {
  const rows = await db.many(meanings, [words]);
  return new Map(rows.map(({ word, query, known }) => [word, { query, known }]));
}

/** All words of the catalogue of four letters and more. */
export async function readVocabulary(db: Queryable): Promise<Word[]> {
  return db.many(vocabulary);
}
