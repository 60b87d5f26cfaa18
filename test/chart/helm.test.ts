import { describe, expect, test } from "vitest";
import { given, overlay, profiles } from "./matrix.ts";
import { ofKind, titleOf, workloadsOf } from "./manifests.ts";
import type { Manifest } from "./manifests.ts";
import { problemsOf } from "./facts.ts";
import { helm, kubeVersion, render } from "./render.ts";
import type { Values } from "./render.ts";

describe.each(["helm", "helm3"] as const)("%s", (which) => {
  test.each(profiles)("lint finds nothing in the profile $name", async ({ files, values = {} }) => {
    const options = ["--strict", "--quiet", "--kube-version", kubeVersion];
    const named = files.flatMap((file) => ["--values", file]);
    const input = JSON.stringify(values);
    expect(await helm(which, ["lint", ".", ...options, ...named, "--values", "-"], input)).toBe("");
  });
});

const deletePolicy = "helm.sh/hook-delete-policy";
const purchaseOf = (manifests: Record<string, Manifest>) => manifests["v1 Pod/purchase"]!;
const policyOfTest = (manifests: Record<string, Manifest>) =>
  purchaseOf(manifests).metadata.annotations?.[deletePolicy];

test.each(profiles)("helm 3 renders the profile $name as helm 4 does", async ({ files, values = {} }) => {
  const switched = overlay(values, { istio: { enabled: true } });
  const byTitle = async (which: "helm" | "helm3") => {
    const { manifests } = await render({ files, values: switched, helm: which });
    return Object.fromEntries(manifests.map((one) => [`${one.apiVersion} ${titleOf(one)}`, one]));
  };
  const [before, now] = [await byTitle("helm3"), await byTitle("helm")];
  // Helm 4 alone shows the log of a test before it removes the test's pod.
  expect(policyOfTest(before)).toBe("before-hook-creation");
  expect(policyOfTest(now)).toBe("before-hook-creation,hook-succeeded");
  for (const manifests of [before, now]) delete purchaseOf(manifests).metadata.annotations![deletePolicy];
  expect(before).toEqual(now);
});

test("an older Kubernetes is refused with the version that is needed", async () => {
  const old = helm("helm", ["template", "crowdcrunch", ".", "--kube-version", "1.32.0"]);
  await expect(old).rejects.toThrow(/requires kubeVersion: >=1\.33\.0-0/);
});

describe("the same chart twice", () => {
  test("in two namespaces is two shops that name nothing of each other", async () => {
    const values: Values = { istio: { enabled: true } };
    for (const namespace of ["shop-a", "shop-b"]) {
      const shop = await render({ release: "other", namespace, values });
      expect(await problemsOf(shop, given)).toEqual([]);
      expect(shop.text).not.toContain(namespace === "shop-a" ? "shop-b" : "shop-a");
      expect(shop.manifests.filter(({ kind }) => kind.startsWith("Cluster"))).toEqual([]);
    }
  });

  test("with the same values is the same, to the letter", async () => {
    const [first, second] = await Promise.all([render(), render()]);
    expect(second.text).toBe(first.text);
  });
});

describe("another configuration", () => {
  const podsOf = async (values: Values) => {
    const { manifests } = await render({ values });
    return Object.fromEntries(workloadsOf(manifests).map(({ title, metadata }) => [title, metadata.annotations]));
  };

  test("makes other pods of its component, and of no other", async () => {
    const before = await podsOf({});
    const after = await podsOf({ orders: { config: { PAYMENT_DEADLINE_SECONDS: 600 } } });
    const changed = Object.keys(before).filter(
      (title) => JSON.stringify(before[title]) !== JSON.stringify(after[title]),
    );
    expect(changed).toEqual(["Deployment/orders"]);
  });

  test("of the gateway's callees, when one of them is renamed, makes other pods of the gateway", async () => {
    const before = await podsOf({});
    const after = await podsOf({ orders: { nameOverride: "orders-of-ours" } });
    expect(after["Deployment/gateway"]).not.toEqual(before["Deployment/gateway"]);
  });

  test("makes another Job of setup, because a Job cannot be changed", async () => {
    const jobs = async (values: Values) =>
      ofKind((await render({ values })).manifests, "Job").map(({ metadata }) => metadata.name);
    const before = await jobs({});
    expect(await jobs({})).toEqual(before);
    expect(await jobs({ image: { tag: "9.9.9" } })).not.toEqual(before);
  });
});
