/** A client of the graph, for the programs that speak to a running shop. */
import { Pool } from "undici";

export interface GraphError {
  message: string;
  path?: (string | number)[];
  extensions?: { code?: string; retryAfterMs?: number };
}

/** What the graph answered with errors; the message names the first. */
export class GraphFailure extends Error {
  override name = "GraphFailure";
  errors: GraphError[];
  constructor(operation: string, errors: GraphError[]) {
    const [first] = errors;
    super(`${operation}: ${first?.message ?? "no answer"} (${first?.extensions?.code ?? "no code"})`);
    this.errors = errors;
  }
}

export interface GraphClient {
  /** The data of one operation. Throws GraphFailure when the graph answers with errors. */
  ask<Data = any>(query: string, variables?: Record<string, unknown>, token?: string): Promise<Data>;
  close(): Promise<void>;
}

/**
 * Opens keep-alive connections to the graph. `connections` is how many requests may be under way at once, `timeoutMs`
 * how long an answer may take.
 */
export function openGraph(graphUrl: string, options: { connections?: number; timeoutMs?: number } = {}): GraphClient {
  const { origin, pathname } = new URL(graphUrl);
  const { connections = 4, timeoutMs } = options;
  const pool = new Pool(origin, {
    connections,
    pipelining: 1,
    // It is this side that closes an idle connection, also to a gateway that stops: a request is never on its way to one
    // that is being closed.
    keepAliveTimeout: 1_000,
    keepAliveMaxTimeout: 1_000,
    ...(timeoutMs ? { headersTimeout: timeoutMs, bodyTimeout: timeoutMs } : {}),
  });
  return {
    async ask(query, variables = {}, token) {
      const { body, statusCode } = await pool.request({
        method: "POST",
        path: pathname,
        headers: { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) },
        body: JSON.stringify({ query, variables }),
      });
      const text = await body.text();
      const operation = /(?:query|mutation)\s+(\w+)|\{\s*(\w+)/.exec(query);
      const name = operation?.[1] ?? operation?.[2] ?? "operation";
      if (!text.startsWith("{"))
        throw new GraphFailure(name, [{ message: text.slice(0, 200), extensions: { code: `HTTP ${statusCode}` } }]);
      const answer = JSON.parse(text) as { data?: unknown; errors?: GraphError[] };
      if (answer.errors?.length || !answer.data) throw new GraphFailure(name, answer.errors ?? []);
      return answer.data as never;
    },
    close: () => pool.close(),
  };
}
