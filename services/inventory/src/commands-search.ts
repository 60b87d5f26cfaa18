import type { Database } from "@crowdcrunch/kit/database";
import { invalid } from "@crowdcrunch/kit/errors";
import { requireUuid } from "@crowdcrunch/kit/idempotency";
import { requireCurrency } from "./catalogue.ts";
import { correct, wordsOf } from "./search.ts";
import type { Found, ProductFilter, ProductSort } from "./store-search.ts";
import { findAlike, findMeanings, searchProducts } from "./store-search.ts";

export interface ProductMatch {
  text?: string | null;
  category?: string | null;
  currency?: string | null;
  minPriceMinor?: number | null;
  maxPriceMinor?: number | null;
  inStock?: boolean | null;
  option?: string | null;
}

const wordsAtMost = 8;

/** Finds products by what shoppers type, also when they mistype it. */
export function createSearch(db: Database) {
  /** Text search queries of the words. A word that no product has becomes the one that was most likely meant. */
  async function understand(text: string): Promise<string[]> {
    const typed = [...new Set(wordsOf(text))].slice(0, wordsAtMost);
    if (typed.length === 0) return [];
    const meanings = await findMeanings(db, typed);
    const unknown = typed.filter((word) => meanings.get(word)?.query && !meanings.get(word)?.known);
    if (unknown.length > 0) {
      const alike = await findAlike(db, unknown);
      const corrected = new Map(unknown.map((word) => [word, correct(word, alike.get(word) ?? [])]));
      const better = await findMeanings(
        db,
        [...corrected.values()].filter((word) => word !== undefined),
      );
      for (const [word, meant] of corrected) if (meant && better.has(meant)) meanings.set(word, better.get(meant)!);
    }
    // Words such as "the" mean nothing to the search.
    return typed.map((word) => meanings.get(word)?.query ?? "").filter((query) => query !== "");
  }

  return {
    /** A page of products: one more than `limit` where there are more. Throws InvalidInput for what cannot be asked. */
    async find(
      match: ProductMatch,
      sort: ProductSort,
      after: string | null,
      limit: number,
      unpublished: boolean,
    ): Promise<Found[]> {
      if ((match.text?.length ?? 0) > 200) throw invalid("matching.text", "A search has at most 200 characters.");
      requireCurrency(match.currency ?? "GBP", "matching.currency");
      const text = match.text?.trim() ?? "";
      const words = text === "" ? [] : await understand(text);
      if (text !== "" && words.length === 0) return [];
      const filter: ProductFilter = {
        words,
        category: match.category ?? null,
        currency: match.currency ?? "GBP",
        minPrice: match.minPriceMinor ?? null,
        maxPrice: match.maxPriceMinor ?? null,
        inStock: match.inStock ?? false,
        option: match.option ?? null,
        unpublished,
      };
      return searchProducts(db, filter, sort, after === null ? null : parseCursor(after), limit);
    },
  };
}

export type Search = ReturnType<typeof createSearch>;

/** Where a page ended, for clients to hand back as it is. */
export function cursorOf({ sortedBy, id }: Found): string {
  return Buffer.from(JSON.stringify([String(sortedBy), id])).toString("base64url");
}

function parseCursor(cursor: string): { sortedBy: string; id: string } {
  try {
    const [sortedBy, id] = JSON.parse(Buffer.from(cursor, "base64url").toString()) as [unknown, unknown];
    if (typeof sortedBy === "string" && typeof id === "string") return { sortedBy, id: requireUuid(id, "after") };
  } catch {
    // Said below.
  }
  throw invalid("after", "This is not the endCursor of a page.");
}
