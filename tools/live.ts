/** Listens to the graph, for the programs that show or check what happens in a running shop. */
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "graphql-sse";
import type { ExecutionResult } from "graphql";
import { GraphFailure } from "@crowdcrunch/shopper/client";
import type { GraphError } from "@crowdcrunch/shopper/client";

export interface Listening {
  query: string;
  variables?: Record<string, unknown>;
  /** Asked for at each beginning, so that a stream which ended with its token goes on with the next one. */
  token?: () => Promise<string> | string;
  /** Stops the listening. */
  signal?: AbortSignal;
}

const beginAgainMs = 500;

/**
 * The data of a subscription: the state now, and then after each change. Goes on where a stream ends with its token, a
 * gateway stops or a connection breaks; each time it begins with the state of then. Ends when there is nothing more to
 * listen to. Throws GraphFailure when the graph refuses.
 */
export async function* listen<Data = any>(graphUrl: string, listening: Listening): AsyncGenerator<Data> {
  const { query, variables = {}, token, signal } = listening;
  while (!signal?.aborted) {
    const client = createClient({
      url: graphUrl,
      headers: async (): Promise<Record<string, string>> => (token ? { authorization: `Bearer ${await token()}` } : {}),
      retryAttempts: Number.POSITIVE_INFINITY,
      retry: () => sleep(beginAgainMs),
    });
    const stop = () => client.dispose();
    signal?.addEventListener("abort", stop, { once: true });
    let last: ExecutionResult | undefined;
    try {
      for await (const result of client.iterate({ query, variables })) {
        last = result as ExecutionResult;
        if (last.data) yield last.data as Data;
      }
    } catch (error) {
      if (!signal?.aborted) throw error;
    } finally {
      signal?.removeEventListener("abort", stop);
      client.dispose();
    }
    const errors = [...(last?.errors ?? [])] as GraphError[];
    const againMs = errors.map(({ extensions }) => extensions?.retryAfterMs).find((delayMs) => delayMs !== undefined);
    const hasExpired = errors.some(({ extensions }) => extensions?.code === "UNAUTHENTICATED");
    if (againMs === undefined && !(hasExpired && last?.data === undefined)) {
      if (last?.data || errors.length === 0) return;
      throw new GraphFailure("the subscription", errors);
    }
    if (!signal?.aborted) await sleep(againMs ?? 0);
  }
}
