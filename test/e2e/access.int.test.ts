import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { accessRules } from "@crowdcrunch/kit/access";
import type { AccessRule } from "@crowdcrunch/kit/access";
import { createLogger } from "@crowdcrunch/kit/logger";
import { start } from "@crowdcrunch/kit/service";
import type { ServiceDefinition } from "@crowdcrunch/kit/service";
import type { GraphAnswer } from "@crowdcrunch/kit/testing/service";
import { readSubgraph, subgraphNames } from "@crowdcrunch/tools/schemas";
import { Kind, parse } from "graphql";
import type { DocumentNode, StringValueNode } from "graphql";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fieldOf, generateArguments, leastSelection, literalOf } from "./arguments.ts";
import { createBadTokens, createCallers, startAttacker } from "./callers.ts";
import type { Caller } from "./callers.ts";
import { definitionOf } from "./definitions.ts";
import { openServices } from "./open-services.ts";
import type { OpenServices } from "./open-services.ts";
import { buyForOwner } from "./owners-world.ts";
import type { OwnersThings } from "./owners-world.ts";

const subgraphs = subgraphNames().map((service) => {
  const document = parse(readSubgraph(service));
  return { service, document, rules: accessRules(document) };
});

let services: OpenServices;
let attacker: Awaited<ReturnType<typeof startAttacker>>;
let things: OwnersThings;
let callers: Caller[];
let impostors: Caller[];
let cells = 0;

beforeAll(async () => {
  [services, attacker] = await Promise.all([openServices(subgraphs.map(({ service }) => service)), startAttacker()]);
  things = await buyForOwner(services);
  callers = await createCallers(services, things.ownerId);
  impostors = await createBadTokens(services, things.ownerId, attacker);
});

afterAll(async () => {
  console.log(`access matrix: ${cells} cells`);
  await services?.stop();
  await attacker?.close();
});

/** How a call ended, as far as access is concerned. */
type Verdict = "401" | "UNAUTHENTICATED" | "FORBIDDEN" | "hidden" | "nothing" | "answered" | "broken";

function verdictOf({ status, data, errors }: GraphAnswer, field: string): Verdict {
  const codes = (errors ?? []).map(({ extensions }) => extensions.code);
  if (status === 401 && codes[0] === "UNAUTHENTICATED" && data == null) return "401";
  for (const code of ["UNAUTHENTICATED", "FORBIDDEN"] as const) if (codes.includes(code)) return code;
  if (codes.includes("NOT_FOUND")) return "hidden";
  // What the validation of a document finds is a mistake of this test.
  if (codes.some((code) => code === "INTERNAL_SERVER_ERROR" || code === "GRAPHQL_VALIDATION_FAILED")) return "broken";
  const value = field === "_entities" ? data?._entities[0] : data?.[field];
  if (value == null) return codes.length > 0 ? "answered" : "nothing";
  if (value.__typename === "Forbidden") return "FORBIDDEN";
  return value.__typename === "NotFound" ? "hidden" : "answered";
}

/** Something that can be asked for, with the rule that says by whom. */
interface Row {
  rule: Pick<AccessRule, "roles" | "owner">;
  query: string;
  field: string;
  /** True where the arguments name a thing of the owner's. */
  targetsOwner: boolean;
}

/** Which verdicts the rule allows for a caller. */
function expected({ rule, targetsOwner, field }: Row, { kind, roles }: Caller): Verdict[] {
  if (kind === "bad") return ["401"];
  const isPublic = rule.roles.includes("PUBLIC");
  if (!isPublic && kind === "nobody") return ["UNAUTHENTICATED"];
  if (!isPublic && !roles.some((role) => rule.roles.includes(role))) return ["FORBIDDEN"];
  if (rule.owner !== undefined && kind === "link") return ["nothing"];
  if (rule.owner !== undefined && kind === "stranger" && targetsOwner) return ["nothing"];
  if (targetsOwner && (kind === "owner" || (kind === "staff" && rule.owner !== undefined))) return ["answered"];
  if (targetsOwner && kind !== "staff") return ["hidden", "FORBIDDEN"];
  // With the link of an order nothing else may be done in the customer's name; signing out does nothing.
  if (kind === "link" && !isPublic && field !== "signOut") return ["hidden", "FORBIDDEN"];
  return ["answered", "nothing", "hidden"];
}

