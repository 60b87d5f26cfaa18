import { eventLogVariables, processVariables } from "@crowdcrunch/kit/variables";
import { serviceNames, services } from "@crowdcrunch/shop/parts";
import type { ServiceName } from "@crowdcrunch/shop/parts";
import Type from "typebox";
import type { Static, TString } from "typebox";

/** The variable that says where a service serves, such as ORDERS_URL. */
type UrlVariable = `${Uppercase<ServiceName>}_URL`;

function urlVariable(service: ServiceName): UrlVariable {
  return `${service.toUpperCase() as Uppercase<ServiceName>}_URL`;
}

function urlVariables() {
  const entries = services.map(({ name, port }) => [
    urlVariable(name),
    Type.String({
      pattern: "^https?://[^/?#]+$",
      default: `http://127.0.0.1:${port}`,
      description: `where ${name} serves, without a path`,
      examples: [`http://${name}:${port}`],
    }),
  ]);
  return Object.fromEntries(entries) as Record<UrlVariable, TString>;
}

/** The gateway's variables. */
export const gatewayVariables = Type.Object({
  ...processVariables,
  ...eventLogVariables,
  DATABASE_URL: Type.String({
    pattern: "^postgres(ql)?://",
    description: "the database with the event log, as the role gateway",
    examples: ["postgres://gateway:secret@127.0.0.1:4050/crowdcrunch"],
  }),
  JWKS_FILE: Type.String({
    description: "the file with the public keys that sign access tokens",
    examples: ["var/secrets/jwks.json"],
  }),
  ...urlVariables(),
  CORS_ORIGINS: Type.String({
    default: "",
    description: "origins of storefronts that are served elsewhere, separated by commas",
    examples: ["https://shop.example,https://admin.shop.example"],
  }),
  TRUSTED_PROXIES: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 10,
    description: "how many proxies stand before the gateway and add to X-Forwarded-For",
  }),
  INTROSPECTION: Type.Boolean({ default: true, description: "whether clients may ask for the graph's schema" }),
  OPERATIONS_FILE: Type.Optional(
    Type.String({
      description: "the list of the only operations that are taken, by their ids; any operation where it is not set",
      examples: ["gateway/operations.json"],
    }),
  ),
  CONCURRENT_REQUESTS: Type.Integer({
    default: 100,
    minimum: 1,
    description: "how many GraphQL requests are worked on at a time; the others wait for their turn",
  }),
  QUEUE_MS: Type.Integer({
    default: 500,
    minimum: 1,
    description: "how long a GraphQL request waits for its turn before its client is told to come back, in ms",
  }),
  EVENT_LOOP_DELAY_MS: Type.Integer({
    default: 500,
    minimum: 20,
    description: "from which mean delay of the event loop on requests are refused before they are read, in ms",
  }),
  LIVE_STREAMS: Type.Integer({
    default: 5_000,
    minimum: 1,
    description: "how many streams of live updates may be open at a time",
  }),
  LIVE_STREAMS_PER_PERSON: Type.Integer({
    default: 20,
    minimum: 1,
    description: "how many of them one person may have open, or one address without a token",
  }),
  LIVE_HEARTBEAT_MS: Type.Integer({
    default: 15_000,
    minimum: 100,
    description: "how long a stream may be silent until a comment is sent, so that proxies keep it open, in ms",
  }),
  REQUEST_BUDGET_MS: Type.Integer({
    default: 10_000,
    minimum: 100,
    description: "how long a request may take, all its fetches together, in ms",
  }),
});
export type GatewayConfig = Static<typeof gatewayVariables>;

/** The origin of each service. */
export function serviceOrigins(config: GatewayConfig): Record<ServiceName, string> {
  const entries = serviceNames.map((name) => [name, config[urlVariable(name)]]);
  return Object.fromEntries(entries) as Record<ServiceName, string>;
}
