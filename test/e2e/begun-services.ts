import { accessRules } from "@crowdcrunch/kit/access";
import { readSubgraph, subgraphNames } from "@crowdcrunch/tools/schemas";
import { parse, parseConstValue, valueFromASTUntyped } from "graphql";
import { fieldOf, generateArguments } from "./arguments.ts";

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
    const rules = accessRules(document);
    return rules
      .filter(({ type, field }) => field === undefined && !known.includes(type))
      .filter(({ type }) => rules.some((rule) => rule.type === "Mutation" && rule.field === `create${type}`))
      .map(({ type }) => {
        const mutation = fieldOf(document, "Mutation", `create${type}`);
        const { text } = generateArguments(document, "Mutation", mutation, {});
        const given = valueFromASTUntyped(parseConstValue(text.replace("(", "{").replace(/\)$/, "}")));
        return { service, type, input: (given as Pick<BegunEntity, "input">).input };
      });
  });
}
