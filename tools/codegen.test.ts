import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeStale } from "./codegen.ts";
import { supergraphText } from "./supergraph.ts";

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "crowdcrunch-graph-"));
  writeService(
    "apples",
    `type Query { apple(id: ID!): Apple }
     type Apple @key(fields: "id") { id: ID! price: Money! picked: DateTime }`,
    { Apple: "../apple.ts#AppleRow" },
  );
  writeService("pears", `type Apple @key(fields: "id") { id: ID! likeThat: Pear } type Pear { sort: String! }`);
});

afterEach(() => rmSync(root, { recursive: true }));

function writeService(name: string, schema: string, mappers: Record<string, string> = {}): void {
  mkdirSync(join(root, "services", name), { recursive: true });
  writeFileSync(join(root, "services", name, "schema.graphql"), schema);
  writeFileSync(join(root, "services", name, "package.json"), JSON.stringify({ codegen: { mappers } }));
}

function generated(name: string): string {
  return readFileSync(join(root, "services", name, "src/generated/graphql.ts"), "utf8");
}

test("types are generated once and again only for the service whose schema changed", async () => {
  expect(await writeStale(root)).toEqual(["apples", "pears"]);
  expect(await writeStale(root)).toEqual([]);
  writeService("pears", "type Query { pears: Int } type Mutation { eat: Int }");
  expect(await writeStale(root)).toEqual(["pears"]);
  expect(generated("pears")).toContain("pears?: Resolver<");
});

test("generated types know mappers, the context and the scalars, and import types alone", async () => {
  await writeStale(root);
  const text = generated("apples");
  expect(text).toContain("import type { AppleRow } from '../apple.ts';");
  expect(text).toContain("import type { RequestContext } from '@crowdcrunch/kit/graphql';");
  expect(text).toContain("MinorUnits: { input: number; output: number; }");
  expect(text).toContain("__resolveReference?:");
  expect(text).not.toMatch(/^import (?!type )/m);
});

test("schemas compose into one text with placeholder addresses", () => {
  const { text, problems } = supergraphText(root);
  expect(problems).toEqual([]);
  expect(text).toContain('PEARS @join__graph(name: "pears", url: "http://pears/graphql")');
});

test("what does not compose is named with its code", () => {
  writeService("pears", `type Apple @key(fields: "id") { id: ID! price: Int! }`);
  expect(supergraphText(root)).toEqual({
    hints: [],
    problems: expect.arrayContaining([expect.stringMatching(/^[A-Z_]+: .*price/s)]),
  });
});

test("a schema that is not GraphQL is named with its file", () => {
  writeService("pears", "type {");
  expect(() => supergraphText(root)).toThrow("services/pears/schema.graphql: Syntax Error");
});
