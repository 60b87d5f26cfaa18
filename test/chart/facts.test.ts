import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, inject, test } from "vitest";
import { problemsOf } from "./facts.ts";
import { ofKind, workloadsOf } from "./manifests.ts";
import type { Container, Manifest, Workload } from "./manifests.ts";
import { render } from "./render.ts";
import type { Rendered } from "./render.ts";
import { schemaProblems } from "./validate.ts";

// Each fact is seen to fail: one thing is broken in a good render, and what is said of it names the object and the fault.

let good: Rendered;
beforeAll(async () => {
  if ("missing" in inject("chartTools")) return;
  good = await render({
    values: {
      istio: { enabled: true },
      orders: { canary: { tag: "0.2.0" }, autoscaling: { enabled: true } },
      hostname: "shop.example.com",
    },
  });
});

interface Broken {
  what: string;
  /** What is done to the good render. */
  how: (shop: Manifest[]) => void;
  says: string;
}

const find = (shop: Manifest[], kind: string, name: string): Manifest => {
  const found = ofKind(shop, kind).find(({ metadata }) => metadata.name.startsWith(name));
  if (!found) throw new Error(`There is no ${kind} ${name} to be broken.`);
  return found;
};
const orders = (shop: Manifest[]): Workload => workloadsOf([find(shop, "Deployment", "orders")])[0]!;
const container = (shop: Manifest[]): Container & Record<string, any> => orders(shop).containers[0]!;
const config = (shop: Manifest[], name: string): Record<string, string> => find(shop, "ConfigMap", name).data!;
const remove = (shop: Manifest[], kind: string, name: string) => shop.splice(shop.indexOf(find(shop, kind, name)), 1);

