import type { ApolloServerPlugin, BaseContext } from "@apollo/server";
import { GraphQLError, Kind } from "graphql";
import type { OperationDefinitionNode } from "graphql";
import { toGraphQLError } from "./errors.ts";
import type { Faults } from "./faults.ts";

/**
 * Plugins that pass `graphql.request` before an operation is executed; none where faults are off. Operations about
 * faults pass by it, so that what was set can be cleared.
 */
export function requestFaults<Context extends BaseContext>(faults: Faults): ApolloServerPlugin<Context>[] {
  if (!faults.allowed) return [];
  const didResolveOperation = async ({ operation }: { operation?: OperationDefinitionNode | undefined }) => {
    if (faults.on && operation && !rootFields(operation).every((field) => field.endsWith("Faults")))
      await faults.at("graphql.request", () => describe(operation)).catch(refuse);
  };
  return [{ requestDidStart: () => Promise.resolve({ didResolveOperation }) }];
}

/** As whoever cannot work at all answers: UNAVAILABLE, with the status that HTTP has for it. */
function refuse(error: unknown): never {
  const { message, extensions } = toGraphQLError(error, () => {});
  throw new GraphQLError(message, { extensions: { ...extensions, http: { status: 503 } } });
}

/** E.g. "mutation PlaceOrder placeOrder". */
function describe(operation: OperationDefinitionNode): string {
  return [operation.operation, operation.name?.value, rootFields(operation).join(",")].filter(Boolean).join(" ");
}

function rootFields(operation: OperationDefinitionNode): string[] {
  return operation.selectionSet.selections.map((selection) =>
    selection.kind === Kind.FIELD ? selection.name.value : "…",
  );
}
