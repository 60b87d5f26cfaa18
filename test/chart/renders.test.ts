import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { faultsFolder } from "@crowdcrunch/tools/mesh-faults";
import { repositoryRoot } from "@crowdcrunch/tools/schemas";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { problemsOf } from "./facts.ts";
import { components, given, overlay, profiles, switches } from "./matrix.ts";
import { parseManifests, render } from "./render.ts";
import type { RenderOptions } from "./render.ts";
import { problemsOfTraffic } from "./traffic-facts.ts";
import { schemaProblems } from "./validate.ts";

// What the chart renders is valid and hangs together, whatever is switched on. The sentences are those of *-facts.ts.

/** Keeps what was rendered until all of it is judged by the schemas, at once, because that is fast. */
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "renders-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function problemsWith(title: string, options: RenderOptions): Promise<string[]> {
  const shop = await render(options);
  writeFileSync(join(folder, `${title.replaceAll(" ", "-")}.yaml`), shop.text);
  return problemsOf(shop, given);
}

describe.each(profiles)("profile $name", ({ name: profile, files, values = {} }) => {
  const possible = switches.filter(({ not = [] }) => !not.includes(profile));
  test.concurrent.each(possible)("with $name", async ({ name, values: switched }) => {
    expect(await problemsWith(`${profile} with ${name}`, { files, values: overlay(values, switched) })).toEqual([]);
  });
});

describe("under another name", () => {
  test.concurrent.each(components)("%s is followed by all who speak to it", async (component) => {
    const values = { istio: { enabled: true }, [component]: { nameOverride: `my-${component}` } };
    expect(await problemsWith(`renamed ${component}`, { values })).toEqual([]);
  });

  test("the whole shop, with all its components", async () => {
    const renamed = Object.fromEntries(components.map((component) => [component, { nameOverride: `my-${component}` }]));
    const values = { istio: { enabled: true }, nameOverride: "emporium", ...renamed };
    expect(await problemsWith("renamed shop", { values })).toEqual([]);
    const text = readFileSync(join(folder, "renamed-shop.yaml"), "utf8");
    expect(text).toContain("name: emporium-");
    expect(text).not.toContain("name: crowdcrunch-");
  });
});

test("the faults of istio/faults are of hosts in the shop", async () => {
  const shop = await render({ values: { istio: { enabled: true } } });
  const files = readdirSync(join(repositoryRoot, faultsFolder));
  const faults = files.flatMap((file) =>
    parseManifests(readFileSync(join(repositoryRoot, faultsFolder, file), "utf8")),
  );
  expect(faults.length).toBeGreaterThanOrEqual(files.length);
  expect(problemsOfTraffic({ ...shop, manifests: [...shop.manifests, ...faults] })).toEqual([]);
});

test("all of it is as the schemas of Kubernetes, Istio and the Gateway API have it", async () => {
  expect(await schemaProblems([folder, faultsFolder])).toEqual([]);
});
