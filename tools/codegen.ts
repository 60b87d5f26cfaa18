/**
 * Writes services/<name>/src/generated/graphql.ts: the types of a service's resolvers, from its schema.graphql.
 *
 * A service names the types that its resolvers return for a GraphQL type in its package.json, seen from the generated
 * file: `"codegen": { "mappers": { "Order": "../order.ts#Order" } }`.
 *
 * Only what changed is written. `--check` writes nothing and fails when something is stale.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { readSubgraph, repositoryRoot, subgraphNames } from "./schemas.ts";

interface Generation {
  service: string;
  target: string;
  sdl: string;
  mappers: Record<string, string>;
  /** First line of the generated file: names what it was made from. */
  heading: string;
}

const settings = {
  enumsAsTypes: true,
  useTypeImports: true,
  federation: true,
  contextType: "@crowdcrunch/kit/graphql#RequestContext",
  // A statement that finds no row answers undefined, which GraphQL takes for null.
  maybeValue: "T | null | undefined",
  scalars: { DateTime: "Date | string", MinorUnits: "number", CurrencyCode: "string", ID: "string" },
};

function plan(service: string, root: string): Generation {
  const folder = join(root, "services", service);
  const sdl = readSubgraph(service, root);
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
    codegen?: { mappers?: Record<string, string> };
  };
  const mappers = manifest.codegen?.mappers ?? {};
  const inputs = createHash("sha256")
    .update(JSON.stringify([sdl, mappers, settings]))
    .digest("hex")
    .slice(0, 16);
  return {
    service,
    sdl,
    mappers,
    target: join(folder, "src/generated/graphql.ts"),
    heading: `// Made by \`make codegen\` from schema.graphql (${inputs}); not edited by hand.`,
  };
}

function isFresh(generation: Generation): boolean {
  return existsSync(generation.target) && readFileSync(generation.target, "utf8").startsWith(`${generation.heading}\n`);
}

async function generate(generation: Generation): Promise<string> {
  const [{ codegen }, typescript, resolvers, { buildASTSchema, parse }] = await Promise.all([
    import("@graphql-codegen/core"),
    import("@graphql-codegen/typescript"),
    import("@graphql-codegen/typescript-resolvers"),
    import("graphql"),
  ]);
  const document = parse(generation.sdl);
  const body = await codegen({
    filename: generation.target,
    schema: document,
    // Federation's directives are not defined in the SDL; composition checks them.
    schemaAst: buildASTSchema(document, { assumeValidSDL: true }),
    documents: [],
    plugins: [{ typescript: {} }, { resolvers: {} }],
    pluginMap: { typescript, resolvers },
    config: { ...settings, mappers: generation.mappers },
  });
  return `${generation.heading}\n${body}`;
}

/** Brings all generated files up to date. Resolves to the services whose file was written. */
export async function writeStale(root = repositoryRoot): Promise<string[]> {
  const stale = staleGenerations(root);
  for (const generation of stale) {
    const text = await generate(generation);
    mkdirSync(dirname(generation.target), { recursive: true });
    writeFileSync(generation.target, text);
  }
  return stale.map((generation) => generation.service);
}

function staleGenerations(root: string): Generation[] {
  return subgraphNames(root)
    .map((service) => plan(service, root))
    .filter((generation) => !isFresh(generation));
}

if (import.meta.main) {
  if (process.argv.includes("--check")) {
    const stale = staleGenerations(repositoryRoot);
    for (const { target } of stale) {
      console.error(`${relative(repositoryRoot, target)} is stale: run make codegen.`);
    }
    process.exitCode = stale.length > 0 ? 1 : 0;
  } else {
    for (const service of await writeStale()) console.log(`services/${service}/src/generated/graphql.ts written`);
  }
}
