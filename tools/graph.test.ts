import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isEnumType, isInputObjectType, isInterfaceType, isIntrospectionType, isObjectType } from "graphql";
import type { GraphQLSchema } from "graphql";
import { describe, expect, test } from "vitest";
import { repositoryRoot, serviceNames } from "./schemas.ts";
import { composeGraph, supergraphFile, supergraphText } from "./supergraph.ts";

describe("the graph", () => {
  const composed = composeGraph();

  test("composes", () => {
    expect(composed.errors?.map((error) => error.message) ?? []).toEqual([]);
  });

  test("composes without hints: what several services declare is described by its owner alone, or alike", () => {
    expect(supergraphText().hints).toEqual([]);
  });

  test("describes every type, field, argument, enum value and input field", () => {
    const schema = composed.schema!.toAPISchema().toGraphQLJSSchema() as GraphQLSchema;
    expect(undescribed(schema)).toEqual([]);
  });
});

describe.each(serviceNames())("services/%s", (name) => {
  test("is in the committed supergraph", () => {
    const supergraph = readFileSync(join(repositoryRoot, supergraphFile), "utf8");
    expect(supergraph).toContain(`name: "${name}", url: "http://${name}/graphql"`);
  });

  test("has a README", () => {
    expect(existsSync(join(repositoryRoot, "services", name, "README.md"))).toBe(true);
  });
});

/** Coordinates of everything in the schema that has no description, such as "Order.lines(first:)". */
function undescribed(schema: GraphQLSchema): string[] {
  const bare: string[] = [];
  const look = (coordinate: string, part: { description?: string | null }) => {
    if (!part.description?.trim()) bare.push(coordinate);
  };
  for (const type of Object.values(schema.getTypeMap())) {
    if (isIntrospectionType(type)) continue;
    look(type.name, type);
    if (isEnumType(type)) {
      for (const value of type.getValues()) look(`${type.name}.${value.name}`, value);
    } else if (isInputObjectType(type)) {
      for (const field of Object.values(type.getFields())) look(`${type.name}.${field.name}`, field);
    } else if (isObjectType(type) || isInterfaceType(type)) {
      for (const field of Object.values(type.getFields())) {
        look(`${type.name}.${field.name}`, field);
        for (const argument of field.args) look(`${type.name}.${field.name}(${argument.name}:)`, argument);
      }
    }
  }
  return bare;
}
