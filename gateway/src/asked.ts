import type { FastifyRequest } from "fastify";
import type { ListedOperations } from "./listed-operations.ts";

/** What a request asks of the graph. */
export interface Asked {
  /** Empty where there is none: Apollo Server explains what is wrong. */
  query: string;
  variables: Record<string, unknown> | undefined;
  operationName: string | undefined;
  /** The request as Apollo Server takes it. */
  body: unknown;
  search: string;
}

type Source = Record<string, unknown>;

/**
 * Reads what a request asks. With `listed` only the operations of that list are known, by their ids. Throws a CodedError
 * for one that is not in it.
 */
export function readAsked(request: FastifyRequest, listed: ListedOperations | undefined): Asked {
  const given = (request.method === "GET" ? request.query : request.body) as Source | null | undefined;
  const source = listed && isSource(given) ? withDocument(given, listed) : given;
  const mark = request.url.indexOf("?");
  const asIs = source === given;
  return {
    query: typeof source?.["query"] === "string" ? source["query"] : "",
    variables: objectOf(source?.["variables"]),
    operationName: typeof source?.["operationName"] === "string" ? source["operationName"] : undefined,
    body: request.method === "GET" ? request.body : source,
    search: mark === -1 ? "" : asIs || request.method !== "GET" ? request.url.slice(mark) : searchOf(source as Source),
  };
}

/** The request with the document that its id stands for. */
function withDocument(given: Source, listed: ListedOperations): Source {
  const { extensions, documentId, ...rest } = given;
  const { persistedQuery, ...others } = objectOf(extensions) ?? {};
  const query = listed.documentOf(documentId ?? objectOf(persistedQuery)?.["sha256Hash"]);
  return { ...rest, ...(Object.keys(others).length > 0 ? { extensions: others } : {}), query };
}

function searchOf(source: Source): string {
  const entries = Object.entries(source).map(([name, value]) => [
    name,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  return `?${new URLSearchParams(entries as [string, string][]).toString()}`;
}

/** The object, also where a query string has it as JSON. */
function objectOf(value: unknown): Source | undefined {
  if (typeof value !== "string") return isSource(value) ? value : undefined;
  try {
    const parsed: unknown = JSON.parse(value);
    return isSource(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

function isSource(value: unknown): value is Source {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
