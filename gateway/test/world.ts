import { createLogger } from "@crowdcrunch/kit/logger";
import type { TestDatabase } from "@crowdcrunch/kit/testing/postgres";
import { startGateway } from "../src/gateway.ts";
import type { RunningGateway } from "../src/gateway.ts";
import type { SmallShop } from "./small-shop.ts";

export interface GraphAnswer {
  status: number;
  headers: Headers;
  data: any;
  errors: { message: string; path?: unknown[]; extensions: Record<string, unknown> }[] | undefined;
  text: string;
}

/** Starts a gateway over the small shop; each service that it lacks is played by one of the three. */
export function gatewayOf(
  shop: SmallShop,
  database: TestDatabase,
  env: Record<string, string> = {},
): Promise<RunningGateway> {
  return startGateway({
    env: {
      PORT: "0",
      METRICS_PORT: "0",
      DATABASE_URL: database.url("gateway"),
      JWKS_FILE: shop.jwksFile,
      USERS_URL: shop.urls.users,
      ORDERS_URL: shop.urls.orders,
      INVENTORY_URL: shop.urls.inventory,
      PAYMENTS_URL: shop.urls.orders,
      FULFILLMENT_URL: shop.urls.inventory,
      FRONTEND_URL: shop.urls.users,
      ...env,
    },
    log: createLogger({ service: "gateway", level: "silent" }),
    processMetrics: false,
    supergraph: shop.supergraph,
  });
}

/** Sends any request to /graphql and reads the answer as GraphQL where it is that. */
export async function call(gateway: { url: string }, path: string, init: RequestInit): Promise<GraphAnswer> {
  const response = await fetch(`${gateway.url}${path}`, init);
  const text = await response.text();
  const json = text.startsWith("{") ? (JSON.parse(text) as Partial<GraphAnswer>) : {};
  return { status: response.status, headers: response.headers, data: json.data, errors: json.errors, text };
}

/** Sends a GraphQL request the ordinary way. */
export function ask(
  gateway: { url: string },
  query: string,
  options: { variables?: Record<string, unknown>; headers?: Record<string, string>; token?: string } = {},
): Promise<GraphAnswer> {
  const authorization = options.token === undefined ? {} : { authorization: `Bearer ${options.token}` };
  return call(gateway, "/graphql", {
    method: "POST",
    headers: { "content-type": "application/json", ...authorization, ...options.headers },
    body: JSON.stringify({ query, variables: options.variables }),
  });
}

/** The first error's code. */
export function codeOf(answer: GraphAnswer): unknown {
  return answer.errors?.[0]?.extensions["code"];
}
