/** What a new service is called, in every form in which its name is written. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { accessRules } from "@crowdcrunch/kit/access";
import { auditor, gateway, provider, services } from "@crowdcrunch/shop/parts";
import { parse } from "graphql";
import { parse as parseYaml } from "yaml";
import { Problem } from "../environment.ts";
import { repositoryRoot, readSubgraph, serviceNames } from "../schemas.ts";

export interface Names {
  /** Its folder, schema, topic, chart and image: "reviews". */
  name: string;
  /** The entity that it begins with: "Review". */
  Type: string;
  /** The entity's fields in the graph: "review". */
  type: string;
  port: string;
}

/** Ports of services: what follows are the shop's other parts. */
const [firstPort, lastPort] = [4001, 4049];

/** Components and folders of the shop, and schemas of its database, that no service may be called after. */
const takenNames = new Set([
  ...[gateway, provider, auditor].map(({ name }) => name),
  ...["setup", "purchase", "postgres", "kafka", "shoppers", "kubernetes", "events", "extensions", "eventlog", "public"],
  // Keys of the chart's values beside those of the components.
  ...["global", "lib", ...Object.keys(parseYaml(readFileSync(join(repositoryRoot, "values.yaml"), "utf8")) as object)],
]);

/** Names become schemas and tables in SQL, and constants in TypeScript. */
const reservedWords = new Set(
  (
    "all analyse analyze and any array as asc asymmetric authorization await binary both break case cast catch check class " +
    "collate column concurrently const constraint continue create cross current debugger default deferrable delete desc " +
    "distinct do else end enum except export extends false fetch finally for foreign freeze from full function grant group " +
    "having if ilike implements import in initially inner instanceof interface intersect into is isnull join lateral leading " +
    "left let like limit localtime localtimestamp natural new not notnull null offset on only or order outer overlaps " +
    "package placing primary private protected references return returning right select similar some static super switch " +
    "symmetric table tablesample then this throw to trailing true try typeof union unique user using var variadic verbose " +
    "void when where while window with yield"
  ).split(" "),
);
const builtInTypes = new Set(["String", "Int", "Float", "Boolean", "ID", "Subscription"]);

/** "reviews" is about reviews: Review. */
function singular(name: string): string {
  const one = name.endsWith("ies") ? `${name.slice(0, -3)}y` : name.replace(/(?<=[^s])s$/, "");
  return `${one[0]!.toUpperCase()}${one.slice(1)}`;
}

/**
 * Checks the name of a service, and of its first entity where it is not to follow from it. Throws a Problem with the
 * variable and the way out.
 */
export function chooseNames(name: string | undefined, wantedType: string | undefined): Names {
  if (!name) throw new Problem("Say what the service is called: make new-service NAME=reviews.");
  if (!/^[a-z]{2,30}$/.test(name))
    throw new Problem(`NAME is "${name}"; a service's name has 2 to 30 small letters and nothing else: NAME=reviews.`);
  if (serviceNames().includes(name)) throw new Problem(`There is a service ${name} already, in services/${name}.`);
  if (takenNames.has(name))
    throw new Problem(`NAME is "${name}", which is another part of the shop: take another name.`);
  if (reservedWords.has(name)) throw new Problem(`NAME is "${name}", a word of SQL or TypeScript: take another name.`);

  const Type = wantedType || singular(name);
  const type = `${Type[0]!.toLowerCase()}${Type.slice(1)}`;
  if (!/^[A-Z][A-Za-z0-9]{1,40}$/.test(Type))
    throw new Problem(
      `TYPE is "${Type}"; the name of a type begins with a capital and has letters and digits: TYPE=Review.`,
    );
  if (reservedWords.has(type) || builtInTypes.has(Type))
    throw new Problem(
      `The entity of ${name} would be ${Type}, a word of TypeScript or GraphQL: say another with TYPE=….`,
    );
  const taken = [Type, `${Type}Created`, `Create${Type}Input`, `Create${Type}Result`, `Query.${type}`];
  for (const service of serviceNames()) {
    const known = definitionsOf(service);
    const found = taken.find((definition) => known.has(definition));
    if (found)
      throw new Problem(
        `The graph has ${found} already, of ${service}: say what the new entity is called with TYPE=….`,
      );
  }

  const ports = new Set<number>(services.map(({ port }) => port));
  for (const other of [gateway, provider, auditor]) ports.add(other.port);
  for (let port = firstPort; port <= lastPort; port += 1)
    if (!ports.has(port)) return { name, Type, type, port: String(port) };
  throw new Problem(`All ports of ${firstPort} to ${lastPort} are taken in packages/shop/src/parts.ts.`);
}

/** Types that a subgraph has, and its root fields such as Query.order, each of which has a rule. */
function definitionsOf(service: string): Set<string> {
  const document = parse(readSubgraph(service));
  const types = document.definitions.flatMap((node) => ("name" in node && node.name ? [node.name.value] : []));
  return new Set([...types, ...accessRules(document).map(({ type, field }) => `${type}.${field}`)]);
}
