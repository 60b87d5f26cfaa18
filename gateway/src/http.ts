import underPressure from "@fastify/under-pressure";
import type { TokenVerifier, Viewer } from "@crowdcrunch/kit/identity";
import { CodedError, unauthenticated } from "@crowdcrunch/kit/errors";
import { discardBody } from "@crowdcrunch/kit/http";
import type { Logger } from "@crowdcrunch/kit/logger";
import type { Metrics } from "@crowdcrunch/kit/metrics";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { overloaded } from "./admission.ts";
import type { Admission } from "./admission.ts";
import { readAsked } from "./asked.ts";
import type { Asked } from "./asked.ts";
import { forwardedHeaders, requestIdOf } from "./context.ts";
import type { GatewayContext, Outcome } from "./context.ts";
import type { DenyList } from "./deny-list.ts";
import { refusal } from "./errors.ts";
import { apolloHeaders } from "./graph.ts";
import type { Graph } from "./graph.ts";
import { createQueryGuard } from "./limits.ts";
import type { ListedOperations } from "./listed-operations.ts";
import type { Live } from "./live/live.ts";
import { InvalidOperation } from "./live/operation.ts";
import { completeEvent, nextEvent, streamHeaders } from "./live/stream.ts";

export interface GraphHttpOptions {
  graph: Graph;
  live: Live;
  tokens: TokenVerifier;
  denyList: DenyList;
  admission: Admission;
  /** The only operations that are taken; all where it is not given. */
  listed: ListedOperations | undefined;
  /** From which mean delay of the event loop on requests are refused before they are read, in ms. */
  eventLoopDelayMs: number;
  budgetMs: number;
  log: Logger;
  metrics: Metrics;
}

/**
 * Serves the graph at /graphql: whether there is room is settled first, then who calls, then how much is asked, then it
 * is planned and run.
 */
