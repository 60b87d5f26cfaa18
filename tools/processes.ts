/** The one list of the processes that make a shop, as data. */
import { join } from "node:path";
import {
  auditor,
  databaseName,
  gateway,
  metricsPortDistance,
  provider,
  rolesOf,
  serviceNames,
  services,
} from "@crowdcrunch/shop/parts";
import { compiledCodeFolder } from "./compiled-code.ts";
import type { ShopPlace } from "./environment.ts";
import { eventLogVariables, eventLogVariablesOfTools, kafkaProcess, rememberedKafka } from "./kafka/shop-kafka.ts";
import type { KafkaChoice } from "./kafka/shop-kafka.ts";
import type { Plan, ProcessPlan } from "./plan.ts";
import { postgresProcess } from "./postgres.ts";
import { repositoryRoot } from "./schemas.ts";
import { ensureSecrets, jwksFile, signingKeyFile } from "./secrets.ts";
import type { Secrets } from "./secrets.ts";

export { auditor, databaseName, gateway, metricsPortDistance, provider, services } from "@crowdcrunch/shop/parts";

/** The embedded Postgres. */
export const postgres = { name: "postgres", port: 4050 } as const;

/** Addresses and secrets of a shop in one place on disk, for whoever starts it or speaks to it. */
export interface ShopAddresses extends ShopPlace {
  secrets: Secrets;
  /** The Kafka that its events are in; false where they are in the embedded log. */
  kafka: KafkaChoice;
  /** The variables by which a program beside the shop finds its event log, and the environment they stand in. */
  eventLogEnvironment: Record<string, string | undefined>;
  /** Where a process serves, e.g. http://127.0.0.1:4004. */
  url(process: { port: number }): string;
  /** Where a process' /readyz and /metrics are. */
  metricsUrl(process: { port: number }): string;
  /** The database as one of its roles, e.g. "auditor". */
  databaseUrl(role: string, database?: string): string;
}

/**
 * Finds out a shop's addresses; makes its secrets where they are missing. `kafka` is for whoever starts it; where not
 * given, it is what the shop was last started on.
 */
export async function shopAddresses(place: ShopPlace, kafka?: KafkaChoice): Promise<ShopAddresses> {
  const secrets = await ensureSecrets(place.varDir, ["postgres", ...rolesOf(serviceNames)]);
  const at = (port: number) => `127.0.0.1:${port + place.portOffset}`;
  const choice = kafka ?? rememberedKafka(place.varDir) ?? false;
  return {
    ...place,
    secrets,
    kafka: choice,
    eventLogEnvironment: { ...process.env, ...eventLogVariablesOfTools(choice, place) },
    url: ({ port }) => `http://${at(port)}`,
    metricsUrl: ({ port }) => `http://${at(port + metricsPortDistance)}`,
    databaseUrl: (role, database = databaseName) =>
      `postgres://${role}:${secrets.passwords[role]}@${at(postgres.port)}/${database}`,
  };
}

/** The environment of one process, without what is common to all of its machine. */
export function environmentOf(name: string, shop: ShopAddresses): Record<string, string> {
  const { port } = [...services, provider, gateway, auditor].find((candidate) => candidate.name === name)!;
  return {
    HOST: "127.0.0.1",
    PORT: String(port + shop.portOffset),
    METRICS_PORT: String(port + metricsPortDistance + shop.portOffset),
    DATABASE_URL: shop.databaseUrl(name),
    JWKS_FILE: join(shop.varDir, jwksFile),
    PUBLIC_URL: shop.url(gateway),
    ...eventLogVariables(shop.kafka, shop),
    SHUTDOWN_GRACE_MS: "5000",
    // Types are stripped once, not at every start: starts are faster and 15 MiB smaller.
    NODE_COMPILE_CACHE: compiledCodeFolder,
    // Node would take memory while there is any; twelve processes share a laptop.
    // And kafkajs sets timers that are due already, about which Node would complain.
    NODE_OPTIONS: `--max-semi-space-size=${name === "auditor" ? 2 : 8} --max-old-space-size=${name === "auditor" ? 64 : 160} --disable-warning=TimeoutNegativeWarning`,
    ...(name === "gateway" || name === "auditor" ? {} : { OWNER_DATABASE_URL: shop.databaseUrl(`${name}_owner`) }),
    ...ownVariables(shop)[name],
  };
}

function ownVariables(shop: ShopAddresses): Record<string, Record<string, string>> {
  const { secrets } = shop;
  const mail = { MAIL_SPOOL: join(shop.varDir, "mail") };
  const orderLinks = { ORDER_LINK_SECRET: secrets.orderLinkSecret };
  const providerSecrets = {
    PROVIDER_API_KEY: secrets.providerApiKey,
    PROVIDER_WEBHOOK_SECRET: secrets.webhookSecret,
  };
  return {
    users: {
      SIGNING_KEY_FILE: join(shop.varDir, signingKeyFile),
      GUEST_COOKIE_SECRET: secrets.guestCookieSecret,
      // The laptop's addresses are plain HTTP.
      COOKIE_SECURE: "false",
      ...orderLinks,
    },
    customers: { ...mail, ...orderLinks },
    inventory: { STARTER_CATALOGUE: "true" },
    orders: orderLinks,
    payments: { PROVIDER_URL: shop.url(provider), ...providerSecrets },
    fulfillment: { ...mail, DOWNLOAD_SECRET: secrets.downloadSecret },
    provider: {
      PROVIDER_WEBHOOK_URL: `${shop.url(gateway)}/hooks/payments`,
      PROVIDER_PUBLIC_URL: shop.url(provider),
      ...providerSecrets,
    },
    gateway: Object.fromEntries(services.map((service) => [`${service.name.toUpperCase()}_URL`, shop.url(service)])),
  };
}

/**
 * What a supervisor does to run a shop: Postgres (and Kafka, where it brings one along), its roles and schemas, the
 * services and the provider, the gateway and the auditor.
 */
export async function shopPlan(shop: ShopAddresses, say: (sentence: string) => void = () => {}): Promise<Plan> {
  const node = (script: string) => [process.execPath, join(repositoryRoot, script)];
  const planned = ({ name, port }: { name: string; port: number }, script: string): ProcessPlan => ({
    name,
    command: node(script),
    env: environmentOf(name, shop),
    port: port + shop.portOffset,
    metricsPort: port + metricsPortDistance + shop.portOffset,
  });
  const place = {
    CROWDCRUNCH_VAR: shop.varDir,
    PORT_OFFSET: String(shop.portOffset),
    SHOP_KAFKA: JSON.stringify(shop.kafka),
  };
  return {
    varDir: shop.varDir,
    steps: [
      {
        start: [
          await postgresProcess(shop.varDir, postgres.port + shop.portOffset),
          ...(shop.kafka === true ? [await kafkaProcess(shop, say)] : []),
        ],
      },
      { task: { name: "bootstrap", command: node("tools/bootstrap.ts"), env: place } },
      {
        start: [
          ...services.map((service) => planned(service, `services/${service.name}/src/main.ts`)),
          planned(provider, "provider/src/main.ts"),
        ],
      },
      { start: [planned(gateway, "gateway/src/main.ts"), planned(auditor, "auditor/src/main.ts")] },
    ],
  };
}
