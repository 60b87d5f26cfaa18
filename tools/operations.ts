/**
 * `make operations`: lists the GraphQL operations of the shop's own clients in gateway/operations.json, for a gateway
 * that takes no others (its variable OPERATIONS_FILE). They are the documents in template literals of tools/ and
 * packages/shopper and in *.graphql files of CLIENTS=<folder,…>, such as a storefront's. `--check` writes nothing and
 * fails when it is stale.
 */
import { createHash } from "node:crypto";
import { existsSync, globSync, readFileSync } from "node:fs";
import { isAbsolute, join, relative } from "node:path";
import { Kind, buildSchema, getOperationAST, parse, printSchema, validate } from "graphql";
import type { DocumentNode, GraphQLSchema } from "graphql";
import { Problem, main } from "./environment.ts";
import { keepFresh } from "./generated-file.ts";
import { repositoryRoot } from "./schemas.ts";
import { composeGraph } from "./supergraph.ts";

export const operationsFile = "gateway/operations.json";

/** An operation as Apollo's manifest has it: `id` is the SHA-256 of `body`, in hexadecimal. */
export interface ListedOperation {
  id: string;
  name: string;
  type: string;
  body: string;
}

/**
 * The operations in template literals of a source text: those that begin with `query Name` or `mutation Name`. A
 * placeholder stands for the constant of the file that has its name; one with another placeholder is made while it runs
 * and cannot be listed.
 */
export function operationsIn(source: string): string[] {
  const constants = new Map<string, string>();
  for (const [, name, , text] of source.matchAll(/^(?:export )?const (\w+)(?:: string)? =\s*([`"'])([\s\S]*?)\2;/gm)) {
    constants.set(name!, text!);
  }
  const documents: string[] = [];
  for (const [, text] of source.matchAll(/`((?:query|mutation|subscription) [A-Z][\s\S]*?)`/g)) {
    const filled = text!.replaceAll(/\$\{(\w+)\}/g, (placeholder, name: string) => constants.get(name) ?? placeholder);
    if (filled.includes("{ ") && !filled.includes("${")) documents.push(filled);
  }
  return documents;
}

/** The operation with its name. Throws a Problem that names `file` for what the graph would refuse. */
function listed(body: string, file: string, schema: GraphQLSchema): ListedOperation {
  const refuse = (problem: string) => new Problem(`${file}: ${problem}\n${body}`);
  let document: DocumentNode;
  try {
    document = parse(body);
  } catch (error) {
    throw refuse((error as Error).message);
  }
  const [problem] = validate(schema, document);
  if (problem) throw refuse(problem.message);
  const operation = getOperationAST(document);
  if (!operation?.name) throw refuse("An operation needs a name, and a document of its own.");
  const id = createHash("sha256").update(body).digest("hex");
  return { id, name: operation.name.value, type: operation.operation, body };
}

/** The text of the list. Throws a Problem that names the file of an operation that the graph would refuse. */
export function operationsText(folders: string[]): string {
  const composed = composeGraph();
  if (!composed.schema) throw new Problem("The services' schemas do not compose: run make supergraph.");
  const schema = buildSchema(printSchema(composed.schema.toAPISchema().toGraphQLJSSchema() as GraphQLSchema));
  const found = new Map<string, ListedOperation>();
  const take = (body: string, file: string) => {
    const operation = listed(body, file, schema);
    found.set(operation.id, operation);
  };
  for (const file of ["tools", "packages/shopper/src"].flatMap((folder) => filesIn(folder, "**/*.ts"))) {
    for (const body of operationsIn(readFileSync(join(repositoryRoot, file), "utf8"))) take(body, file);
  }
  for (const file of folders.flatMap((folder) => filesIn(folder, "**/*.graphql"))) {
    const body = readFileSync(join(repositoryRoot, file), "utf8");
    // Fragments alone are taken in by the documents that spread them.
    const isOperation = parse(body).definitions.some(({ kind }) => kind === Kind.OPERATION_DEFINITION);
    if (isOperation) take(body, file);
  }
  const operations = [...found.values()].toSorted((a, b) => (a.name + a.id < b.name + b.id ? -1 : 1));
  return `${JSON.stringify({ format: "apollo-persisted-query-manifest", version: 1, operations }, null, 2)}\n`;
}

function filesIn(folder: string, pattern: string): string[] {
  const absolute = isAbsolute(folder) ? folder : join(repositoryRoot, folder);
  if (!existsSync(absolute))
    throw new Problem(`There is no folder ${absolute}; CLIENTS names folders with *.graphql files.`);
  return globSync(pattern, {
    cwd: absolute,
    exclude: (name) => name.includes("node_modules") || name.endsWith(".test.ts"),
  })
    .map((name) => relative(repositoryRoot, join(absolute, name)))
    .toSorted();
}

if (import.meta.main) {
  await main(async () => {
    const folders = (process.env.CLIENTS ?? "").split(",").filter(Boolean);
    keepFresh(operationsFile, operationsText(folders), "operations");
  });
}
