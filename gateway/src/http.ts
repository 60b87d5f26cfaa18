import type { TokenVerifier, Viewer } from "@crowdcrunch/kit/identity";
import { CodedError, unauthenticated } from "@crowdcrunch/kit/errors";
import type { Logger } from "@crowdcrunch/kit/logger";
import type { Metrics } from "@crowdcrunch/kit/metrics";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { forwardedHeaders, requestIdOf } from "./context.ts";
import type { GatewayContext, Outcome } from "./context.ts";
import type { DenyList } from "./deny-list.ts";
import { refusal } from "./errors.ts";
import { apolloHeaders } from "./graph.ts";
import type { Graph } from "./graph.ts";
import { createQueryGuard } from "./limits.ts";

export interface GraphHttpOptions {
  graph: Graph;
  tokens: TokenVerifier;
  denyList: DenyList;
  budgetMs: number;
  log: Logger;
  metrics: Metrics;
}

/** Serves the graph at /graphql: who calls is settled first, then how much is asked, then it is planned and run. */
export function serveGraph(app: FastifyInstance, options: GraphHttpOptions): void {
  const { graph, tokens, denyList } = options;
  const isWithinLimits = createQueryGuard(graph.schema);
  const total = options.metrics.counter("crowdcrunch_gateway_requests_total", "GraphQL requests", [
    "operation",
    "code",
  ]);
  const seconds = options.metrics.histogram("crowdcrunch_gateway_request_seconds", "Time to answer a GraphQL request", [
    "operation",
  ]);

  /** Throws UNAUTHENTICATED for a token that is not good or no longer, UNAVAILABLE where none can be checked. */
  async function identify(authorization: string | undefined): Promise<Viewer | null> {
    const viewer = await tokens.verify(authorization);
    if (viewer && denyList.denies(viewer)) throw unauthenticated("The session has ended; sign in again.");
    return viewer;
  }

  async function answer(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const startedMs = performance.now();
    const { headers } = request;
    const requestId = requestIdOf(headers["x-request-id"]);
    const outcome: Outcome = { operation: "none", code: "OK" };
    const context: GatewayContext = {
      viewer: null,
      requestId,
      forwarded: [],
      cookie: headers.cookie,
      deadlineMs: startedMs + options.budgetMs,
      setCookies: [],
      outcome,
    };
    try {
      context.viewer = await identify(headers.authorization);
      if (!isWithinLimits(...queryOf(request))) throw new CodedError("QUERY_TOO_LARGE", "The query asks for too much.");
      context.forwarded = forwardedHeaders({
        authorization: headers.authorization,
        requestId,
        clientAddress: request.ip,
        traceparent: headers.traceparent,
      });
      return await run(request, reply, context);
    } catch (error) {
      return refuse(reply, context, error);
    } finally {
      total.inc({ operation: outcome.operation, code: outcome.code });
      seconds.observe({ operation: outcome.operation }, (performance.now() - startedMs) / 1_000);
    }
  }

  async function run(request: FastifyRequest, reply: FastifyReply, context: GatewayContext): Promise<FastifyReply> {
    const mark = request.url.indexOf("?");
    const response = await graph.server.executeHTTPGraphQLRequest({
      httpGraphQLRequest: {
        method: request.method,
        headers: apolloHeaders(request.headers),
        body: request.body,
        search: mark === -1 ? "" : request.url.slice(mark),
      },
      context: () => Promise.resolve(context),
    });
    reply.code(response.status ?? 200);
    for (const [name, value] of response.headers) reply.header(name, value);
    if (context.setCookies.length > 0) reply.header("set-cookie", context.setCookies);
    if (response.body.kind !== "complete") throw new Error("answers in parts are not supported");
    return reply.send(response.body.string);
  }

  function refuse(reply: FastifyReply, context: GatewayContext, error: unknown): FastifyReply {
    if (!(error instanceof CodedError)) {
      options.log.error({ requestId: context.requestId, error: (error as Error).stack }, "a request failed");
      context.outcome.code = "INTERNAL_SERVER_ERROR";
      return reply.code(500).send(refusal(context.outcome.code, "Something went wrong."));
    }
    context.outcome.code = error.code;
    if (error.code === "UNAUTHENTICATED") reply.header("www-authenticate", "Bearer");
    return reply.code(statusOf(error.code)).send(refusal(error.code, error.message, error.retryAfterMs));
  }

  app.route({
    url: "/graphql",
    method: ["GET", "POST"],
    handler: answer,
    errorHandler(error: FastifyError, _request, reply) {
      const [status, code, message] = explain(error);
      total.inc({ operation: "none", code });
      void reply.code(status).send(refusal(code, message));
    },
    onRequest(request, reply, done) {
      reply.header("x-request-id", (request.headers["x-request-id"] = requestIdOf(request.headers["x-request-id"])));
      reply.header("cache-control", "no-store");
      done();
    },
  });
}

function queryOf(request: FastifyRequest): [query: string, variables: Record<string, unknown> | undefined] {
  const source = (request.method === "GET" ? request.query : request.body) as
    | Record<string, unknown>
    | null
    | undefined;
  // What is no query is for Apollo Server to explain.
  if (typeof source?.["query"] !== "string") return ["", undefined];
  const variables = typeof source["variables"] === "string" ? parseVariables(source["variables"]) : source["variables"];
  return [
    source["query"],
    typeof variables === "object" && variables !== null ? (variables as Record<string, unknown>) : undefined,
  ];
}

function parseVariables(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function statusOf(code: string): number {
  if (code === "UNAUTHENTICATED") return 401;
  return code === "UNAVAILABLE" ? 503 : 400;
}

/** What the HTTP server found wrong before there was a request to answer. */
function explain(error: FastifyError): [status: number, code: string, message: string] {
  if (error.statusCode === 413) return [413, "QUERY_TOO_LARGE", "The request is too large."];
  if (error.statusCode === 415) return [415, "BAD_REQUEST", "The content type must be application/json."];
  return [400, "BAD_REQUEST", "The request is not valid JSON."];
}
