/** The parts of the shop that become images, and how these are called. */
import { globSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { Problem } from "../environment.ts";
import { repositoryRoot } from "../schemas.ts";

export interface Part {
  /** The component's name, for example orders. */
  name: string;
  /** Its folder from the root, for example services/orders. */
  folder: string;
}

/** Every folder of the workspace that has a src/main.ts, sorted by name. */
export function imageParts(root = repositoryRoot): Part[] {
  return globSync("{*,services/*}/src/main.ts", { cwd: root })
    .map((file) => dirname(dirname(file)))
    .map((folder) => ({ name: basename(folder), folder }))
    .sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** The parts that a list such as "orders,gateway" names; all without a list. Throws a Problem that lists the known ones. */
export function chosenParts(list: string | undefined, parts = imageParts()): Part[] {
  const names = (list ?? "").split(/[\s,]+/).filter(Boolean);
  const unknown = names.filter((name) => !parts.some((part) => part.name === name));
  if (unknown.length > 0)
    throw new Problem(
      `PARTS names ${unknown.join(", ")}; the parts with an image are ${parts.map(({ name }) => name).join(", ")}.`,
    );
  return names.length === 0 ? parts : parts.filter(({ name }) => names.includes(name));
}

/** The tag that TAG gives, by default the project's version. Throws a Problem where it is none, or one that moves. */
export function chosenTag(tag: string | undefined, root = repositoryRoot): string {
  if (!tag) return (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string }).version;
  if (!/^\w[\w.-]{0,127}$/.test(tag))
    throw new Problem(`TAG is "${tag}"; a tag has up to 128 letters, digits, dots, dashes and underscores.`);
  if (tag === "latest")
    throw new Problem("TAG is latest, by which nobody knows what runs: give a version, or leave TAG out.");
  return tag;
}

/** For example crowdcrunch/orders:0.1.0, which is where the chart looks for it; a registry goes before it. */
export function imageName(part: Part, tag: string, registry?: string): string {
  return `${registry ? `${registry}/` : ""}crowdcrunch/${part.name}:${tag}`;
}

/** The registry that REGISTRY gives, with a path or without. Throws a Problem where it is missing or none. */
export function chosenRegistry(registry: string | undefined): string {
  if (!registry) throw new Problem("Say where the images go: make publish REGISTRY=registry.example/shop.");
  if (!/^[a-z0-9][a-z0-9.-]*(:[0-9]+)?(\/[a-z0-9][a-z0-9._-]*)*$/.test(registry))
    throw new Problem(
      `REGISTRY is "${registry}"; it is a host, a port where it needs one, and a path: ghcr.io/someone.`,
    );
  return registry;
}
