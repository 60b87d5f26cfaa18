import { parse } from "graphql";
import type { DocumentNode, GraphQLSchema } from "graphql";
import { LRUCache } from "lru-cache";
import { TooLarge, refuseTooLarge } from "./query-size.ts";
import type { Limits, Variables } from "./query-size.ts";

/** Bytes of a request's body. */
export const bodyLimitBytes = 256 * 1024;

/**
 * What an operation may ask for. Clients are not told which of these they met. Validation compares fields of one name
 * with each other and would take a third of a second for the most tokens; few fragments and repeated fields keep
 * the worst at some 15 ms.
 */
export const limits: Limits & { tokens: number } = {
  /** Lexical tokens of the whole document. */
  tokens: 3_000,
  depth: 15,
  nesting: 30,
  aliases: 50,
  /** Fields after all fragments are put in. */
  fields: 1_000,
  fragments: 50,
  repeats: 40,
  cost: 50_000,
  /** Mutations of one operation: each is a transaction of its own. */
  rootMutations: 1,
};

interface KnownQuery {
  /** Set where the size depends on variables, and must be measured each time. */
  document: DocumentNode | undefined;
}

/**
 * Says whether a query is within the limits, before it is validated or planned. Queries that are always within them are
 * remembered by their text, so that a known query costs one look-up. A text that is no GraphQL passes: who parses it
 * next explains why.
 */
export function createQueryGuard(schema: GraphQLSchema): (query: string, variables: Variables | undefined) => boolean {
  const known = new LRUCache<string, KnownQuery>({
    max: 1_000,
    maxSize: 2 * 1024 * 1024,
    sizeCalculation: (_, query) => query.length + 1,
  });

  return (query, variables) => {
    const seen = known.get(query);
    if (seen && !seen.document) return true;
    const document = seen?.document ?? parseWithin(query);
    if (document === "too large") return false;
    if (document === "malformed") return true;
    try {
      const varies = refuseTooLarge(schema, document, variables ?? {}, limits);
      if (!seen) known.set(query, { document: varies ? document : undefined });
      return true;
    } catch (error) {
      if (error instanceof TooLarge) return false;
      throw error;
    }
  };
}

function parseWithin(query: string): DocumentNode | "too large" | "malformed" {
  try {
    return parse(query, { maxTokens: limits.tokens, noLocation: true });
  } catch (error) {
    return /more tha[nt] \d+ tokens/.test((error as Error).message) ? "too large" : "malformed";
  }
}
