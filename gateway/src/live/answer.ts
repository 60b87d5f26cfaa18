import type { GraphQLFormattedError } from "graphql";
import type { LiveOperation } from "./operation.ts";
import { hidden } from "./operation.ts";

/** What a query for listeners came to. */
export interface Answer {
  /** `retry`: nothing can be said now. `ended`: there is nothing to listen to, or no longer. */
  outcome: "sent" | "retry" | "ended";
  /** A part is missing for now. */
  isPartial: boolean;
  /** The result as listeners get it, JSON. */
  text: string;
  key: string | undefined;
  /** 0 where the field counts no versions. */
  version: number;
}

export interface Result {
  data?: Record<string, unknown> | null;
  errors?: readonly GraphQLFormattedError[];
}

/** Codes of what will be better in a while; all others stay as they are. */
const passing = new Set(["SUBGRAPH_UNAVAILABLE", "TIMEOUT", "UNAVAILABLE", "INTERNAL_SERVER_ERROR"]);

function isPassing({ extensions }: GraphQLFormattedError): boolean {
  return extensions?.["retryAfterMs"] !== undefined || passing.has(String(extensions?.["code"]));
}

/** Results beyond this many characters are not kept for slow clients. */
export const longestResult = 256 * 1024;

/** Reads a result, and takes out of it what the listener did not ask for. */
export function readAnswer(operation: LiveOperation, result: Result): Answer {
  const { data, errors = [] } = result;
  const root = data?.[operation.responseName] as Record<string, unknown> | unknown[] | null | undefined;
  const isPartial = errors.some(isPassing);
  let key: string | undefined;
  let version = 0;
  if (root && !Array.isArray(root)) {
    if (typeof root[hidden.key] === "string") key = root[hidden.key] as string;
    if (typeof root[hidden.version] === "number") version = root[hidden.version] as number;
    delete root[hidden.key];
    delete root[hidden.version];
  }
  const said: Result = { ...(data === undefined ? {} : { data }), ...(errors.length > 0 ? { errors } : {}) };
  const text = JSON.stringify(said);
  if (!root) return { outcome: isPartial ? "retry" : "ended", isPartial, text, key, version: Infinity };
  if (text.length > longestResult) {
    const error = { message: "The query asks for too much.", extensions: { code: "QUERY_TOO_LARGE" } };
    return { outcome: "ended", isPartial: false, text: JSON.stringify({ errors: [error] }), key, version: Infinity };
  }
  return { outcome: "sent", isPartial, text, key, version };
}