/** Asks as everybody, one after the other: those who are refused first, the owner last. */
async function judge(service: string, row: Row): Promise<void> {
  const columns = [...impostors, ...callers].filter(
    // An act of the owner's that names nothing of his is the act of any shopper.
    ({ kind }) => kind !== "owner" || row.targetsOwner || row.rule.owner !== undefined,
  );
  const wrong: string[] = [];
  for (const caller of columns) {
    const verdict = verdictOf(await services.ask(service, row.query, caller.token), row.field);
    const allowed = expected(row, caller);
    if (!allowed.includes(verdict)) wrong.push(`${caller.name}: ${verdict}, and not ${allowed.join(" or ")}`);
  }
  cells += columns.length;
  expect({ query: row.query, wrong }).toEqual({ query: row.query, wrong: [] });
}

function entityQuery(type: string, reference: Record<string, string>, selection: string): string {
  const representation = literalOf({ __typename: type, ...reference });
  return `{ _entities(representations: [${representation}]) { __typename ... on ${type} { ${selection} } } }`;
}

const isRoot = (type: string) => ["Query", "Mutation", "Subscription"].includes(type);
const byRule = (rules: AccessRule[], wanted: (rule: AccessRule) => boolean) =>
  rules
    .filter(wanted)
    .map((rule) => [rule.field === undefined ? rule.type : `${rule.type}.${rule.field}`, rule] as const);

describe.each(subgraphs)("$service", ({ service, document, rules }) => {
  // Mutations last: they may change what the others look at.
  test.each([
    ...byRule(rules, ({ type, field }) => type === "Query" && field !== undefined),
    ...byRule(rules, ({ type, field }) => type === "Mutation" && field !== undefined),
  ])("%s", async (_, rule) => {
    const field = fieldOf(document, rule.type, rule.field!);
    const known = { ...things.values, ...things.neutral };
    const given = generateArguments(document, rule.type, field, known);
    const operation = rule.type === "Query" ? "query" : "mutation";
    await judge(service, {
      rule,
      field: field.name.value,
      query: `${operation} { ${field.name.value}${given.text} ${leastSelection(document, field)} }`,
      targetsOwner: given.known.some((coordinate) => coordinate in things.values),
    });
  });

  // Who may listen is decided by the query of the same rule, which the gateway asks: see test/live-fields.unit.test.ts.
  const listening = byRule(rules, ({ type }) => type === "Subscription");
  test.runIf(listening.length > 0).each(listening)("%s is not told by the subgraph itself", async (_, rule) => {
    const field = fieldOf(document, rule.type, rule.field!);
    const { text } = generateArguments(document, rule.type, field, { ...things.values, ...things.neutral });
    const query = `subscription { ${field.name.value}${text} ${leastSelection(document, field)} }`;
    for (const caller of [...impostors, ...callers]) {
      const { data, errors } = await services.ask(service, query, caller.token);
      const seen = { caller: caller.name, told: data?.[field.name.value] ?? null, code: errors?.[0]?.extensions.code };
      const code = caller.kind === "bad" ? "UNAUTHENTICATED" : "BAD_REQUEST";
      expect(seen).toEqual({ caller: caller.name, told: null, code });
    }
    cells += impostors.length + callers.length;
  });

  test.each(byRule(rules, ({ field }) => field === undefined))("entity %s", async (_, rule) => {
    for (const reference of referencesOf(document, rule.type)) {
      const query = entityQuery(rule.type, reference, "__typename");
      await judge(service, { rule, query, field: "_entities", targetsOwner: rule.owner !== undefined });
    }
  });

  const restricted = byRule(rules, ({ type, field }) => field !== undefined && !isRoot(type));
  test.runIf(restricted.length > 0).each(restricted)("field %s", async (_, rule) => {
    const ofType = rules.find(({ type, field }) => type === rule.type && field === undefined);
    if (!ofType) throw new Error(`${rule.type} is no entity of ${service}: give this test another way to its fields`);
    const field = fieldOf(document, rule.type, rule.field!);
    const { text } = generateArguments(document, rule.type, field, {});
    const selection = `${field.name.value}${text} ${leastSelection(document, field)}`;
    const reference = referencesOf(document, rule.type)[0]!;
    // Whom the type keeps out needs no look at the field.
    const seeing = callers.filter((caller) =>
      expected({ rule: ofType, query: "", field: "", targetsOwner: ofType.owner !== undefined }, caller).includes(
        "answered",
      ),
    );
    for (const caller of seeing) {
      const answer = await services.ask(service, entityQuery(rule.type, reference, selection), caller.token);
      const codes = (answer.errors ?? []).map(({ extensions }) => extensions.code);
      const may = rule.roles.includes("PUBLIC") || caller.roles.some((role) => rule.roles.includes(role));
      const refusal = caller.kind === "nobody" ? "UNAUTHENTICATED" : "FORBIDDEN";
      expect({ caller: caller.name, codes }).toEqual({ caller: caller.name, codes: may ? [] : [refusal] });
    }
    cells += seeing.length;
  });

  /** The owner's thing by each key that this subgraph resolves. */
  function referencesOf(of: DocumentNode, type: string): Record<string, string>[] {
    const node = of.definitions.find(
      (definition) => definition.kind === Kind.OBJECT_TYPE_DEFINITION && definition.name.value === type,
    );
    const directives = node?.kind === Kind.OBJECT_TYPE_DEFINITION ? (node.directives ?? []) : [];
    const keys = directives
      .filter(({ name }) => name.value === "key")
      .flatMap((key) => key.arguments?.filter(({ name }) => name.value === "fields") ?? [])
      .map(({ value }) => (value as StringValueNode).value);
    return keys.map((key) => {
      const reference = things.references[type]?.find((candidate) => key in candidate);
      if (!reference) throw new Error(`the owner has no ${type} by ${key}: let owners-world.ts make one`);
      return reference;
    });
  }
});

