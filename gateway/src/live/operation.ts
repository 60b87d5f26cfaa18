import {
  GraphQLError,
  Kind,
  OperationTypeNode,
  getArgumentValues,
  getOperationAST,
  getVariableValues,
  parse,
  print,
  separateOperations,
  validate,
} from "graphql";
import type {
  DocumentNode,
  FieldNode,
  FragmentDefinitionNode,
  GraphQLSchema,
  OperationDefinitionNode,
  SelectionSetNode,
} from "graphql";
import { LRUCache } from "lru-cache";
import { limits } from "../limits.ts";
import type { Variables } from "../query-size.ts";
import type { LiveField } from "./fields.ts";

/** A subscription, ready to be asked as a query. */
export interface LiveOperation {
  /** The field of Subscription. */
  name: string;
  field: LiveField;
  /** The equivalent query. */
  query: string;
  /** The name of the field in the answer. */
  responseName: string;
  /** The keys that its arguments say; none where the answer says them. Throws InvalidOperation for bad variables. */
  keysIn(variables: Variables): string[];
}

/** A subscription that cannot be run; the errors say why. */
export class InvalidOperation extends Error {
  override name = "InvalidOperation";
  errors: readonly GraphQLError[];
  constructor(errors: readonly GraphQLError[]) {
    super(errors[0]?.message ?? "The subscription is not valid.");
    this.errors = errors;
  }
}

/** Names under which the query asks for what a listener did not; they are taken out of the answer. */
export const hidden = { key: "_liveKey", version: "_liveVersion" } as const;

/** Most characters of a subscription and its variables: a gateway keeps them while the stream is open. */
export const longestSubscription = 16_384;

/**
 * Reads operations: resolves to the subscription of a document, or to undefined where it is something else, or no
 * GraphQL, which who runs it explains. Throws InvalidOperation for a subscription that cannot be run.
 */
export function createOperations(
  schema: GraphQLSchema,
  fields: Record<string, LiveField>,
): (query: string, operationName: string | undefined) => LiveOperation | undefined {
  const known = new LRUCache<string, LiveOperation>({ max: 200 });

  return (query, operationName) => {
    const name = JSON.stringify([operationName, query]);
    const before = known.get(name);
    if (before) return before;
    const document = parsed(query);
    const operation = document && getOperationAST(document, operationName);
    if (operation?.operation !== OperationTypeNode.SUBSCRIPTION) return undefined;
    const made = prepare(schema, fields, document!, operation);
    if (query.length <= longestSubscription) known.set(name, made);
    return made;
  };
}

function parsed(query: string): DocumentNode | undefined {
  try {
    return parse(query, { maxTokens: limits.tokens, noLocation: true });
  } catch {
    return undefined;
  }
}

function prepare(
  schema: GraphQLSchema,
  fields: Record<string, LiveField>,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): LiveOperation {
  const problems = problemsOf(schema, document);
  if (problems.length > 0) {
    throw new InvalidOperation(
      problems.map(({ message }) => refused(message.replace(/ ?Did you mean.*$/, ""), "GRAPHQL_VALIDATION_FAILED")),
    );
  }
  // Validation has seen to it that all have one name in the answer, so that they are one field.
  const roots = rootsOf(operation.selectionSet, document);
  const [root] = roots;
  const name = root?.name.value ?? "";
  const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
  const definition = schema.getSubscriptionType()?.getFields()[name];
  if (!root || !field || !definition) throw new InvalidOperation([refused("This cannot be listened to.")]);
  const { listensTo } = field;

  return {
    name,
    field,
    query: asQuery(schema, document, operation, roots, field),
    responseName: (root.alias ?? root.name).value,
    keysIn(variables) {
      const { coerced, errors } = getVariableValues(schema, operation.variableDefinitions ?? [], variables);
      if (errors) throw new InvalidOperation(errors.map(({ message }) => refused(message, "BAD_USER_INPUT")));
      const given = getArgumentValues(definition, root, coerced);
      if ("field" in listensTo) return [];
      const keys = given[listensTo.argument];
      return (Array.isArray(keys) ? keys : [keys]).map((key) => String(key).toLowerCase());
    },
  };
}

/** What validation finds. Its rule about the root of subscriptions throws where a directive there depends on a variable. */
function problemsOf(schema: GraphQLSchema, document: DocumentNode): readonly GraphQLError[] {
  try {
    return validate(schema, document);
  } catch (error) {
    if (error instanceof GraphQLError) return [error];
    throw error;
  }
}

function refused(message: string, code = "BAD_REQUEST"): GraphQLError {
  return new GraphQLError(message, { extensions: { code } });
}

/** The field nodes at the root, through fragments. */
function rootsOf(selections: SelectionSetNode, document: DocumentNode): FieldNode[] {
  return selections.selections.flatMap((selection) => {
    if (selection.directives && selection.directives.length > 0) {
      throw new InvalidOperation([refused("The root of a subscription takes no directives.")]);
    }
    if (selection.kind === Kind.FIELD) return [selection];
    if (selection.kind === Kind.INLINE_FRAGMENT) return rootsOf(selection.selectionSet, document);
    const fragment = document.definitions.find(
      (node): node is FragmentDefinitionNode =>
        node.kind === Kind.FRAGMENT_DEFINITION && node.name.value === selection.name.value,
    );
    return fragment ? rootsOf(fragment.selectionSet, document) : [];
  });
}

function asQuery(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  roots: FieldNode[],
  field: LiveField,
): string {
  const extra: FieldNode[] = [];
  const add = (alias: string, name: string) =>
    extra.push({
      kind: Kind.FIELD,
      alias: { kind: Kind.NAME, value: alias },
      name: { kind: Kind.NAME, value: name },
    });
  if ("field" in field.listensTo) add(hidden.key, field.listensTo.field);
  if (field.version !== undefined) add(hidden.version, field.version);

  const renamedTo = (name: string) => field.renamed?.[name] ?? name;
  const query: OperationDefinitionNode = {
    ...operation,
    operation: OperationTypeNode.QUERY,
    directives: [],
    selectionSet: {
      kind: Kind.SELECTION_SET,
      selections: roots.map((root) => ({
        ...root,
        alias: root.alias ?? root.name,
        name: { kind: Kind.NAME, value: field.query },
        arguments: (root.arguments ?? []).map((argument) => ({
          ...argument,
          name: { kind: Kind.NAME, value: renamedTo(argument.name.value) },
        })),
        selectionSet: { kind: Kind.SELECTION_SET, selections: [...(root.selectionSet?.selections ?? []), ...extra] },
      })),
    },
  };
  const atRoot = schema.getSubscriptionType()?.name;
  const fragments = document.definitions.filter(
    (node) => node.kind === Kind.FRAGMENT_DEFINITION && node.typeCondition.name.value !== atRoot,
  );
  // Leaves out the fragments that only other operations of the document use.
  const separated = separateOperations({ kind: Kind.DOCUMENT, definitions: [query, ...fragments] });
  return print(separated[operation.name?.value ?? ""]!);
}
