import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { auditorVariables } from "@crowdcrunch/auditor/auditor";
import { allEvents, notYetDue } from "@crowdcrunch/events/catalogue";
import type { EventContract } from "@crowdcrunch/events/contract";
import { liveFields } from "@crowdcrunch/gateway/live-fields";
import { readConfig } from "@crowdcrunch/kit/config";
import { openDatabase } from "@crowdcrunch/kit/database";
import { createTokenVerifier } from "@crowdcrunch/kit/identity";
import { inertFaults } from "@crowdcrunch/kit/faults";
import { createLogger } from "@crowdcrunch/kit/logger";
import { createMetrics } from "@crowdcrunch/kit/metrics";
import { eventLogVariables, processVariables, serviceVariables } from "@crowdcrunch/kit/variables";
import { providerVariables } from "@crowdcrunch/provider/provider";
import { purchaseVariables, rotationVariables, setupVariables } from "@crowdcrunch/setup/variables";
import { environmentOf, services, shopAddresses } from "@crowdcrunch/tools/processes";
import type { ShopAddresses } from "@crowdcrunch/tools/processes";
import { readSubgraph, repositoryRoot, serviceNames } from "@crowdcrunch/tools/schemas";
import { supergraphFile } from "@crowdcrunch/tools/supergraph";
import { Kind, parse } from "graphql";
import type { DocumentNode, ObjectTypeDefinitionNode, ObjectTypeExtensionNode } from "graphql";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { namedType } from "./e2e/arguments.ts";
import { definitionOf } from "./e2e/definitions.ts";

// What must agree is checked here, so that nobody has to remember it.

const read = (...path: string[]) => readFileSync(join(repositoryRoot, ...path), "utf8");
const names = serviceNames();

describe.each(names)("services/%s", (name) => {
  const readme = read("services", name, "README.md");

  test("is a subgraph of the committed supergraph, and a process of the shop", () => {
    expect(read(supergraphFile)).toContain(`name: "${name}", url: "http://${name}/graphql"`);
    expect(services.map((service) => service.name)).toContain(name);
  });

  test("has a README that says what it owns, publishes and consumes", () => {
    expect(readme.split("\n")[0]).toBe(`# ${name}`);
    for (const word of ["**Owns**", "**Publishes**", "**Consumes**"]) expect(readme).toContain(word);
    expect(readme.split("\n").length).toBeLessThan(70);
  });

  test("describes each of its variables, and none that it has not", async () => {
    const own = Object.keys((await definitionOf(name)).config.properties);
    expect(describedVariables(readme, { ...serviceVariables })).toEqual(own.sort());
  });
});

test("the provider describes its variables", () => {
  const own = Object.keys(providerVariables).filter((name) => !(name in serviceVariables));
  expect(describedVariables(read("provider/README.md"), { ...processVariables })).toEqual(own.sort());
});

test("the auditor describes its variables", () => {
  const own = Object.keys(auditorVariables).filter(
    (name) => !(name in processVariables) && !(name in eventLogVariables),
  );
  expect(describedVariables(read("auditor/README.md"), { ...processVariables })).toEqual(own.sort());
});

test("the setup describes its variables", () => {
  const own = [setupVariables, rotationVariables, purchaseVariables].flatMap(({ properties }) =>
    Object.keys(properties),
  );
  const named = [...new Set(own)].filter((name) => name.includes("_")).sort();
  expect(describedVariables(read("setup/README.md"), {})).toEqual(named);
});

/** Variables that a README names where it speaks of them, without those that every process has. */
function describedVariables(readme: string, everywhere: object): string[] {
  const [, section] = /\*\*(?:Its v|V)ariables\*\*([\s\S]*)$/.exec(readme) ?? [];
  if (section === undefined) return [];
  const named = section.match(/\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/g) ?? [];
  return [...new Set(named)].filter((name) => !(name in everywhere)).sort();
}

describe("events", () => {
  /** Types that each service handles, as its wiring says. */
  const handled = new Map<string, Set<string>>();
  const varDir = mkdtempSync(join(tmpdir(), "crowdcrunch-facts-"));

  beforeAll(async () => {
    const shop = await shopAddresses({ varDir, portOffset: 0 });
    for (const name of names) handled.set(name, await handledBy(name, shop));
  });
  afterAll(() => rmSync(varDir, { recursive: true }));

  test.each(allEvents.map((contract) => [contract.type, contract] as const))("%s", async (_, contract) => {
    const { topic, name, type } = contract;
    expect(names).toContain(topic);
    const exported = await exportedName(contract);
    const publishes = (source: string) =>
      source.includes(`${exported}.create(`) ||
      // One of several that a file makes: used beside its import.
      (source.includes(".create(") && source.split(exported).length > 2);
    expect({ type, isPublished: sourcesOf("services", topic).some(publishes) }).toEqual({ type, isPublished: true });
    expect(read("services", topic, "README.md")).toContain(name);
    const consumers = names.filter((service) => handled.get(service)!.has(type));
    const listensTo = Object.values(liveFields).some(({ events }) => events.includes(contract));
    if (listensTo || sourcesOf("gateway").some((source) => source.includes(`${exported}.type`))) {
      consumers.push("gateway");
    }
    expect(consumers).not.toEqual([]);
    // A service learns of its own doings without the log.
    expect(consumers).not.toContain(topic);
  });

  test("no service handles an event that is in no catalogue", () => {
    const known = new Set(allEvents.map(({ type }) => type));
    expect([...handled.values()].flatMap((types) => [...types]).filter((type) => !known.has(type))).toEqual([]);
  });

  test("those that are not due yet say why, and are not declared", () => {
    for (const { topic, name, because } of notYetDue) {
      expect(because.length).toBeGreaterThan(10);
      expect(allEvents.map((contract) => contract.name)).not.toContain(name);
      expect(names).toContain(topic.split(".")[0]);
    }
  });
});

