import { Problem } from "@crowdcrunch/kit/program";
import { serviceNames } from "@crowdcrunch/shop/parts";
import Type from "typebox";
import type { Static } from "typebox";

/** What both the Job and the rotation need to know of the cluster and of the keys. */
const keyVariables = {
  KUBERNETES_SERVICE_HOST: Type.String({ description: "where the Kubernetes API is; every pod has it" }),
  KUBERNETES_SERVICE_PORT: Type.Integer({ default: 443, description: "its port; every pod has it" }),
  SERVICE_ACCOUNT_FOLDER: Type.String({
    default: "/var/run/secrets/kubernetes.io/serviceaccount",
    description: "the folder with the service account's token, ca.crt and namespace",
  }),
  SIGNING_KEY_NAME: Type.String({
    description: "the Secret with the key that signs access tokens",
    examples: ["crowdcrunch-signing-key"],
  }),
  MAKE_SIGNING_KEY: Type.Boolean({ default: true, description: "false where that Secret is made by others" }),
  JWKS_NAME: Type.String({ description: "the ConfigMap with the public keys", examples: ["crowdcrunch-jwks"] }),
  OWNER_NAME: Type.String({
    description: "the service account with which ConfigMap and RequestAuthentication go",
    examples: ["setup"],
  }),
  LABELS: Type.String({
    default: "{}",
    description: "labels of what is made, as JSON",
    examples: [`{"app.kubernetes.io/part-of":"crowdcrunch"}`],
  }),
  ISTIO_REQUEST_AUTHENTICATION: Type.Optional(
    Type.String({
      description: "the RequestAuthentication that has the public keys inline; none is made without it",
      examples: ["crowdcrunch"],
    }),
  ),
  ISTIO_SELECTOR_LABELS: Type.String({
    default: "{}",
    description: "labels of the pods that it is for, as JSON; all of the namespace where there are none",
    examples: [`{"crowdcrunch/access-tokens":"true"}`],
  }),
};

/** Variables of the key rotation. */
export const rotationVariables = Type.Object({
  ...keyVariables,
  WAIT_SECONDS: Type.Integer({
    default: 1_200,
    minimum: 120,
    description:
      "how long a step waits for the one before it: kubelets bring a change to all pods within 100 s, in seconds",
  }),
});

/** Variables of the Job. */
export const setupVariables = Type.Object({
  ...keyVariables,
  SECRETS_NAME: Type.String({
    description: "the Secret with passwords and other secrets",
    examples: ["crowdcrunch-secrets"],
  }),
  MAKE_SECRETS: Type.Boolean({ default: true, description: "false where that Secret is made by others" }),
  SERVICES: Type.String({
    default: serviceNames.join(","),
    pattern: "^[a-z][a-z0-9_]*(,[a-z][a-z0-9_]*)*$",
    description: "the services that get a schema and its roles, separated by commas",
  }),
  POSTGRES_HOST: Type.String({ description: "where Postgres is", examples: ["postgres"] }),
  POSTGRES_PORT: Type.Integer({ default: 5432, minimum: 1, maximum: 65_535, description: "its port" }),
  POSTGRES_DATABASE: Type.String({
    default: "crowdcrunch",
    description: "the shop's database, made where it is missing",
  }),
  POSTGRES_PARAMETERS: Type.String({
    default: "",
    pattern: "^([a-z]+=[^&?#]+(&[a-z]+=[^&?#]+)*)?$",
    description: "parameters of the connection, as a URL has them",
    examples: ["sslmode=verify-full&sslrootcert=/etc/postgres/ca.pem"],
  }),
  POSTGRES_ADMIN_USER: Type.String({
    default: "postgres",
    description: "a role that may make roles and databases",
  }),
  POSTGRES_ADMIN_DATABASE: Type.String({ default: "postgres", description: "a database that it can reach" }),
  POSTGRES_ADMIN_PASSWORD: Type.Optional(
    Type.String({ description: "its password; without it, postgres-password of the Secret SECRETS_NAME" }),
  ),
  KAFKA_BROKERS: Type.Optional(
    Type.String({ description: "set where the shop's events are on Kafka; the embedded event log is closed then" }),
  ),
});

/** Variables of the purchase. */
export const purchaseVariables = Type.Object({
  SHOP_URL: Type.String({
    pattern: "^https?://[^/?#]+$",
    description: "where the gateway is, without a path",
    examples: ["http://gateway:4000"],
  }),
});

export type KeyConfig = Omit<Static<typeof rotationVariables>, "WAIT_SECONDS">;
export type SetupConfig = Static<typeof setupVariables>;

/** The API's address, from the variables that every pod has. */
export function kubernetesUrl({ KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port }: KeyConfig): string {
  return `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Labels out of a variable's JSON. Throws a Problem that names it. */
export function labelsOf(config: KeyConfig, name: "LABELS" | "ISTIO_SELECTOR_LABELS"): Record<string, string> {
  try {
    const labels = JSON.parse(config[name]) as Record<string, unknown>;
    if (Object.values(labels).every((value) => typeof value === "string")) return labels as Record<string, string>;
  } catch {
    // Said below.
  }
  throw new Problem(`${name} is ${config[name]}; it must be a JSON object of texts, for example {"app":"orders"}.`);
}