export async function serveGraph(app: FastifyInstance, options: GraphHttpOptions): Promise<void> {
  const { graph, live, tokens, denyList, admission } = options;
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
    let leave: (() => void) | undefined;
    try {
      const asked = readAsked(request, options.listed);
      const { query, variables } = asked;
      leave = await admission.enter(mutates.test(query));
      context.viewer = await identify(headers.authorization);
      if (!isWithinLimits(query, variables)) throw new CodedError("QUERY_TOO_LARGE", "The query asks for too much.");
      context.forwarded = forwardedHeaders({
        authorization: headers.authorization,
        requestId,
        clientAddress: request.ip,
        traceparent: headers.traceparent,
      });
      const subscription = takesStream(request) ? live.read(query, asked.operationName) : undefined;
      if (!subscription) return await run(request, asked, reply, context);
      outcome.operation = "subscription";
      const { viewer } = context;
      const caller = { viewer, authorization: headers.authorization, clientAddress: request.ip };
      return await live.open(subscription, variables ?? {}, caller, reply);
    } catch (error) {
      if (takesStream(request)) return refuseInStream(reply, context, error);
      return refuse(reply, context, error);
    } finally {
      leave?.();
      total.inc({ operation: outcome.operation, code: outcome.code });
      seconds.observe({ operation: outcome.operation }, (performance.now() - startedMs) / 1_000);
    }
  }

  async function run(
    request: FastifyRequest,
    asked: Asked,
    reply: FastifyReply,
    context: GatewayContext,
  ): Promise<FastifyReply> {
    const inStream = takesOnlyStream(request);
    const response = await graph.server.executeHTTPGraphQLRequest({
      httpGraphQLRequest: {
        method: request.method,
        headers: apolloHeaders(inStream ? { ...request.headers, accept: "application/json" } : request.headers),
        body: asked.body,
        search: asked.search,
      },
      context: () => Promise.resolve(context),
    });
    for (const [name, value] of response.headers) reply.header(name, value);
    if (context.setCookies.length > 0) reply.header("set-cookie", context.setCookies);
    if (response.body.kind !== "complete") throw new Error("answers in parts are not supported");
    return inStream
      ? sendInStream(reply, response.body.string)
      : reply.code(response.status ?? 200).send(response.body.string);
  }

  /** Who asks for a stream is told in it what is wrong with the operation; other refusals keep their status. */
  function refuseInStream(reply: FastifyReply, context: GatewayContext, error: unknown): FastifyReply {
    if (error instanceof InvalidOperation) {
      context.outcome.code = String(error.errors[0]?.extensions["code"]);
      return sendInStream(reply, JSON.stringify({ errors: error.errors }));
    }
    if (error instanceof CodedError && statusOf(error.code) === 400) {
      context.outcome.code = error.code;
      return sendInStream(reply, JSON.stringify(refusal(error.code, error.message, error.retryAfterMs)));
    }
    return refuse(reply, context, error);
  }

  function refuse(reply: FastifyReply, context: GatewayContext, error: unknown): FastifyReply {
    if (!(error instanceof CodedError)) {
      options.log.error({ requestId: context.requestId, error: (error as Error).stack }, "a request failed");
      context.outcome.code = "INTERNAL_SERVER_ERROR";
      return reply.code(500).send(refusal(context.outcome.code, "Something went wrong."));
    }
    context.outcome.code = error.code;
    return answerRefusal(reply, error);
  }

  function servePath(scope: FastifyInstance): void {
    scope.route({
      url: "/graphql",
      method: ["GET", "POST"],
      handler: answer,
      errorHandler(error: FastifyError, request, reply) {
        const [status, code, message] = explain(error);
        total.inc({ operation: "none", code });
        const read = status === 413 ? discardBody(request.raw) : Promise.resolve();
        void read.then(() => reply.code(status).send(refusal(code, message)));
      },
      onRequest(request, reply, done) {
        reply.header("x-request-id", (request.headers["x-request-id"] = requestIdOf(request.headers["x-request-id"])));
        reply.header("cache-control", "no-store");
        done();
      },
    });
  }

  // In a scope of its own: other paths, such as the provider's callbacks, are let in all the same.
  await app.register(async (scope) => {
    await scope.register(underPressure, {
      maxEventLoopDelay: options.eventLoopDelayMs,
      pressureHandler(_request, reply) {
        const error = overloaded();
        total.inc({ operation: "none", code: error.code });
        void answerRefusal(reply, error);
      },
    });
    servePath(scope);
  });
}

const mutates = /^\s*mutation\b/;

/** Whether the client takes its answer as a stream of events. */
function takesStream({ headers }: FastifyRequest): boolean {
  return headers.accept?.includes("text/event-stream") ?? false;
}

/** Whether the client takes it in no other way: also what is no subscription then comes as events. */
function takesOnlyStream(request: FastifyRequest): boolean {
  return takesStream(request) && !/json|\*\/\*/.test(request.headers.accept ?? "");
}

/** The whole answer as a stream of one result. */
function sendInStream(reply: FastifyReply, result: string): FastifyReply {
  return reply.headers(streamHeaders).send(nextEvent(result.trimEnd()) + completeEvent);
}

function answerRefusal(reply: FastifyReply, { code, message, retryAfterMs }: CodedError): FastifyReply {
  if (code === "UNAUTHENTICATED") reply.header("www-authenticate", "Bearer");
  if (retryAfterMs !== undefined) reply.header("retry-after", Math.ceil(retryAfterMs / 1_000));
  return reply.code(statusOf(code)).send(refusal(code, message, retryAfterMs));
}

function statusOf(code: string): number {
  if (code === "UNAUTHENTICATED") return 401;
  if (code === "TOO_MANY_STREAMS") return 429;
  return code === "UNAVAILABLE" || code === "OVERLOADED" ? 503 : 400;
}

/** What the HTTP server found wrong before there was a request to answer. */
function explain(error: FastifyError): [status: number, code: string, message: string] {
  if (error.statusCode === 413) return [413, "QUERY_TOO_LARGE", "The request is too large."];
  if (error.statusCode === 415) return [415, "BAD_REQUEST", "The content type must be application/json."];
  return [400, "BAD_REQUEST", "The request is not valid JSON."];
}
