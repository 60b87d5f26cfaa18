import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { faultsFolder } from "@crowdcrunch/tools/mesh-faults";
import { repositoryRoot } from "@crowdcrunch/tools/schemas";
import { describe, expect, test } from "vitest";
import { problemsOf } from "./facts.ts";
import { components, given, overlay, profiles, switches } from "./matrix.ts";
import { parseManifests, render } from "./render.ts";
import { problemsOfTraffic } from "./traffic-facts.ts";
import { schemaProblems } from "./validate.ts";

// What the chart renders is valid and hangs together, whatever is switched on. The sentences are those of *-facts.ts.

async function problemsWith(options: Parameters<typeof render>[0]): Promise<string[]> {
  const shop = await render(options);
  return [...(await problemsOf(shop, given)), ...(await schemaProblems(shop.text))];
}

describe.each(profiles)("profile $name", ({ name, files, values = {} }) => {
  const possible = switches.filter(({ not = [] }) => !not.includes(name));
  test.concurrent.each(possible)("with $name", async ({ values: switched }) => {
    expect(await problemsWith({ files, values: overlay(values, switched) })).toEqual([]);
  });
});

test.concurrent.each(components)("%s under another name is followed by all who speak to it", async (component) => {
  const values = { istio: { enabled: true }, [component]: { nameOverride: `my-${component}` } };
  expect(await problemsWith({ values })).toEqual([]);
});

test("the shop under another name, with all its components under others", async () => {
  const renamed = Object.fromEntries(components.map((component) => [component, { nameOverride: `my-${component}` }]));
  const values = { istio: { enabled: true }, nameOverride: "emporium", ...renamed };
  const shop = await render({ values });
  expect([...(await problemsOf(shop, given)), ...(await schemaProblems(shop.text))]).toEqual([]);
  expect(shop.text).not.toContain("name: crowdcrunch-");
});

test.concurrent.each(readdirSync(join(repositoryRoot, faultsFolder)))("istio/faults/%s fits the shop", async (file) => {
  const text = readFileSync(join(repositoryRoot, faultsFolder, file), "utf8");
  const shop = await render({ values: { istio: { enabled: true } } });
  const faults = parseManifests(text);
  expect(faults).not.toEqual([]);
  const problems = problemsOfTraffic({ ...shop, manifests: [...shop.manifests, ...faults] });
  expect([...problems, ...(await schemaProblems(text))]).toEqual([]);
});
