import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { subgraphSdl } from "@crowdcrunch/kit/sdl";

/** The repository's root folder, as an absolute path. */
export const repositoryRoot = fileURLToPath(new URL("..", import.meta.url));

/** Folders under services/, sorted; each is a service and a subgraph of the same name. */
export function serviceNames(root = repositoryRoot): string[] {
  return readdirSync(join(root, "services"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

/** Services that have a schema.graphql. */
export function subgraphNames(root = repositoryRoot): string[] {
  return serviceNames(root).filter((name) => existsSync(join(root, "services", name, "schema.graphql")));
}

/** A subgraph's whole SDL, as the service serves it. */
export function readSubgraph(name: string, root = repositoryRoot): string {
  return subgraphSdl(name, readFileSync(join(root, "services", name, "schema.graphql"), "utf8"));
}
