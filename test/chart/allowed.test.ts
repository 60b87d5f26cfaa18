import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot } from "@crowdcrunch/tools/schemas";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { workloadsOf } from "./manifests.ts";
import type { Workload } from "./manifests.ts";
import { meshAllows, networkAllows } from "./reach.ts";
import { render } from "./render.ts";

// The policies let through what the caller graph has, and nothing else: every pair of pods is tried, in both directions.

interface Edge {
  from: string;
  to: string;
}

/** "gateway → orders" of all calls inside a shop with all its components. */
function graph(): string[] {
  const { edges } = parse(readFileSync(join(repositoryRoot, "callers.yaml"), "utf8")) as { edges: Edge[] };
  const outside = new Set(["shoppers", "mail", "kubernetes"]);
  const inside = edges.filter(({ from, to }) => !outside.has(from) && !outside.has(to));
  return [...new Set(inside.map(({ from, to }) => `${from} → ${to}`))].sort();
}

/** A pod's part, by the identity that it has. */
const partOf = ({ pod }: Workload): string => pod.serviceAccountName;

/** What is let through to the port that a part serves on. */
async function allowed(allows: (shop: Awaited<ReturnType<typeof render>>, from: Workload, to: Workload) => boolean) {
  const shop = await render({ values: { istio: { enabled: true } } });
  const pods = workloadsOf(shop.manifests);
  const serving = pods.filter(({ serves }) => serves);
  const pairs = pods.flatMap((from) => serving.filter((to) => to !== from).map((to) => ({ from, to })));
  const passing = pairs.filter(({ from, to }) => allows(shop, from, to));
  return [...new Set(passing.map(({ from, to }) => `${partOf(from)} → ${partOf(to)}`))].sort();
}

const servingPort = (to: Workload) => to.containers[0]!.ports![0]!.containerPort;
const metricsPort = (to: Workload) => to.containers[0]!.ports?.[1]?.containerPort ?? 1;

test("NetworkPolicies let through the callers of the graph and nobody else", async () => {
  const calls = await allowed(({ manifests }, from, to) =>
    networkAllows(manifests, { from, to, port: servingPort(to) }),
  );
  expect(calls).toEqual(graph());
});

test("AuthorizationPolicies let through the callers of the graph and nobody else", async () => {
  const calls = await allowed((shop, from, to) => meshAllows(shop, { from, to, port: servingPort(to) }));
  expect(calls).toEqual(graph());
});

test("nobody inside is let to the metrics of another", async () => {
  const calls = await allowed(
    (shop, from, to) =>
      networkAllows(shop.manifests, { from, to, port: metricsPort(to) }) ||
      meshAllows(shop, { from, to, port: metricsPort(to) }),
  );
  expect(calls).toEqual([]);
});
