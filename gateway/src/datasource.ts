import type { GraphQLDataSource, GraphQLDataSourceProcessOptions } from "@apollo/gateway";
import type { Faults } from "@crowdcrunch/kit/faults";
import type { Logger } from "@crowdcrunch/kit/logger";
import type { Metrics } from "@crowdcrunch/kit/metrics";
import { GraphQLError } from "graphql";
import type { GatewayContext } from "./context.ts";
import { UpstreamError } from "./upstream.ts";
import type { Upstream, UpstreamAnswer } from "./upstream.ts";

type Result = Awaited<ReturnType<GraphQLDataSource<GatewayContext>["process"]>>;
type Options = GraphQLDataSourceProcessOptions<GatewayContext>;

export interface SubgraphOptions {
  /** The service's name. */
  name: string;
  upstream: Upstream;
  /** Whether the service may read and set the caller's cookies. */
  cookies: boolean;
  log: Logger;
  metrics: Metrics;
  /** Faults on purpose: gateway.fetch. */
  faults: Faults;
}

/**
 * Asks one subgraph. A subgraph that cannot be reached, is too late or answers nonsense costs its own fields: the error
 * has the code SUBGRAPH_UNAVAILABLE or TIMEOUT and says nothing of the inside.
 */
export function createDataSource(options: SubgraphOptions): GraphQLDataSource<GatewayContext> {
  const { name, upstream, log, faults } = options;
  const seconds = options.metrics.histogram("crowdcrunch_gateway_fetch_seconds", "Time to an answer of a subgraph", [
    "subgraph",
    "outcome",
  ]);
  const observe = {
    ok: seconds.labels({ subgraph: name, outcome: "ok" }),
    failed: seconds.labels({ subgraph: name, outcome: "failed" }),
  };

  async function send(context: GatewayContext, body: string, mayRepeat: boolean): Promise<UpstreamAnswer> {
    for (let attempt = 1; ; attempt++) {
      const budgetMs = Math.floor(context.deadlineMs - performance.now());
      if (budgetMs <= 0) throw new UpstreamError("timeout", new Error("the budget was used up before"));
      const headers = [...context.forwarded, "content-type", "application/json", "x-budget-ms", String(budgetMs)];
      if (options.cookies && context.cookie !== undefined) headers.push("cookie", context.cookie);
      try {
        if (faults.on) await faults.at("gateway.fetch", name).catch(lose);
        const answer = await upstream.postJson("/graphql", headers, body, budgetMs);
        // A server that is shutting down says so on a connection that was kept.
        if (answer.status === 503 && mayRepeat && attempt === 1) continue;
        return answer;
      } catch (error) {
        // A kept connection may be closed by the other side at the moment it is used. A mutation may have been done.
        if (attempt === 1 && mayRepeat && error instanceof UpstreamError && error.reason === "lost") continue;
        throw error;
      }
    }
  }

  return {
    async process(request) {
      const { query, variables } = request.request;
      // The other kinds of request are for graphs that are composed while they are served.
      const context = request.context as GatewayContext;
      const startedMs = performance.now();
      try {
        const answer = await send(context, JSON.stringify({ query, variables }), !query?.startsWith("mutation"));
        const result = parseResult(answer);
        if (options.cookies && answer.setCookies.length > 0) context.setCookies.push(...answer.setCookies);
        observe.ok.observe((performance.now() - startedMs) / 1_000);
        return result;
      } catch (error) {
        observe.failed.observe((performance.now() - startedMs) / 1_000);
        const timedOut = error instanceof UpstreamError && error.reason === "timeout";
        const { requestId } = context;
        log.warn({ subgraph: name, requestId, error: (error as Error).message }, "a subgraph did not answer");
        throw timedOut ? failure(request, "TIMEOUT") : failure(request, "SUBGRAPH_UNAVAILABLE");
      }
    },
  };
}

function lose(cause: Error): never {
  throw new UpstreamError("lost", cause);
}

function parseResult({ status, text }: UpstreamAnswer): Result {
  const result = JSON.parse(text) as Result | null;
  if (result === null || typeof result !== "object" || !("data" in result || Array.isArray(result.errors))) {
    throw new Error(`status ${status} and no GraphQL result`);
  }
  return result;
}

const messages = {
  SUBGRAPH_UNAVAILABLE: "A part of the answer is not available now; try again.",
  TIMEOUT: "A part of the answer took too long.",
};

/** The path leads to the object whose fields are missing, or to the list of those objects; at the root there is none. */
function failure(request: Options, code: keyof typeof messages): GraphQLError {
  const path: (string | number)[] = [];
  const cursor = "pathInIncomingRequest" in request ? (request.pathInIncomingRequest ?? []) : [];
  for (const step of cursor) {
    if (step === "@") break;
    path.push(step);
  }
  return new GraphQLError(messages[code], {
    path: path.length > 0 ? path : null,
    extensions: { code, retryAfterMs: 1_000 },
  });
}
