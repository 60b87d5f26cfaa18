import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot, serviceNames } from "@crowdcrunch/tools/schemas";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { profiles } from "./matrix.ts";
import { titleOf } from "./manifests.ts";
import type { Manifest } from "./manifests.ts";
import { render } from "./render.ts";
import type { Values } from "./render.ts";

// A few renders as they were reviewed. After a change that is meant, UPDATE_GOLDEN=1 writes them anew, and the difference is
// reviewed like any other.

const goldenFolder = join(repositoryRoot, "test/chart/golden");
const { version } = parse(readFileSync(join(repositoryRoot, "Chart.yaml"), "utf8")) as { version: string };

const goldens: { file: string; profile: string; values?: Values; picks: (manifest: Manifest) => boolean }[] = [
  {
    file: "orders.yaml",
    profile: "laptop",
    picks: ({ metadata }) => metadata.name === "orders",
  },
  {
    file: "orders-in-the-mesh.yaml",
    profile: "laptop",
    values: { istio: { enabled: true }, orders: { canary: { tag: "0.2.0" } } },
    picks: ({ apiVersion, metadata }) => metadata.name === "orders" && apiVersion.includes("istio.io"),
  },
  {
    file: "way-in.yaml",
    profile: "laptop",
    values: { istio: { enabled: true }, hostname: "shop.example.com", tls: { secretName: "shop-cert" } },
    picks: ({ kind, metadata }) =>
      ["Gateway", "VirtualService", "PeerAuthentication"].includes(kind) || metadata.name.endsWith("-deny-all"),
  },
  {
    file: "setup.yaml",
    profile: "operators",
    picks: ({ kind, metadata }) => /^setup(-|$)/.test(metadata.name) && kind !== "NetworkPolicy",
  },
  {
    file: "orders-in-production.yaml",
    profile: "production",
    picks: ({ kind, metadata }) =>
      metadata.name === "orders" && ["ConfigMap", "HorizontalPodAutoscaler", "PodDisruptionBudget"].includes(kind),
  },
];

test.each(goldens)("$file is as it was reviewed", async ({ file, profile, values, picks }) => {
  const { files, values: own = {} } = profiles.find(({ name }) => name === profile)!;
  const { manifests } = await render({ files, values: { ...own, ...values } });
  const picked = manifests
    .filter(picks)
    .map((manifest) => `---\n# ${titleOf(manifest)}\n${stringify(manifest, { lineWidth: 0 })}`);
  const title = `# The profile ${profile}${values ? ` with ${JSON.stringify(values)}` : ""}, in part.\n`;
  const text = steady(title + picked.join(""));
  const golden = join(goldenFolder, file);
  if (process.env["UPDATE_GOLDEN"]) writeFileSync(golden, text);
  expect(picked).not.toEqual([]);
  expect(text, `${golden}: if this is meant, run UPDATE_GOLDEN=1 make test and review the difference`).toBe(
    existsSync(golden) ? readFileSync(golden, "utf8") : "",
  );
});

test("every golden file is one of these", () => {
  expect(readdirSync(goldenFolder).sort()).toEqual(goldens.map(({ file }) => file).sort());
});

/** Without what changes with every release, with every new service, or with anything at all. */
function steady(text: string): string {
  return text
    .replaceAll(serviceNames().join(","), "<services>")
    .replaceAll(version, "<version>")
    .replace(/\b[0-9a-f]{64}\b/g, "<checksum>")
    .replace(/\bsetup-[0-9a-f]{8}\b/g, "setup-<checksum>");
}
