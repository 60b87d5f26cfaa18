import { Kind, OperationTypeNode, getNamedType, isCompositeType, isInterfaceType, isObjectType } from "graphql";
import type {
  ArgumentNode,
  DocumentNode,
  FieldNode,
  FragmentDefinitionNode,
  GraphQLCompositeType,
  GraphQLField,
  GraphQLSchema,
  OperationDefinitionNode,
  SelectionSetNode,
  ValueNode,
} from "graphql";

/** A page has at most this many entries; services refuse more. */
const mostPerPage = 100;

/** What a selection adds up to, all fragments put in. */
interface Size {
  /** Nested fields. */
  depth: number;
  /** Inline fragments and spreads nested in one another, apart from fields. */
  nesting: number;
  aliases: number;
  fields: number;
  /** Fields whose name in the answer is in the same selection already. */
  repeats: number;
  /** Fields of the answer if every page were full. */
  cost: number;
}

export interface Limits extends Size {
  /** Fragment definitions of the document. */
  fragments: number;
  /** Mutations of one operation. */
  rootMutations: number;
}

export type Variables = Record<string, unknown>;

export class TooLarge extends Error {
  override name = "TooLarge";
}

/** Throws TooLarge where an operation of the document is beyond the limits. Returns whether that depends on variables. */
export function refuseTooLarge(
  schema: GraphQLSchema,
  document: DocumentNode,
  variables: Variables,
  limits: Limits,
): boolean {
  const fragments = new Map<string, FragmentDefinitionNode>();
  let definitions = 0;
  for (const node of document.definitions) {
    if (node.kind !== Kind.FRAGMENT_DEFINITION) continue;
    fragments.set(node.name.value, node);
    definitions++;
  }
  if (definitions > limits.fragments) throw new TooLarge();
  let varies = false;
  const measure = createMeasure(schema, fragments, limits, (argument, operation) => {
    varies ||= argument.kind === Kind.VARIABLE;
    return pageSize(argument, operation, variables);
  });
  for (const node of document.definitions) if (node.kind === Kind.OPERATION_DEFINITION) measure(node);
  return varies;
}

function pageSize(value: ValueNode, operation: OperationDefinitionNode, variables: Variables): number {
  if (value.kind === Kind.INT) return Number(value.value);
  if (value.kind !== Kind.VARIABLE) return 1;
  const name = value.name.value;
  const given = Object.hasOwn(variables, name) ? variables[name] : undefined;
  if (typeof given === "number") return given;
  const definition = operation.variableDefinitions?.find(({ variable }) => variable.name.value === name);
  return definition?.defaultValue?.kind === Kind.INT ? Number(definition.defaultValue.value) : mostPerPage;
}