const broken: Broken[] = [
  // Pods
  {
    what: "latest",
    how: (shop) => (container(shop).image = "shop/orders:latest"),
    says: "image shop/orders:latest is the latest one",
  },
  {
    what: "no tag",
    how: (shop) => (container(shop).image = "host:5000/orders"),
    says: "image host:5000/orders has no tag",
  },
  {
    what: "root",
    how: (shop) => (orders(shop).pod.securityContext.runAsUser = 0),
    says: "container orders: runs as root",
  },
  {
    what: "perhaps root",
    how: (shop) => delete orders(shop).pod.securityContext.runAsNonRoot,
    says: "runAsNonRoot is not true",
  },
  {
    what: "no seccomp",
    how: (shop) => delete orders(shop).pod.securityContext.seccompProfile,
    says: "seccompProfile is not set",
  },
  {
    what: "privileges",
    how: (shop) => delete container(shop)["securityContext"].allowPrivilegeEscalation,
    says: "allowPrivilegeEscalation is not false",
  },
  {
    what: "capabilities",
    how: (shop) => (container(shop)["securityContext"].capabilities = {}),
    says: "capabilities do not drop ALL",
  },
  {
    what: "writable root",
    how: (shop) => delete container(shop)["securityContext"].readOnlyRootFilesystem,
    says: "readOnlyRootFilesystem is not true",
  },
  {
    what: "host path",
    how: (shop) => orders(shop).pod.volumes.push({ name: "host", hostPath: { path: "/" } }),
    says: "volume host is of the kind hostPath",
  },
  {
    what: "host network",
    how: (shop) => (orders(shop).pod.hostNetwork = true),
    says: "Deployment/orders: hostNetwork is set",
  },
  {
    what: "service links",
    how: (shop) => delete orders(shop).pod.enableServiceLinks,
    says: "enableServiceLinks is not false",
  },
  {
    what: "no memory limit",
    how: (shop) => delete container(shop)["resources"].limits.memory,
    says: "resources.limits.memory is not set",
  },
  {
    what: "a request over its limit",
    how: (shop) => (container(shop)["resources"].requests.memory = "9Gi"),
    says: "resources.requests.memory 9Gi is more than its limit",
  },
  { what: "no startup probe", how: (shop) => delete container(shop)["startupProbe"], says: "startupProbe is not set" },
  {
    what: "liveness that looks around",
    how: (shop) => (container(shop)["livenessProbe"].httpGet.path = "/readyz"),
    says: "livenessProbe looks at dependencies",
  },
  {
    what: "a probe of no port",
    how: (shop) => (container(shop)["readinessProbe"].httpGet.port = "health"),
    says: "readinessProbe asks port health, which it has not",
  },
  {
    what: "an init container",
    how: (shop) => (orders(shop).pod.initContainers = [container(shop)]),
    says: "has init containers",
  },
  {
    what: "no time to leave",
    how: (shop) => delete container(shop)["lifecycle"],
    says: "preStop does not sleep for 5 s",
  },
  // References
  {
    what: "a missing account",
    how: (shop) => remove(shop, "ServiceAccount", "orders"),
    says: "Deployment/orders runs as ServiceAccount orders, which is not there",
  },
  {
    what: "a missing ConfigMap",
    how: (shop) => remove(shop, "ConfigMap", "orders"),
    says: "Deployment/orders uses ConfigMap orders, which is not there",
  },
  {
    what: "a key that setup does not make",
    how: (shop) =>
      (container(shop).env!.find(({ valueFrom }) => valueFrom)!.valueFrom.secretKeyRef.key = "order-password"),
    says: "uses key order-password of Secret crowdcrunch-secrets, which is not there",
  },
  {
    what: "a missing volume",
    how: (shop) => container(shop).volumeMounts!.push({ name: "cache", mountPath: "/cache" }),
    says: "mounts volume cache, which is not there",
  },
  {
    what: "a volume for nobody",
    how: (shop) => orders(shop).pod.volumes.push({ name: "spare", emptyDir: {} }),
    says: "has volume spare, which no container mounts",
  },
  {
    what: "a Deployment that selects its canary",
    how: (shop) => delete orders(shop).manifest.spec.selector.matchLabels["crowdcrunch/track"],
    says: "Deployment/orders selects the pods of Deployment/orders-canary",
  },
  {
    what: "a Service of no pods",
    how: (shop) => (find(shop, "Service", "orders").spec.selector.app = "order"),
    says: "Service/orders selects no pod",
  },
  {
    what: "a port without a protocol",
    how: (shop) => (find(shop, "Service", "orders").spec.ports[0].name = "graphql"),
    says: "Service/orders: port graphql names no protocol",
  },
  {
    what: "a port that leads nowhere",
    how: (shop) => (find(shop, "Service", "orders").spec.ports[0].targetPort = "graphql"),
    says: "Service/orders: port http leads to graphql, which Deployment/orders has not",
  },
  {
    what: "a port for nobody",
    how: (shop) => container(shop).ports!.push({ name: "debug", containerPort: 9229 }),
    says: "Deployment/orders: nobody uses port debug",
  },
  {
    what: "a budget of no pods",
    how: (shop) => (find(shop, "PodDisruptionBudget", "orders").spec.selector.matchLabels.app = "order"),
    says: "PodDisruptionBudget/orders selects no pod",
  },
  {
    what: "an autoscaler of nothing",
    how: (shop) => (find(shop, "HorizontalPodAutoscaler", "orders").spec.scaleTargetRef.name = "order"),
    says: "scales Deployment/order, which is not there",
  },
  {
    what: "replicas beside an autoscaler",
    how: (shop) => (orders(shop).manifest.spec.replicas = 1),
    says: "Deployment/orders has replicas beside HorizontalPodAutoscaler/orders",
  },
  {
    what: "a binding to nobody",
    how: (shop) => remove(shop, "Role", "setup"),
    says: "RoleBinding/setup names Role setup, which is not there",
  },
  {
    what: "an object twice",
    how: (shop) => shop.push(find(shop, "Service", "orders")),
    says: "Service/orders is rendered twice",
  },
  {
    what: "another namespace",
    how: (shop) => (find(shop, "Service", "orders").metadata.namespace = "default"),
    says: "Service/orders is in the namespace default",
  },
  {
    what: "a label too long",
    how: (shop) => (find(shop, "Service", "orders").metadata.labels!["app"] = "x".repeat(64)),
    says: "which Kubernetes refuses",
  },
  {
    what: "a missing service",
    how: (shop) => remove(shop, "Deployment", "customers"),
    says: "no Deployment runs customers",
  },
  // Variables
  {
    what: "a required variable",
    how: (shop) => container(shop).env!.splice(0),
    says: "Deployment/orders: DATABASE_URL is not set",
  },
  {
    what: "a wrong value",
    how: (shop) => (config(shop, "orders")["LOG_LEVEL"] = "loud"),
    says: 'Deployment/orders: LOG_LEVEL is "loud"',
  },
  {
    what: "an unknown variable",
    how: (shop) => (config(shop, "orders")["PAYMENT_DEADLINE"] = "9"),
    says: "PAYMENT_DEADLINE is set, which orders does not know",
  },
  {
    what: "a password after its URL",
    how: (shop) => container(shop).env!.reverse(),
    says: "DATABASE_URL is made of DATABASE_PASSWORD, which does not stand before it",
  },
  {
    what: "another port than the Service's",
    how: (shop) => (config(shop, "orders")["PORT"] = "4999"),
    says: "PORT is 4999, port http 4004",
  },
  {
    what: "a file that is not mounted",
    how: (shop) => (config(shop, "orders")["JWKS_FILE"] = "/keys/jwks.json"),
    says: "JWKS_FILE is /keys/jwks.json, where nothing is mounted",
  },
  {
    what: "a variable of setup",
    how: (shop) =>
      workloadsOf([find(shop, "Job", "setup")])[0]!.containers[0]!.env!.push({ name: "SECRET_NAME", value: "x" }),
    says: "SECRET_NAME is set, which setup does not know",
  },
  // Traffic
  {
    what: "an address of nobody",
    how: (shop) => (config(shop, "gateway")["ORDERS_URL"] = "http://order:4004"),
    says: "Deployment/gateway: ORDERS_URL leads to order:4004, which is not there",
  },
  {
    what: "a port of nobody",
    how: (shop) => (config(shop, "gateway")["ORDERS_URL"] = "http://orders:4005"),
    says: "ORDERS_URL leads to orders:4005, where nobody listens",
  },
  {
    what: "a caller without an edge",
    how: (shop) => (config(shop, "orders")["KAFKA_BROKERS"] = "payments:4005"),
    says: "KAFKA_BROKERS leads to payments:4005, and NetworkPolicies refuse it",
  },
  {
    what: "a missing NetworkPolicy",
    how: (shop) => remove(shop, "NetworkPolicy", "kafka"),
    says: "KAFKA_BROKERS leads to kafka:9092, and NetworkPolicies refuse it",
  },
  {
    what: "a missing AuthorizationPolicy",
    how: (shop) => remove(shop, "AuthorizationPolicy", "orders"),
    says: "ORDERS_URL leads to orders:4004, and AuthorizationPolicies refuse it",
  },
  {
    what: "a NetworkPolicy of no pods",
    how: (shop) => (find(shop, "NetworkPolicy", "orders").spec.podSelector.matchLabels.app = "order"),
    says: "NetworkPolicy/orders selects",
  },
  {
    what: "a principal that is nobody",
    how: (shop) =>
      (find(shop, "AuthorizationPolicy", "orders").spec.rules[0].from[0].source.principals[0] =
        "cluster.local/ns/shop/sa/gatway"),
    says: "AuthorizationPolicy/orders: there is no ServiceAccount gatway",
  },
  {
    what: "a rule for a host that is none",
    how: (shop) => (find(shop, "DestinationRule", "orders").spec.host = "order"),
    says: "DestinationRule/orders: host order is no Service",
  },
  {
    what: "a subset that is none",
    how: (shop) => (find(shop, "VirtualService", "orders").spec.http[0].route[0].destination.subset = "next"),
    says: "has no subset next",
  },
  {
    what: "a subset of no pods",
    how: (shop) => remove(shop, "Deployment", "orders-canary"),
    says: "DestinationRule/orders: no pod is of the subset canary",
  },
  { what: "a route without its gateway", how: (shop) => remove(shop, "Gateway", ""), says: "there is no Gateway" },
];

test("the good render is good", async () => {
  expect(await problemsOf(good)).toEqual([]);
});

test.each(broken)("$what is found", async ({ how, says }) => {
  const manifests = structuredClone(good.manifests);
  how(manifests);
  const problems = await problemsOf({ ...good, manifests });
  expect(problems.join("\n")).toContain(says);
});

test("what no schema has is found", async () => {
  const folder = mkdtempSync(join(tmpdir(), "facts-"));
  const text = good.text.replace("replicas: 1", "replicas: one").replace("revisionHistoryLimit", "revisions");
  writeFileSync(join(folder, "broken.yaml"), text);
  const found = (await schemaProblems([folder])).join("\n");
  rmSync(folder, { recursive: true });
  expect(found).toContain("additional properties 'revisions' not allowed");
  expect(found).toMatch(/broken\.yaml, Kubernetes 1\.33\.\d+: Deployment\/\w+:.*got string, want integer/);
  expect(found).toMatch(/Kubernetes 1\.3[4-9]\.\d+: Deployment/);
});
