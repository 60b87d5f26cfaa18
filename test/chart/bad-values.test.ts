import { describe, expect, test } from "vitest";
import { render } from "./render.ts";
import type { Values } from "./render.ts";

// Bad values fail while they are rendered, with a sentence that names the key.

const external = { host: "pg.example.com", adminPasswordSecret: { name: "admin" } };

const cases: { what: string; values: Values; says: RegExp }[] = [
  { what: "an unknown key", values: { ordres: { replicas: 2 } }, says: /ordres/ },
  { what: "an unknown key of a component", values: { orders: { replica: 2 } }, says: /replica\b/ },
  { what: "an unknown key deep inside", values: { orders: { autoscaling: { maximum: 3 } } }, says: /maximum/ },
  { what: "an unknown key of defaults", values: { defaults: { replica: 2 } }, says: /replica\b/ },
  { what: "a text for a number", values: { orders: { replicas: "two" } }, says: /replicas/ },
  { what: "a number for a switch", values: { istio: { enabled: 1 } }, says: /istio.enabled/ },
  { what: "a text for a map", values: { gateway: { resources: "small" } }, says: /gateway.resources/ },
  { what: "no replica of the gateway", values: { gateway: { replicas: 0 } }, says: /gateway.replicas/ },
  { what: "no replica of any", values: { defaults: { replicas: 0 } }, says: /defaults.replicas/ },
  { what: "the tag latest", values: { image: { tag: "latest" } }, says: /image.tag/ },
  {
    what: "Postgres inside and outside",
    values: { externalPostgres: external },
    says: /postgres\.enabled.*externalPostgres\.host|externalPostgres\.host.*postgres\.enabled/,
  },
  { what: "Postgres nowhere", values: { postgres: { enabled: false } }, says: /externalPostgres\.host/ },
  {
    what: "Postgres outside without its secret",
    values: { postgres: { enabled: false }, externalPostgres: { host: "pg.example.com" } },
    says: /externalPostgres\.adminPasswordSecret\.name/,
  },
  {
    what: "Kafka inside and outside",
    values: { externalKafka: { brokers: ["kafka.example.com:9092"] } },
    says: /externalKafka\.brokers.*kafka\.enabled/,
  },
  {
    what: "a user of Kafka without a password",
    values: {
      kafka: { enabled: false },
      externalKafka: { brokers: ["kafka.example.com:9092"], sasl: { mechanism: "plain", username: "shop" } },
    },
    says: /externalKafka\.sasl\.passwordSecret\.name/,
  },
  { what: "an Ingress without a host", values: { ingress: { enabled: true } }, says: /hostname/ },
  { what: "a certificate without a host", values: { tls: { secretName: "cert" } }, says: /tls\.secretName.*hostname/ },
  {
    what: "no payment provider at all",
    values: { provider: { enabled: false } },
    says: /payments\.config\.PROVIDER_URL/,
  },
  {
    what: "two components of one name",
    values: { orders: { nameOverride: "users" } },
    says: /orders\.nameOverride|users\.nameOverride/,
  },
  { what: "a name that is none", values: { orders: { nameOverride: "Orders!" } }, says: /orders.nameOverride/ },
  {
    what: "faults in production",
    values: { defaults: { config: { FAULT_INJECTION: true, NODE_ENV: "production" } } },
    says: /FAULT_INJECTION.*NODE_ENV/,
  },
  {
    what: "fewer pods at most than at least",
    values: { orders: { autoscaling: { enabled: true, minReplicas: 4, maxReplicas: 2 } } },
    says: /orders\.autoscaling\.minReplicas/,
  },
];

describe.each(["helm", "helm3"] as const)("%s refuses", (helm) => {
  test.concurrent.each(cases)("$what", async ({ values, says }) => {
    const refusal = await render({ values, helm }).then(
      () => "It was rendered.",
      (error: Error) => error.message,
    );
    // Helm's schema checker writes /orders/replicas, or orders.replicas.
    expect(refusal.replaceAll("/", ".").replaceAll("\n", " ")).toMatch(says);
  });
});
