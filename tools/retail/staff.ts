/** The graph as a member of staff's program uses it: it renews its token, and tries again what failed in passing. */
import { setTimeout as sleep } from "node:timers/promises";
import { Problem } from "../environment.ts";
import { GraphFailure, openGraph } from "@crowdcrunch/shopper/client";
import { operatorToken } from "../operator.ts";

/** What a mutation answered: the type's name and the fields that were asked for. */
export interface Answer {
  __typename: string;
  message?: string;
  [field: string]: any;
}

export interface Staff {
  /** The answer of the one mutation of a document. Throws a Problem where the shop does not answer for a minute. */
  mutate(document: string, input: Record<string, unknown>): Promise<Answer>;
  close(): Promise<void>;
}

/** Tokens live ten minutes. */
const tokenFreshMs = 300_000;
const patienceMs = 60_000;

/** Opens the graph of a shop. Every mutation carries a key or changes nothing when repeated, so that each may be retried. */
export function openStaff(shop: { varDir: string; graphUrl: string }, connections: number, stop?: AbortSignal): Staff {
  const graph = openGraph(shop.graphUrl, { connections });
  let token: { value: Promise<string>; takenMs: number } | undefined;
  function freshToken(): Promise<string> {
    if (!token || performance.now() - token.takenMs > tokenFreshMs)
      token = { value: operatorToken(shop.varDir), takenMs: performance.now() };
    return token.value;
  }

  return {
    async mutate(document, input) {
      const giveUpAt = performance.now() + patienceMs;
      for (let waitMs = 200; ; waitMs = Math.min(waitMs * 2, 5_000)) {
        try {
          const data = await graph.ask(document, { input }, await freshToken());
          return Object.values(data)[0] as Answer;
        } catch (error) {
          if (!isPassing(error)) throw error;
          if (performance.now() > giveUpAt)
            throw new Problem(`The shop does not answer (${(error as Error).message}): see make status.`);
        }
        stop?.throwIfAborted();
        await sleep(waitMs);
      }
    },
    close: () => graph.close(),
  };
}

const passingCodes = new Set(["UNAVAILABLE", "SUBGRAPH_UNAVAILABLE", "TIMEOUT", "CATALOGUE_BEHIND", "IN_PROGRESS"]);

/** True where the same request may succeed a moment later: a process was restarted, or a read model is behind. */
function isPassing(error: unknown): boolean {
  if (error instanceof GraphFailure) {
    return error.errors.some(
      ({ extensions }) => extensions?.retryAfterMs !== undefined || passingCodes.has(extensions?.code ?? ""),
    );
  }
  return isConnectionLost(error);
}

/** True for an error of the network, of undici or of pg. */
export function isConnectionLost(error: unknown): boolean {
  const { code = "", message = "" } = error as { code?: string; message?: string };
  return /^(?:ECONN|EPIPE|UND_ERR|57P0|08)/.test(code) || /connection terminated/i.test(message);
}