test("nobody fetched the keys that a token named", () => {
  expect(attacker.fetches()).toBe(0);
});

test("every value of the owner's is an argument that is there", () => {
  const used = new Set<string>();
  for (const { document, rules } of subgraphs) {
    for (const { type, field } of rules) {
      if (field === undefined) continue;
      const known = { ...things.values, ...things.neutral };
      for (const coordinate of generateArguments(document, type, fieldOf(document, type, field), known).known) {
        used.add(coordinate);
      }
    }
  }
  expect([...used].sort()).toEqual([...Object.keys(things.values), ...Object.keys(things.neutral)].sort());
});

test("an order's link opens that order and what belongs to it, and nothing else of its customer's", async () => {
  const token = await services.token({ sub: things.ownerId, roles: ["GUEST"], order: things.orderId });
  const opened = new Set<string>();
  for (const { service, rules } of subgraphs) {
    for (const { type } of rules.filter(({ field, owner }) => field === undefined && owner !== undefined)) {
      const answer = await services.ask(service, entityQuery(type, things.references[type]![0]!, "__typename"), token);
      if (verdictOf(answer, "_entities") === "answered") opened.add(type);
    }
  }
  expect([...opened].sort()).toEqual(["Exchange", "Order", "OrderLine", "Payment", "Refund", "Return", "Shipment"]);
});

test("a service with a root field that has no @access does not start", async () => {
  const folder = await mkdtemp(join(tmpdir(), "crowdcrunch-open-"));
  try {
    await mkdir(join(folder, "migrations"));
    const schema = `type Query { open: String }\ntype Mutation { closed: String @access(roles: [ADMIN]) }`;
    await writeFile(join(folder, "schema.graphql"), schema);
    const definition: ServiceDefinition = {
      ...(await definitionOf("orders")),
      root: pathToFileURL(`${folder}/`),
      wire: () => ({ resolvers: { Query: { open: () => "secret" }, Mutation: { closed: () => "secret" } } }),
    };
    const options = { env: services.environment("orders"), processMetrics: false };
    const log = createLogger({ service: "test", level: "silent" });
    await expect(start(definition, { ...options, log })).rejects.toThrow("nobody may use them: Query.open");
  } finally {
    await rm(folder, { recursive: true });
  }
});
