/** Every profile with every switch: what the chart is rendered with. */
import { serviceNames } from "@crowdcrunch/tools/schemas";
import type { GivenByValues } from "./facts.ts";
import type { Values } from "./render.ts";

export interface Profile {
  name: string;
  files: string[];
  /** What a profile leaves for its user to say. */
  values?: Values;
}

export interface Switch {
  name: string;
  values: Values;
  /** Profiles that it cannot go with, because the chart says so. */
  not?: string[];
}

/** What values below name, and what therefore is there. */
export const given: GivenByValues = {
  secrets: [
    ...[
      "shop-cert",
      "shop-secrets",
      "shop-key",
      "shop-mail",
      "postgres-admin",
      "postgres-ca",
      "kafka-ca",
      "kafka-user",
    ],
    // Of the examples for operators.
    ...["shop-db-admin", "shop-db-ca", "shop-cluster-ca-cert", "shop"],
  ],
  hosts: ["shop-db-rw", "shop-kafka-bootstrap"],
};

const production: Values = {
  hostname: "shop.example.com",
  tls: { secretName: "shop-cert" },
  externalPostgres: { host: "pg.example.com", adminPasswordSecret: { name: "postgres-admin" } },
  externalKafka: { brokers: ["kafka-0.example.com:9093", "kafka-1.example.com:9093"] },
  payments: { config: { PROVIDER_URL: "https://api.provider.example.com" } },
};

export const profiles: Profile[] = [
  { name: "laptop", files: [] },
  { name: "min", files: ["values-min.yaml"] },
  { name: "production", files: ["values-production.yaml"], values: production },
  {
    name: "operators",
    files: [
      "values-production.yaml",
      "docs/kubernetes/values-cloudnativepg.yaml",
      "docs/kubernetes/values-strimzi.yaml",
    ],
    values: { hostname: production["hostname"], tls: production["tls"], payments: production["payments"] },
  },
];

export const switches: Switch[] = [
  { name: "as it is", values: {} },
  { name: "istio", values: { istio: { enabled: true } } },
  { name: "Gateway API", values: { istio: { enabled: true, ingress: { api: "gateway-api" } } } },
  { name: "istio without its ingress", values: { istio: { enabled: true, ingress: { enabled: false } } } },
  { name: "metrics scraped", values: { istio: { enabled: true }, networkPolicies: { metricsFrom: ["monitoring"] } } },
  {
    name: "ingress",
    values: {
      hostname: "shop.example.com",
      ingress: { enabled: true, className: "nginx" },
      tls: { secretName: "shop-cert" },
    },
  },
  { name: "node port", values: { gateway: { service: { type: "NodePort", nodePort: 30400 } } } },
  { name: "load balancer", values: { gateway: { service: { type: "LoadBalancer", externalTrafficPolicy: "Local" } } } },
  { name: "replicas", values: { defaults: { replicas: 3, autoscaling: { enabled: false } } } },
  { name: "autoscaling", values: { defaults: { autoscaling: { enabled: true } } } },
  { name: "canary", values: { orders: { canary: { tag: "0.2.0", weight: 20 } } } },
  {
    name: "canary in the mesh",
    values: { istio: { enabled: true }, orders: { canary: { tag: "0.2.0", weight: 20 } } },
  },
  { name: "given secrets", values: { secrets: { existingSecret: "shop-secrets", existingSigningKey: "shop-key" } } },
  { name: "no network policies", values: { networkPolicies: { enabled: false } } },
  {
    name: "faults",
    values: { defaults: { config: { FAULT_INJECTION: true, FAULTS: "graphql.request:delay:delayMs=500" } } },
    not: ["production", "operators"],
  },
  { name: "mails", values: { mail: { from: "Shop <shop@example.com>", smtpUrlSecret: { name: "shop-mail" } } } },
  {
    name: "registry",
    values: {
      image: { registry: "registry.example.com:5000", tag: "1.2.3-rc.1" },
      imagePullSecrets: [{ name: "registry" }],
    },
  },
  { name: "public address", values: { publicUrl: "https://shop.example.com/" } },
  {
    name: "no provider",
    values: {
      provider: { enabled: false },
      payments: { config: { PROVIDER_URL: "https://api.provider.example.com" } },
    },
  },
  {
    name: "external Postgres",
    values: {
      postgres: { enabled: false },
      externalPostgres: {
        host: "shop-rw.databases.svc.cluster.local",
        sslMode: "verify-full",
        caSecret: { name: "postgres-ca" },
        adminPasswordSecret: { name: "postgres-admin" },
      },
    },
  },
  {
    name: "external Kafka",
    values: {
      kafka: { enabled: false },
      externalKafka: {
        brokers: ["shop-kafka-bootstrap.kafka.svc:9093"],
        createTopics: false,
        tls: { enabled: true, caSecret: { name: "kafka-ca" } },
        sasl: { mechanism: "scram-sha-512", username: "shop", passwordSecret: { name: "kafka-user" } },
      },
    },
  },
  {
    name: "placement",
    values: {
      antiAffinity: "required",
      nodeSelector: { "kubernetes.io/os": "linux" },
      tolerations: [{ key: "shop", operator: "Exists", effect: "NoSchedule" }],
      priorityClassName: "shop",
      podAnnotations: { "example.com/team": "shop" },
    },
  },
];

/** Whoever has a nameOverride: each component, and the two programs without a subchart. */
export const components = [
  ...serviceNames(),
  ...["gateway", "provider", "auditor", "postgres", "kafka", "setup", "purchase"],
];

/** Lays values over values, as helm does with files: maps are merged, anything else is replaced. */
export function overlay(below: Values, above: Values): Values {
  const made: Values = { ...below };
  for (const [key, value] of Object.entries(above)) {
    const old = made[key];
    made[key] = isMap(old) && isMap(value) ? overlay(old, value) : value;
  }
  return made;
}

function isMap(value: unknown): value is Values {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
