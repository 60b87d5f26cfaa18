import { randomUUID } from "node:crypto";
import { Kind } from "graphql";
import type { DocumentNode, FieldDefinitionNode, InputValueDefinitionNode, TypeNode } from "graphql";

/** Values for arguments and input fields by coordinate, such as "Query.order(number:)" or "PayOrderInput.number". */
export type KnownValues = Record<string, unknown>;

export interface GeneratedArguments {
  /** With parentheses, e.g. `(number: "7F3K")`; empty where the field takes none. */
  text: string;
  /** Coordinates of the known values that are in it. */
  known: string[];
}

const samples: Record<string, () => unknown> = {
  ID: () => randomUUID(),
  String: () => "text",
  Int: () => 1,
  Float: () => 1,
  Boolean: () => false,
  DateTime: () => "2026-03-01T12:00:00.000Z",
  CurrencyCode: () => "GBP",
  MinorUnits: () => 100,
};

/**
 * The least arguments that the schema accepts for a field: what is required, made by its type, and whatever `known` has
 * a value for.
 */
export function generateArguments(
  document: DocumentNode,
  parent: string,
  field: FieldDefinitionNode,
  known: KnownValues,
): GeneratedArguments {
  const used: string[] = [];

  function valueOf(type: TypeNode): string {
    if (type.kind === Kind.NON_NULL_TYPE) return valueOf(type.type);
    if (type.kind === Kind.LIST_TYPE) return `[${valueOf(type.type)}]`;
    const name = type.name.value;
    for (const definition of document.definitions) {
      if (definition.kind === Kind.ENUM_TYPE_DEFINITION && definition.name.value === name) {
        return definition.values![0]!.name.value;
      }
      if (definition.kind === Kind.INPUT_OBJECT_TYPE_DEFINITION && definition.name.value === name) {
        return `{${given(definition.fields ?? [], (input) => `${name}.${input}`)}}`;
      }
    }
    const sample = samples[name];
    if (!sample) throw new Error(`there is no sample value for the scalar ${name}`);
    return JSON.stringify(sample());
  }

  function given(inputs: readonly InputValueDefinitionNode[], coordinateOf: (name: string) => string): string {
    return inputs
      .flatMap(({ name: { value: name }, type, defaultValue }) => {
        const coordinate = coordinateOf(name);
        if (coordinate in known) {
          used.push(coordinate);
          return [`${name}: ${literalOf(known[coordinate])}`];
        }
        const isRequired = type.kind === Kind.NON_NULL_TYPE && !defaultValue;
        return isRequired ? [`${name}: ${valueOf(type)}`] : [];
      })
      .join(", ");
  }

  const text = given(field.arguments ?? [], (name) => `${parent}.${field.name.value}(${name}:)`);
  return { text: text && `(${text})`, known: used };
}

/** A value as GraphQL writes it: as JSON, but for the names of fields. */
export function literalOf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(literalOf).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).map(([name, member]) => `${name}: ${literalOf(member)}`);
  return `{${fields.join(", ")}}`;
}

/** A field of a type. Throws where there is none. */
export function fieldOf(document: DocumentNode, type: string, name: string): FieldDefinitionNode {
  for (const node of document.definitions) {
    if (node.kind !== Kind.OBJECT_TYPE_DEFINITION && node.kind !== Kind.OBJECT_TYPE_EXTENSION) continue;
    const field = node.name.value === type && node.fields?.find((candidate) => candidate.name.value === name);
    if (field) return field;
  }
  throw new Error(`there is no field ${type}.${name}`);
}

/** Name of the type inside lists and non-nulls. */
export function namedType(type: TypeNode): string {
  return type.kind === Kind.NAMED_TYPE ? type.name.value : namedType(type.type);
}

/** The selection that any value of a field's type has: nothing for scalars and enums. */
export function leastSelection(document: DocumentNode, field: FieldDefinitionNode): string {
  const name = namedType(field.type);
  const composite = document.definitions.some(
    (definition) =>
      (definition.kind === Kind.OBJECT_TYPE_DEFINITION ||
        definition.kind === Kind.UNION_TYPE_DEFINITION ||
        definition.kind === Kind.INTERFACE_TYPE_DEFINITION) &&
      definition.name.value === name,
  );
  return composite ? "{ __typename }" : "";
}
