import { readFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { composeServices } from "@apollo/composition";
import { orderProgressed } from "@crowdcrunch/events/orders";
import { availabilityChanged } from "@crowdcrunch/events/inventory";
import { tokensRevoked } from "@crowdcrunch/events/users";
import type { EventToEmit } from "@crowdcrunch/events/contract";
import type { ResolverMap } from "@crowdcrunch/kit/access";
import type { EventLog } from "@crowdcrunch/kit/eventlog";
import { serveSubgraph } from "@crowdcrunch/kit/graphql";
import { createTokenVerifier } from "@crowdcrunch/kit/identity";
import { createLogger } from "@crowdcrunch/kit/logger";
import { fastify } from "fastify";
import type { FastifyInstance } from "fastify";
import { parse } from "graphql";
import { createClient } from "graphql-sse";
import { vi } from "vitest";

// Two small subgraphs whose state tests set, behind the gateway's own fields; the log is the one that it is given.

const schemas = {
  orders: `
    type Query {
      order(number: String!): Order @access(roles: [SHOPPER, STAFF], owner: "customerId")
    }
    type Subscription {
      orderUpdated(number: String!): Order @access(roles: [SHOPPER, STAFF], owner: "customerId")
    }
    type Order @key(fields: "id") @access(roles: [SHOPPER, STAFF], owner: "customerId") {
      id: ID! number: String! status: String! version: Int! related(first: Int! = 20): [Order]
    }`,
  inventory: `
    type Query {
      skus(ids: [ID!]!): [Sku] @access(roles: [PUBLIC])
    }
    type Subscription {
      availabilityChanged(skuIds: [ID!]!): [Sku] @access(roles: [PUBLIC])
    }
    type Sku @key(fields: "id") @access(roles: [PUBLIC]) { id: ID! availability: String! }`,
};

export interface LiveOrder {
  id: string;
  customerId: string;
  number: string;
  status: string;
  version: number;
}

export interface LiveServices {
  supergraph: string;
  urls: { orders: string; inventory: string };
  orders: Map<string, LiveOrder>;
  availability: Map<string, string>;
  /** How often orders, or articles, were asked for. */
  asked: { orders: number; skus: number };
  /** What each answer waits for. */
  hold: { until: Promise<unknown> };
  stopOrders(): Promise<void>;
  startOrders(): Promise<void>;
  stop(): Promise<void>;
}

async function sdlOf(service: keyof typeof schemas): Promise<string> {
  return `${await readFile(new URL(import.meta.resolve("@crowdcrunch/kit/common.graphql")), "utf8")}\n${schemas[service]}`;
}

export async function startLiveServices(jwksFile: string): Promise<LiveServices> {
  const orders = new Map<string, LiveOrder>();
  const availability = new Map<string, string>();
  const asked = { orders: 0, skus: 0 };
  const hold: { until: Promise<unknown> } = { until: Promise.resolve() };
  const resolvers: Record<keyof typeof schemas, ResolverMap> = {
    orders: {
      Query: {
        async order(_: unknown, { number }: { number: string }) {
          asked.orders++;
          const now = orders.get(number);
          const seen = now && { ...now };
          await hold.until;
          return seen;
        },
      },
      Order: {
        __resolveReference: ({ id }: { id: string }) => [...orders.values()].find((order) => order.id === id),
        related: () => [],
      },
    },
    inventory: {
      Query: {
        skus(_: unknown, { ids }: { ids: string[] }) {
          asked.skus++;
          return ids.map((id) => ({ id, availability: availability.get(id) ?? "NONE" }));
        },
      },
      Sku: { __resolveReference: ({ id }: { id: string }) => ({ id, availability: availability.get(id) ?? "NONE" }) },
    },
  };

  async function serve(service: keyof typeof schemas, port = 0): Promise<FastifyInstance> {
    const log = createLogger({ service, level: "silent" });
    const app = fastify({ logger: false, forceCloseConnections: true });
    const tokens = createTokenVerifier({ jwksFile, log });
    await serveSubgraph(app, { sdl: await sdlOf(service), resolvers: resolvers[service], tokens, log });
    await app.listen({ host: "127.0.0.1", port });
    return app;
  }

  const composed = composeServices(
    await Promise.all(
      (["orders", "inventory"] as const).map(async (name) => ({
        name,
        url: `http://${name}/graphql`,
        typeDefs: parse(await sdlOf(name)),
      })),
    ),
  );
  if (!composed.supergraphSdl) throw new Error(composed.errors?.join("\n"));
  let ordersApp = await serve("orders");
  const inventoryApp = await serve("inventory");
  const portOf = (app: FastifyInstance) => (app.server.address() as AddressInfo).port;
  const ordersPort = portOf(ordersApp);
  return {
    supergraph: composed.supergraphSdl,
    urls: {
      orders: `http://127.0.0.1:${ordersPort}`,
      inventory: `http://127.0.0.1:${portOf(inventoryApp)}`,
    },
    orders,
    availability,
    asked,
    hold,
    stopOrders: () => ordersApp.close(),
    async startOrders() {
      ordersApp = await serve("orders", ordersPort);
    },
    async stop() {
      await Promise.all([ordersApp.close(), inventoryApp.close()]);
    },
  };
}

/** Tells a log what happened, as the owners do after their commit. */
export function tellerOf(logs: Record<"orders" | "inventory" | "users", EventLog>) {
  async function tell(topic: keyof typeof logs, ...events: EventToEmit[]): Promise<void> {
    const time = new Date().toISOString();
    await logs[topic].append(
      topic,
      events.map((event) => ({ id: crypto.randomUUID(), time, ...event })),
    );
  }
  return {
    order: (...orders: LiveOrder[]) =>
      tell(
        "orders",
        ...orders.map(({ id, customerId, version }) =>
          orderProgressed.create({ orderId: id, customerId, version, what: ["CHANGED"] }, { sequence: version }),
        ),
      ),
    availability: (skuId: string) =>
      tell(
        "inventory",
        availabilityChanged.create(
          { productId: crypto.randomUUID(), skuId, availability: "LOW_STOCK", version: 1 },
          { sequence: 1 },
        ),
      ),
    revoked: (userId: string, sessionId: string) =>
      tell(
        "users",
        tokensRevoked.create({ userId, sessionId, issuedBefore: new Date().toISOString() }, { sequence: 1 }),
      ),
  };
}

export interface Ear {
  /** All results until now. */
  results: any[];
  /** True once the server has said that it is complete; an error where it was cut off. */
  ended: true | Error | undefined;
  /** Resolves when a result is as wanted, which is looked at as often as one comes. */
  hears(what: (result: any) => boolean): Promise<any>;
  ends(): Promise<void>;
  stop(): void;
}

/** Listens with graphql-sse's own client. */
export function listen(
  gateway: { url: string },
  request: { query: string; variables?: Record<string, unknown> },
  token?: string,
): Ear {
  const client = createClient({
    url: `${gateway.url}/graphql`,
    retryAttempts: 0,
    ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
  });
  const patience = { timeout: 10_000, interval: 5 };
  const ear: Ear = {
    results: [],
    ended: undefined,
    hears: (what) =>
      vi.waitFor(() => {
        const found = ear.results.find(what);
        if (found === undefined) throw new Error(`not among what was heard: ${JSON.stringify(ear.results)}`);
        return found;
      }, patience),
    ends: () =>
      vi.waitFor(() => {
        if (ear.ended === undefined) throw new Error(`goes on after ${JSON.stringify(ear.results.at(-1))}`);
      }, patience),
    stop: () => client.dispose(),
  };
  client.subscribe(request, {
    next: (result) => void ear.results.push(result),
    complete: () => void (ear.ended = true),
    error: (error) => void (ear.ended = error as Error),
  });
  return ear;
}
