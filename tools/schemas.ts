import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

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

/** A subgraph's whole SDL: the kit's common part in front of the service's schema.graphql, as the service serves it. */
export function subgraphSdl(name: string, root = repositoryRoot): string {
  const common = readFileSync(join(root, "packages/kit/common.graphql"), "utf8");
  return `${common}\n${readFileSync(join(root, "services", name, "schema.graphql"), "utf8")}`;
}
