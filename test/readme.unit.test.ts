import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { allEvents } from "@crowdcrunch/events/catalogue";
import { auditor, gateway, postgres, provider, services } from "@crowdcrunch/tools/processes";
import { repositoryRoot, serviceNames } from "@crowdcrunch/tools/schemas";
import { composeGraph } from "@crowdcrunch/tools/supergraph";
import { parse, validate } from "graphql";
import type { GraphQLSchema } from "graphql";
import { describe, expect, test } from "vitest";
import { readmeOperations, readmeText } from "./readme-operations.ts";

const read = (file: string) => readFileSync(join(repositoryRoot, file), "utf8");
const pages = [
  "README.md",
  "gateway/README.md",
  "provider/README.md",
  "auditor/README.md",
  "setup/README.md",
  "istio/README.md",
  "test/cluster/README.md",
  "docs/operations.md",
  "packages/events/README.md",
  ...serviceNames().map((name) => `services/${name}/README.md`),
  ...readdirSync(join(repositoryRoot, "docs/adr")).map((file) => `docs/adr/${file}`),
];

describe.each(pages)("%s", (page) => {
  const text = read(page);

  test("links to files that exist", () => {
    const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)].map(([, link]) => link!);
    expect(links.filter((link) => !existsSync(join(repositoryRoot, dirname(page), link)))).toEqual([]);
  });

  test("names make targets that exist", () => {
    const targets = new Set([...read("GNUmakefile").matchAll(/^([a-z-]+):/gm)].map(([, target]) => target));
    const named = [...text.matchAll(/`make ([a-z-]+)/g)].map(([, target]) => target!);
    expect(named.filter((target) => !targets.has(target))).toEqual([]);
  });
});

describe("the tour", () => {
  const { schema } = composeGraph();
  const graph = schema!.toAPISchema().toGraphQLJSSchema() as GraphQLSchema;

  test("has ten operations", () => {
    expect(readmeOperations()).toHaveLength(10);
  });

  test.each(readmeOperations())("$name is valid in the graph", ({ document }) => {
    expect(validate(graph, parse(document)).map(({ message }) => message)).toEqual([]);
  });
});

test("the table of parts has every process with its port", () => {
  const rows = [...readmeText().matchAll(/^\| \[?`([a-z]+)`.*?\| (\d{4}) \|/gm)].map(([, name, port]) => [name, port]);
  const processes = [...services, gateway, provider, auditor, postgres].map(({ name, port }) => [name, String(port)]);
  expect(rows.sort()).toEqual(processes.sort());
});

test("what the demo prints is what its program says", () => {
  const [shown] = /^As a guest she puts[^]*?^```/m.exec(readmeText())!;
  const program = ["tools/demo.ts", "packages/shopper/src/words.ts"].map(read).join("\n");
  const happenings = [...shown.matchAll(/^ {2}\d\d:\d\d:\d\d\.\d{3} {2}([^·\n]+)/gm)].map(([, text]) => text!.trim());
  expect(happenings.length).toBeGreaterThan(8);
  const last = "Bought, paid, delivered, returned and refunded: the demo is complete";
  expect(shown).toContain(last);
  expect([...happenings, last].filter((text) => !program.includes(text))).toEqual([]);
});

test("the picture's parts and events are the project's", () => {
  const picture = read("docs/parts.svg");
  const events = [...picture.matchAll(/class="label"[^>]*>([^<]+)</g)].map(([, name]) => name!);
  const declared = new Set(allEvents.map(({ name }) => name));
  expect(events.length).toBeGreaterThan(10);
  expect(events.filter((name) => !declared.has(name))).toEqual([]);
  // It is drawn by hand: what make new-service adds to the eight may be missing.
  for (const { name, port } of [...services.slice(0, 8), gateway, provider, auditor, postgres]) {
    expect(picture.toLowerCase()).toContain(name);
    expect(picture).toContain(`:${port}<`);
  }
});