/** The name under which its publisher's file exports a contract. */
async function exportedName(contract: EventContract): Promise<string> {
  const module = (await import(`@crowdcrunch/events/${contract.topic}`)) as Record<string, unknown>;
  const found = Object.entries(module).find(([, value]) => value === contract);
  if (!found) throw new Error(`packages/events/src/${contract.topic}.ts does not export ${contract.type}`);
  return found[0];
}

/** The TypeScript files of a part, without its tests and what is generated. */
function sourcesOf(...path: string[]): string[] {
  return readdirSync(join(repositoryRoot, ...path, "src"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !/\.test\.ts$|^generated/.test(file))
    .map((file) => read(...path, "src", file));
}

/** Wires a service as its start does, without starting anything, and asks it what it handles. */
async function handledBy(name: string, shop: ShopAddresses): Promise<Set<string>> {
  const definition = await definitionOf(name);
  const log = createLogger({ service: name, level: "silent" });
  const metrics = createMetrics({ service: name, processMetrics: false });
  const env = environmentOf(name, shop);
  // Nothing connects before the first statement.
  const db = openDatabase({ url: shop.databaseUrl(name), applicationName: name, newId: randomUUID, log, metrics });
  const tokens = createTokenVerifier({ jwksFile: env["JWKS_FILE"]!, log });
  const config = readConfig(definition.config, env);
  const { handlers } = definition.wire({ config, db, log, metrics, newId: randomUUID, tokens, faults: inertFaults });
  await db.close();
  return new Set((handlers ?? []).flatMap(({ handles }) => handles.map(({ type }) => type)));
}

/** Whose an entity is: the service that describes it. Others add fields to it or refer to it. */
function ownersOfEntities(): Map<string, string[]> {
  const owners = new Map<string, string[]>();
  for (const service of names) {
    for (const type of objectTypes(parse(readSubgraph(service)))) {
      if (!type.directives?.some(({ name }) => name.value === "key")) continue;
      const isDescribed = "description" in type && type.description !== undefined;
      const known = owners.get(type.name.value) ?? [];
      owners.set(type.name.value, isDescribed ? [...known, service] : known);
    }
  }
  return owners;
}

test("every entity is described by one service, whose it is", () => {
  const owners = ownersOfEntities();
  expect(Object.fromEntries(owners)).toMatchObject({
    ...{ User: ["users"], Customer: ["customers"], Order: ["orders"], OrderLine: ["orders"], Cart: ["frontend"] },
    ...{ Product: ["inventory"], Sku: ["inventory"], Category: ["inventory"], Shipment: ["fulfillment"] },
    ...{ Payment: ["payments"], Refund: ["payments"], Return: ["exchanges"], Exchange: ["exchanges"] },
  });
  expect([...owners].filter(([, services]) => services.length !== 1)).toEqual([]);
});

test("what another service answers may be missing, so that a service that is down costs its own fields", () => {
  const owners = ownersOfEntities();
  const ownerOf = (type: string) => owners.get(type)?.[0];
  const demanding: string[] = [];
  for (const service of names) {
    for (const type of objectTypes(parse(readSubgraph(service)))) {
      const owner = ownerOf(type.name.value);
      for (const field of type.fields ?? []) {
        const isKey = field.name.value === "id" || field.directives?.some(({ name }) => name.value === "external");
        const isAdded = owner !== undefined && owner !== service && !isKey;
        const isForeign = (ownerOf(namedType(field.type)) ?? service) !== service;
        const mayFail = type.name.value === "Query" || isAdded || isForeign;
        const { type: ofField } = field;
        const item = ofField.kind === Kind.LIST_TYPE ? ofField.type : ofField;
        if (mayFail && (ofField.kind === Kind.NON_NULL_TYPE || (isForeign && item.kind === Kind.NON_NULL_TYPE)))
          demanding.push(`${service}: ${type.name.value}.${field.name.value}`);
      }
    }
  }
  expect(demanding).toEqual([]);
});

function objectTypes(document: DocumentNode): (ObjectTypeDefinitionNode | ObjectTypeExtensionNode)[] {
  return document.definitions.filter(
    (node) => node.kind === Kind.OBJECT_TYPE_DEFINITION || node.kind === Kind.OBJECT_TYPE_EXTENSION,
  );
}

test("every decision in docs/adr is in its index, and every link of the index leads to one", () => {
  const files = readdirSync(join(repositoryRoot, "docs/adr")).filter((file) => file !== "README.md");
  const linked = [...read("docs/adr/README.md").matchAll(/\]\(([^)]+)\)/g)].map(([, file]) => file);
  expect(linked.sort()).toEqual(files.sort());
});
