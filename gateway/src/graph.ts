import { ApolloGateway } from "@apollo/gateway";
import { ApolloServer, HeaderMap } from "@apollo/server";
import type { ApolloServerOptionsWithGateway, ApolloServerPlugin } from "@apollo/server";
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from "@apollo/server/plugin/disabled";
import { setLibraryVariable } from "@crowdcrunch/kit/config";
import type { Faults } from "@crowdcrunch/kit/faults";
import { requestFaults } from "@crowdcrunch/kit/graphql-faults";
import type { Logger } from "@crowdcrunch/kit/logger";
import type { Metrics } from "@crowdcrunch/kit/metrics";
import type { ServiceName } from "@crowdcrunch/shop/parts";
import { GraphQLError, OperationTypeNode } from "graphql";
import type { DocumentNode, GraphQLSchema } from "graphql";
import { LRUCache } from "lru-cache";
import type { GatewayContext } from "./context.ts";
import { createDataSource } from "./datasource.ts";
import { createErrorFormat } from "./errors.ts";
import { limits } from "./limits.ts";
import type { Upstream } from "./upstream.ts";

export interface GraphOptions {
  /** The composed graph. */
  supergraph: string;
  upstreams: Record<ServiceName, Upstream>;
  introspection: boolean;
  log: Logger;
  metrics: Metrics;
  /** Faults on purpose: graphql.request and gateway.fetch. */
  faults: Faults;
}

export interface Graph {
  server: ApolloServer<GatewayContext>;
  /** The graph as clients see it. */
  schema: GraphQLSchema;
}

/** Loads the composed graph. Asks no subgraph anything, so it does not matter which of them run. */
export async function loadGraph(options: GraphOptions): Promise<Graph> {
  const { log, metrics, upstreams, faults } = options;
  // Else @apollo/gateway sends metrics of its own to its maker.
  setLibraryVariable("APOLLO_TELEMETRY_DISABLED", "true");
  let schema: GraphQLSchema | undefined;
  const gateway = new ApolloGateway({
    supergraphSdl: options.supergraph,
    // It was checked when it was composed.
    validateSupergraph: false,
    __exposeQueryPlanExperimental: false,
    logger: log,
    experimental_approximateQueryPlanStoreMiB: cacheMiB,
    buildService({ name }) {
      const upstream = upstreams[name as ServiceName] as Upstream | undefined;
      if (!upstream) throw new Error(`the graph has a subgraph ${name}, which the gateway does not know`);
      return createDataSource({ name, upstream, cookies: name === "users", log, metrics, faults });
    },
  });
  gateway.onSchemaLoadOrUpdate((loaded) => {
    schema = loaded.apiSchema;
  });
  const server = new ApolloServer<GatewayContext>({
    gateway,
    logger: log,
    introspection: options.introspection,
    hideSchemaDetailsFromClientErrors: !options.introspection,
    includeStacktraceInErrorResponses: false,
    stopOnTerminationSignals: false,
    allowBatchedHttpRequests: false,
    csrfPrevention: true,
    persistedQueries: false,
    documentStore: createDocumentStore(),
    parseOptions: { maxTokens: limits.tokens, noLocation: true },
    formatError: createErrorFormat(log),
    plugins: [
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginLandingPageDisabled(),
      ApolloServerPluginUsageReportingDisabled(),
      noteOutcome,
      refuseSubscription,
      ...requestFaults<GatewayContext>(faults),
    ],
  });
  await server.start();
  if (!schema) throw new Error("the graph has no schema");
  return { server, schema };
}

/**
 * Checked documents, and beside them their plans: each up to this many MiB as JSON, which is some three times as much in
 * memory. Apollo's own 30 would let a stream of new queries fill a container. A shop has some hundred queries of 20 kB.
 */
const cacheMiB = 8;

function createDocumentStore(): NonNullable<ApolloServerOptionsWithGateway<GatewayContext>["documentStore"]> {
  const documents = new LRUCache<string, DocumentNode>({
    maxSize: cacheMiB * 1024 * 1024,
    sizeCalculation: (document) => JSON.stringify(document).length,
  });
  return {
    get: (key) => Promise.resolve(documents.get(key)),
    set: (key, document) => Promise.resolve(void documents.set(key, document)),
    delete: (key) => Promise.resolve(documents.delete(key)),
  };
}

/** Notes for the metrics what was asked and how it ended. */
const noteOutcome: ApolloServerPlugin<GatewayContext> = {
  async requestDidStart() {
    return {
      async willSendResponse({ operation, contextValue, response }) {
        if (operation) contextValue.outcome.operation = operation.operation;
        const errors = response.body.kind === "single" ? response.body.singleResult.errors : undefined;
        if (errors?.[0]) contextValue.outcome.code = String(errors[0].extensions?.["code"] ?? "UNKNOWN");
      },
    };
  },
};

/** Subscriptions are streams: what comes here asked for no stream. */
const refuseSubscription: ApolloServerPlugin<GatewayContext> = {
  async requestDidStart() {
    return {
      async didResolveOperation({ operation }) {
        if (operation?.operation !== OperationTypeNode.SUBSCRIPTION) return;
        throw new GraphQLError("A subscription needs the header Accept: text/event-stream.", {
          extensions: { code: "BAD_REQUEST", http: { status: 406 } },
        });
      },
    };
  },
};

/** The headers that Apollo Server looks at: how the answer is to be written, and whether a browser asked before. */
const headersForApollo = ["accept", "content-type", "x-apollo-operation-name", "apollo-require-preflight"];

/** A request's headers as Apollo Server takes them. */
export function apolloHeaders(headers: Record<string, string | string[] | undefined>): HeaderMap {
  const map = new HeaderMap();
  for (const name of headersForApollo) {
    const value = headers[name];
    if (value !== undefined) map.set(name, Array.isArray(value) ? value.join(", ") : value);
  }
  return map;
}
