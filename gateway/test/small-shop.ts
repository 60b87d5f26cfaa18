import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { composeServices } from "@apollo/composition";
import type { ResolverMap } from "@crowdcrunch/kit/access";
import { invalid, retryable } from "@crowdcrunch/kit/errors";
import type { RequestContext } from "@crowdcrunch/kit/graphql";
import { serveSubgraph } from "@crowdcrunch/kit/graphql";
import { createTokenVerifier, tokenAlgorithm, tokenAudience, tokenIssuer } from "@crowdcrunch/kit/identity";
import { createLogger } from "@crowdcrunch/kit/logger";
import { fastify } from "fastify";
import type { FastifyInstance } from "fastify";
import { parse } from "graphql";
import { SignJWT, exportJWK, generateKeyPair } from "jose";
import type { CryptoKey } from "jose";

// Three small subgraphs of the shape that the real ones have: an owner, an extension, and references in a list.

const schemas = {
  users: `
    type Query {
      me: User @access(roles: [PUBLIC])
      whatUsersGot(header: String!): String @access(roles: [PUBLIC])
    }
    type Mutation {
      signIn: String @access(roles: [PUBLIC])
    }
    type User @key(fields: "id") @access(roles: [PUBLIC]) { id: ID! email: String friend: User }`,
  orders: `
    type Query {
      order(number: String!): Order @access(roles: [PUBLIC])
      orders(first: Int! = 20, after: String): OrderConnection @access(roles: [PUBLIC])
      whatOrdersGot(header: String!): String @access(roles: [PUBLIC])
      slow(ms: Int!): String @access(roles: [PUBLIC])
      broken(how: String!): String @access(roles: [PUBLIC])
    }
    type Mutation {
      placeOrder(input: PlaceOrderInput!): PlaceOrderResult @access(roles: [PUBLIC])
    }
    input PlaceOrderInput { quantity: Int! }
    union PlaceOrderResult = Order | InvalidInput
    type User @key(fields: "id") @access(roles: [PUBLIC]) { id: ID! orders(first: Int! = 20): OrderConnection }
    type OrderConnection { nodes: [Order!]! pageInfo: PageInfo! }
    type Order @key(fields: "id") @access(roles: [PUBLIC]) { id: ID! number: String! total: Money! lines: [OrderLine!]! }
    type OrderLine { name: String! quantity: Int! sku: Sku }
    type Sku @key(fields: "id", resolvable: false) { id: ID! }`,
  inventory: `
    type Query {
      sku(id: ID!): Sku @access(roles: [PUBLIC])
    }
    type Sku @key(fields: "id") @access(roles: [PUBLIC]) { id: ID! code: String! price: Money! }`,
};

export type SmallService = keyof typeof schemas;

export interface SmallShop {
  jwksFile: string;
  supergraph: string;
  apps: Record<SmallService, FastifyInstance>;
  urls: Record<SmallService, string>;
  /** How often `placeOrder` ran. */
  placed(): number;
  /** A token; `claims` replaces what a good one says, `key` who signs it. */
  token(claims?: Record<string, unknown>, key?: CryptoKey): Promise<string>;
  /** Serves the subgraph again, on the port that it had. */
  restart(service: SmallService): Promise<void>;
  stop(): Promise<void>;
}

const money = (amountMinor: number) => ({ amountMinor, currency: "GBP" });
const lines = [1, 2].map((line) => ({ name: `Line ${line}`, quantity: line, sku: { id: `sku-${line}` } }));
const order = (id: number) => ({
  __typename: "Order",
  id: String(id),
  number: `N${id}`,
  total: money(1_000 + id),
  lines,
});
const page = (first: number) => ({
  nodes: Array.from({ length: first }, (_, at) => order(at)),
  pageInfo: { hasNextPage: false, endCursor: null },
});

