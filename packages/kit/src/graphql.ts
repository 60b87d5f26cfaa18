import { ApolloServer } from "@apollo/server";
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginInlineTraceDisabled,
} from "@apollo/server/plugin/disabled";
import { buildSubgraphSchema } from "@apollo/subgraph";
import { fastifyApolloHandler } from "@as-integrations/fastify";
import DataLoader from "dataloader";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { GraphQLError, parse } from "graphql";
import { guardResolvers } from "./access.ts";
import type { ResolverMap } from "./access.ts";
import { budgetOf } from "./budget.ts";
import type { Budgets } from "./budget.ts";
import { CodedError, toGraphQLError } from "./errors.ts";
import { inertFaults } from "./faults.ts";
import type { Faults } from "./faults.ts";
import { requestFaults } from "./graphql-faults.ts";
import type { TokenVerifier, Viewer } from "./identity.ts";
import type { Logger } from "./logger.ts";
import { CurrencyCode, DateTime, MinorUnits } from "./scalars.ts";

/** Loads many things at once; the results stand in the order of the keys. */
export type BatchLoad<Key, Value> = (keys: readonly Key[]) => Promise<(Value | undefined)[]>;

/** What a resolver knows about the request it serves. */
export interface RequestContext {
  /** Who calls; null without a token. */
  viewer: Viewer | null;
  /** Loads through a batch that all loads of the request with the same function share: one statement for a whole list. */
  load<Value>(batch: BatchLoad<string, Value>, key: string): Promise<Value | undefined>;
  request: FastifyRequest;
  reply: FastifyReply;
}

/** Brings rows into the order of their keys. */
export function inOrderOf<Row>(keys: readonly string[], rows: Row[], keyOf: (row: Row) => string): (Row | undefined)[] {
  const byKey = new Map(rows.map((row) => [keyOf(row), row]));
  return keys.map((key) => byKey.get(key));
}

/** Groups rows that belong to a key, in the order of the keys; a key without rows has an empty list. */
export function groupedInOrderOf<Row>(keys: readonly string[], rows: Row[], keyOf: (row: Row) => string): Row[][] {
  const byKey = new Map<string, Row[]>(keys.map((key) => [key, []]));
  for (const row of rows) byKey.get(keyOf(row))?.push(row);
  return keys.map((key) => byKey.get(key) ?? []);
}

export interface SubgraphOptions {
  /** The whole SDL, as `subgraphSdl` makes it. */
  sdl: string;
  resolvers: ResolverMap;
  tokens: TokenVerifier;
  log: Logger;
  /** Bounds the work for a request by what its `x-budget-ms` leaves; without it the header is not looked at. */
  budgets?: Budgets;
  /** Faults on purpose; none where not given. */
  faults?: Faults;
}

/** Serves the subgraph at /graphql of the given server, which is closed before this is stopped. */
export async function serveSubgraph(
  app: FastifyInstance,
  options: SubgraphOptions,
): Promise<ApolloServer<RequestContext>> {
  const document = parse(options.sdl);
  const resolvers = guardResolvers(document, { DateTime, MinorUnits, CurrencyCode, ...options.resolvers });
  const server = new ApolloServer<RequestContext>({
    schema: buildSubgraphSchema([{ typeDefs: document, resolvers }]),
    logger: options.log,
    stopOnTerminationSignals: false,
    includeStacktraceInErrorResponses: false,
    formatError(formatted, error) {
      const mapped = toGraphQLError(error, (cause) =>
        options.log.error(
          { error: (cause as Error)?.stack ?? String(cause), path: formatted.path },
          "a request failed",
        ),
      );
      const { http: _, ...extensions } = mapped.extensions;
      return { ...formatted, message: mapped.message, extensions: { ...formatted.extensions, ...extensions } };
    },
    // Both would look at every field of every answer, for headers and extensions that nobody reads.
    plugins: [
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginInlineTraceDisabled(),
      ...requestFaults(options.faults ?? inertFaults),
    ],
  });
  await server.start();
  const answer = fastifyApolloHandler(server, {
    context: async (request, reply) => {
      const viewer = await refusing(async () => {
        options.budgets?.leftMs();
        return options.tokens.verify(request.headers.authorization);
      });
      return createContext(viewer, request, reply);
    },
  });
  const { budgets } = options;
  app.route({
    url: "/graphql",
    method: ["GET", "POST"],
    handler(request, reply) {
      const handle = () => answer.call(app, request, reply);
      return budgets ? budgets.within(budgetOf(request.headers["x-budget-ms"]), handle) : handle();
    },
  });
  return server;
}

const statuses: Record<string, number> = { UNAUTHENTICATED: 401, TIMEOUT: 504 };

/** A token that is not good, or no time left, ends the request, whatever it asks for, with the status that HTTP has for it. */
async function refusing<T>(check: () => Promise<T>): Promise<T> {
  try {
    return await check();
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    const { code, message, retryAfterMs } = error;
    const http = { status: statuses[code] ?? 503 };
    throw new GraphQLError(message, { extensions: { code, ...(retryAfterMs ? { retryAfterMs } : {}), http } });
  }
}

function createContext(viewer: Viewer | null, request: FastifyRequest, reply: FastifyReply): RequestContext {
  const loaders = new Map<unknown, DataLoader<string, unknown>>();
  return {
    viewer,
    request,
    reply,
    load<Value>(batch: BatchLoad<string, Value>, key: string) {
      let loader = loaders.get(batch);
      if (!loader) {
        loader = new DataLoader<string, unknown>(async (keys) => batch(keys));
        loaders.set(batch, loader);
      }
      return loader.load(key) as Promise<Value | undefined>;
    },
  };
}