function createMeasure(
  schema: GraphQLSchema,
  fragments: Map<string, FragmentDefinitionNode>,
  limits: Limits,
  sizeOfPage: (value: ValueNode, operation: OperationDefinitionNode) => number,
): (operation: OperationDefinitionNode) => void {
  return (operation) => {
    /** Sizes are relative to where a fragment is used, so each is measured once however often it is spread. */
    const measured = new Map<string, Size>();

    function ofFragment(name: string): Size {
      const before = measured.get(name);
      if (before) return before;
      // Measured as nothing while it is being measured: validation refuses fragments that contain themselves.
      measured.set(name, emptySize());
      const fragment = fragments.get(name);
      if (!fragment) return emptySize();
      const size = ofSelections(fragment.selectionSet, compositeType(fragment.typeCondition.name.value), 0);
      measured.set(name, size);
      return size;
    }

    function compositeType(name: string): GraphQLCompositeType | undefined {
      const type = schema.getType(name);
      return isCompositeType(type) ? type : undefined;
    }

    /** `within` is the depth of inline fragments and fields around it, which bounds the recursion. */
    function ofSelections(
      selections: SelectionSetNode,
      parent: GraphQLCompositeType | undefined,
      within: number,
    ): Size {
      if (within > limits.depth + limits.nesting) throw new TooLarge();
      const total = emptySize();
      const names = new Set<string>();
      collect(selections, parent, within, total, names);
      return total;
    }

    function collect(
      { selections }: SelectionSetNode,
      parent: GraphQLCompositeType | undefined,
      within: number,
      total: Size,
      names: Set<string>,
    ): void {
      if (within > limits.depth + limits.nesting) throw new TooLarge();
      for (const selection of selections) {
        if (selection.kind === Kind.FIELD) {
          const responseName = (selection.alias ?? selection.name).value;
          if (names.has(responseName)) total.repeats++;
          names.add(responseName);
          if (selection.alias) total.aliases++;
          add(total, ofField(selection, parent, within));
        } else if (selection.kind === Kind.INLINE_FRAGMENT) {
          const type = selection.typeCondition ? compositeType(selection.typeCondition.name.value) : parent;
          const inner = emptySize();
          // Its fields stand beside those around it.
          collect(selection.selectionSet, type, within + 1, inner, names);
          inner.nesting++;
          add(total, inner);
        } else {
          const size = ofFragment(selection.name.value);
          add(total, { ...size, nesting: size.nesting + 1 });
        }
        refuseBeyond(limits, total);
      }
    }

    function ofField(field: FieldNode, parent: GraphQLCompositeType | undefined, within: number): Size {
      const definition =
        isObjectType(parent) || isInterfaceType(parent) ? parent.getFields()[field.name.value] : undefined;
      const type = definition && getNamedType(definition.type);
      const size = field.selectionSet
        ? ofSelections(field.selectionSet, isCompositeType(type) ? type : undefined, within + 1)
        : emptySize();
      size.depth++;
      size.fields++;
      size.cost = 1 + size.cost * entriesOf(definition, field.arguments);
      return size;
    }

    function entriesOf(
      definition: GraphQLField<unknown, unknown> | undefined,
      given: readonly ArgumentNode[] = [],
    ): number {
      const argument = given.find(({ name }) => name.value === "first");
      const declared = definition?.args.find(({ name }) => name === "first");
      if (!argument && !declared) return 1;
      const entries = argument ? sizeOfPage(argument.value, operation) : Number(declared?.defaultValue ?? mostPerPage);
      return Math.min(Math.max(entries, 1), mostPerPage);
    }

    const root = schema.getRootType(operation.operation) ?? undefined;
    const size = ofSelections(operation.selectionSet, root, 0);
    if (
      operation.operation === OperationTypeNode.MUTATION &&
      rootFields(operation.selectionSet, fragments) > limits.rootMutations
    ) {
      throw new TooLarge();
    }
    refuseBeyond(limits, size);
  };
}

function emptySize(): Size {
  return { depth: 0, nesting: 0, aliases: 0, fields: 0, repeats: 0, cost: 0 };
}

function add(total: Size, size: Size): void {
  total.depth = Math.max(total.depth, size.depth);
  total.nesting = Math.max(total.nesting, size.nesting);
  total.aliases += size.aliases;
  total.fields += size.fields;
  total.repeats += size.repeats;
  total.cost += size.cost;
}

function refuseBeyond(limits: Limits, size: Size): void {
  if (
    size.depth > limits.depth ||
    size.nesting > limits.nesting ||
    size.aliases > limits.aliases ||
    size.fields > limits.fields ||
    size.repeats > limits.repeats ||
    size.cost > limits.cost
  ) {
    throw new TooLarge();
  }
}

/** Fields at the root, through fragments; those that only ask for a type's name do nothing. Stops beyond the limit. */
function rootFields(selections: SelectionSetNode, fragments: Map<string, FragmentDefinitionNode>): number {
  const pending = [selections];
  const spread = new Set<string>();
  let count = 0;
  for (let set = pending.pop(); set; set = pending.pop()) {
    for (const selection of set.selections) {
      if (selection.kind === Kind.FIELD) {
        if (selection.name.value !== "__typename") count++;
      } else if (selection.kind === Kind.INLINE_FRAGMENT) {
        pending.push(selection.selectionSet);
      } else if (!spread.has(selection.name.value)) {
        // Spread twice it is the same fields, which GraphQL merges into one.
        spread.add(selection.name.value);
        const fragment = fragments.get(selection.name.value);
        if (fragment) pending.push(fragment.selectionSet);
      }
    }
  }
  return count;
}
