import { readFileSync } from "node:fs";
import { join } from "node:path";
import { allEvents } from "@crowdcrunch/events/catalogue";
import { liveFields } from "@crowdcrunch/gateway/live-fields";
import { accessRules } from "@crowdcrunch/kit/access";
import { readSubgraph, repositoryRoot, subgraphNames } from "@crowdcrunch/tools/schemas";
import { supergraphFile } from "@crowdcrunch/tools/supergraph";
import { isTypeSubTypeOf, parse, buildASTSchema } from "graphql";
import type { GraphQLArgument, GraphQLSchema } from "graphql";
import { describe, expect, test } from "vitest";

// What can be listened to is asked as a query: both must be of one type and for the same people.

const supergraph: GraphQLSchema = buildASTSchema(parse(readFileSync(join(repositoryRoot, supergraphFile), "utf8")), {
  assumeValidSDL: true,
});
const rules = subgraphNames().flatMap((service) => accessRules(parse(readSubgraph(service))));
const accessOf = (type: string, field: string) => {
  const { roles, owner } = rules.find((rule) => rule.type === type && rule.field === field)!;
  return { roles, owner };
};

test("every subscription of the graph is kept up to date by the gateway", () => {
  const declared = Object.keys(supergraph.getSubscriptionType()!.getFields());
  expect(Object.keys(liveFields).sort()).toEqual(declared.sort());
});

describe.each(Object.entries(liveFields))("%s", (name, field) => {
  const subscription = supergraph.getSubscriptionType()!.getFields()[name]!;
  const query = supergraph.getQueryType()!.getFields()[field.query]!;

  test("is of the type of its query, and takes no other arguments", () => {
    expect(String(subscription.type)).toBe(String(query.type));
    const typeOf = (args: readonly GraphQLArgument[], argument: string) =>
      args.find((candidate) => candidate.name === argument)!.type;
    for (const argument of subscription.args) {
      const asked = typeOf(query.args, field.renamed?.[argument.name] ?? argument.name);
      expect(isTypeSubTypeOf(supergraph, argument.type, asked)).toBe(true);
    }
  });

  test("is for the same people as its query", () => {
    expect(accessOf("Subscription", name)).toEqual(accessOf("Query", field.query));
  });

  test("listens to events that are declared", () => {
    expect(field.events.length).toBeGreaterThan(0);
    for (const contract of field.events) expect(allEvents).toContain(contract);
  });
});
