import { readSubgraph, subgraphNames } from "@crowdcrunch/tools/schemas";
import { Kind, parse, parseConstValue, valueFromASTUntyped } from "graphql";
import type { DocumentNode, FieldDefinitionNode } from "graphql";
import { generateArguments } from "./arguments.ts";

/** An entity that a mutation of its own makes, as services have it that `make new-service` began. */
export interface BegunEntity {
  service: string;
  /** "Review": createReview makes one, and answers ReviewCreated with the field review. */
  type: string;
  /** The least input that the mutation takes. */
  input: Record<string, unknown>;
}

/** The entities besides the known ones that their owners make by create<Type>. */
export function begunEntities(known: readonly string[]): BegunEntity[] {
  return subgraphNames().flatMap((service) => {
    const document = parse(readSubgraph(service));
    return fieldsOf(document, "Mutation").flatMap((mutation) => {
      const type = /^create([A-Z]\w*)$/.exec(mutation.name.value)?.[1];
      if (type === undefined || known.includes(type) || !isEntity(document, type)) return [];
      const { text } = generateArguments(document, "Mutation", mutation, {});
      const given = valueFromASTUntyped(parseConstValue(text.replace("(", "{").replace(/\)$/, "}"))) as {
        input: Record<string, unknown>;
      };
      return [{ service, type, input: given.input }];
    });
  });
}

function fieldsOf(document: DocumentNode, type: string): FieldDefinitionNode[] {
  return document.definitions.flatMap((node) =>
    (node.kind === Kind.OBJECT_TYPE_DEFINITION || node.kind === Kind.OBJECT_TYPE_EXTENSION) && node.name.value === type
      ? (node.fields ?? [])
      : [],
  );
}

function isEntity(document: DocumentNode, type: string): boolean {
  return document.definitions.some(
    (node) =>
      node.kind === Kind.OBJECT_TYPE_DEFINITION &&
      node.name.value === type &&
      node.directives?.some(({ name }) => name.value === "key"),
  );
}