function resolversOf(service: SmallService, count: () => number): ResolverMap {
  const got = (_: unknown, { header }: { header: string }, { request }: RequestContext) =>
    request.headers[header] ?? null;
  const byService: Record<SmallService, ResolverMap> = {
    users: {
      Query: { me: () => ({ id: "u1", email: "ada@example.org" }), whatUsersGot: got },
      Mutation: {
        signIn: (_: unknown, __: unknown, { reply }: RequestContext) => {
          void reply.header("set-cookie", ["refresh=abc; HttpOnly; Path=/", "second=1"]);
          return "welcome";
        },
      },
      User: {
        friend: () => ({ id: "u2", email: "grace@example.org" }),
        __resolveReference: ({ id }: { id: string }) => ({ id }),
      },
    },
    orders: {
      Query: {
        order: (_: unknown, { number }: { number: string }) => ({ ...order(1), number }),
        orders: (_: unknown, { first }: { first: number }) => page(first),
        whatOrdersGot: (_: unknown, args: { header: string }, context: RequestContext) => {
          void context.reply.header("set-cookie", "stolen=1");
          return got(_, args, context);
        },
        slow: (_: unknown, { ms }: { ms: number }) =>
          new Promise((resolve) => setTimeout(() => resolve("at last"), ms)),
        broken: (_: unknown, { how }: { how: string }) => {
          if (how === "retryable") throw retryable("CATALOGUE_BEHIND", "The price is not known yet.", 250);
          if (how === "problem") throw invalid("lines[0].quantity", "It must be positive.");
          throw new Error(`connect to 10.1.2.3 as orders failed: ${how}`);
        },
      },
      Mutation: {
        placeOrder: (_: unknown, { input }: { input: { quantity: number } }) => {
          if (input.quantity < 1) throw invalid("quantity", "It must be positive.");
          return order(count());
        },
      },
      PlaceOrderResult: {},
      User: {
        orders: (_: unknown, { first }: { first: number }) => page(first),
        __resolveReference: ({ id }: { id: string }) => ({ id }),
      },
      Order: { __resolveReference: ({ id }: { id: string }) => order(Number(id)) },
    },
    inventory: {
      Query: { sku: (_: unknown, { id }: { id: string }) => ({ id, code: id.toUpperCase(), price: money(250) }) },
      Sku: { __resolveReference: ({ id }: { id: string }) => ({ id, code: id.toUpperCase(), price: money(250) }) },
    },
  };
  return byService[service];
}

async function sdlOf(service: SmallService): Promise<string> {
  return `${await readFile(new URL(import.meta.resolve("@crowdcrunch/kit/common.graphql")), "utf8")}\n${schemas[service]}`;
}

/** Serves one subgraph and, beside it, a page that says what it was asked. */
export async function serveSmall(
  service: SmallService,
  options: { jwksFile: string; port?: number; count?: () => number },
): Promise<FastifyInstance> {
  const log = createLogger({ service, level: "silent" });
  const app = fastify({ logger: false, keepAliveTimeout: 75_000, forceCloseConnections: true });
  await serveSubgraph(app, {
    sdl: await sdlOf(service),
    resolvers: resolversOf(service, options.count ?? (() => 1)),
    tokens: createTokenVerifier({ jwksFile: options.jwksFile, log }),
    log,
  });
  app.addContentTypeParser("*", { parseAs: "string" }, (_request, body, done) => done(null, body));
  app.all("/*", (request, reply) =>
    reply
      .header("set-cookie", "stolen=1")
      .send({ service, url: request.url, headers: request.headers, body: request.body ?? null }),
  );
  await app.listen({ host: "127.0.0.1", port: options.port ?? 0 });
  return app;
}

/** The composed graph of the three. */
export async function composeSmall(): Promise<string> {
  const services = await Promise.all(
    (Object.keys(schemas) as SmallService[]).map(async (name) => ({
      name,
      url: `http://${name}/graphql`,
      typeDefs: parse(await sdlOf(name)),
    })),
  );
  const { supergraphSdl, errors } = composeServices(services);
  if (!supergraphSdl) throw new Error(errors?.join("\n"));
  return supergraphSdl;
}

export async function startSmallShop(): Promise<SmallShop> {
  const folder = await mkdtemp(join(tmpdir(), "crowdcrunch-gateway-"));
  const jwksFile = join(folder, "jwks.json");
  const { privateKey, publicKey } = await generateKeyPair(tokenAlgorithm);
  await writeFile(
    jwksFile,
    JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: "k1", alg: tokenAlgorithm }] }),
  );
  let placed = 0;
  const count = () => ++placed;
  const apps = {
    users: await serveSmall("users", { jwksFile }),
    orders: await serveSmall("orders", { jwksFile, count }),
    inventory: await serveSmall("inventory", { jwksFile }),
  };
  const portOf = (service: SmallService) => (apps[service].server.address() as AddressInfo).port;
  const ports = { users: portOf("users"), orders: portOf("orders"), inventory: portOf("inventory") };
  const url = (service: SmallService) => `http://127.0.0.1:${ports[service]}`;
  return {
    jwksFile,
    supergraph: await composeSmall(),
    apps,
    urls: { users: url("users"), orders: url("orders"), inventory: url("inventory") },
    placed: () => placed,
    token(claims = {}, key = privateKey) {
      const now = Date.now() / 1_000;
      const good = {
        sub: "u1",
        sid: "s1",
        roles: ["SHOPPER"],
        iss: tokenIssuer,
        aud: tokenAudience,
        iat: now,
        exp: now + 600,
      };
      return new SignJWT({ ...good, ...claims }).setProtectedHeader({ alg: tokenAlgorithm, kid: "k1" }).sign(key);
    },
    async restart(service) {
      await apps[service].close();
      apps[service] = await serveSmall(service, { jwksFile, port: ports[service], count });
    },
    async stop() {
      await Promise.all(Object.values(apps).map((app) => app.close()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
