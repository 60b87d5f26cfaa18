import { Kind } from "graphql";
import type {
  ConstDirectiveNode,
  DocumentNode,
  FieldDefinitionNode,
  GraphQLResolveInfo,
  ObjectTypeDefinitionNode,
  TypeNode,
} from "graphql";
import { CodedError, Problem, forbidden, unauthenticated } from "./errors.ts";
import type { Role, Viewer } from "./identity.ts";
import { isStaff } from "./identity.ts";

type Resolver = (parent: any, args: any, context: any, info: GraphQLResolveInfo) => unknown;
/** Resolvers by type and field, as @graphql-tools has them. */
export type ResolverMap = Record<string, any>;

interface Rule {
  roles: (Role | "PUBLIC")[];
  owner: string | undefined;
}

/** Who may use a root field, an entity or a field, as its `@access` says. */
export interface AccessRule extends Rule {
  type: string;
  /** Undefined for an entity. */
  field: string | undefined;
}

function ruleOf(directives: readonly ConstDirectiveNode[] | undefined): Rule | undefined {
  const directive = directives?.find(({ name }) => name.value === "access");
  if (!directive) return undefined;
  const argument = (name: string) => directive.arguments?.find((candidate) => candidate.name.value === name)?.value;
  const roles = argument("roles");
  const owner = argument("owner");
  return {
    roles: roles?.kind === Kind.LIST ? roles.values.map((value) => (value as { value: Role }).value) : [],
    owner: owner?.kind === Kind.STRING ? owner.value : undefined,
  };
}

const rootTypes = new Set(["Query", "Mutation", "Subscription"]);

function objectTypes(document: DocumentNode): ObjectTypeDefinitionNode[] {
  return document.definitions.filter(
    (node) => node.kind === Kind.OBJECT_TYPE_DEFINITION || node.kind === Kind.OBJECT_TYPE_EXTENSION,
  ) as ObjectTypeDefinitionNode[];
}

/** Entities that this subgraph resolves; a stub (`resolvable: false`) is not one. */
function isResolvedEntity(type: ObjectTypeDefinitionNode): boolean {
  const keys = type.directives?.filter(({ name }) => name.value === "key") ?? [];
  return keys.some(
    (key) =>
      !key.arguments?.some(
        ({ name, value }) => name.value === "resolvable" && value.kind === Kind.BOOLEAN && !value.value,
      ),
  );
}

/**
 * Every rule of a schema. Throws when a root field or an entity has none: what nobody thought about is refused before
 * the service starts, not answered.
 */
export function accessRules(document: DocumentNode): AccessRule[] {
  const rules: AccessRule[] = [];
  const missing: string[] = [];
  for (const type of objectTypes(document)) {
    const name = type.name.value;
    const ofType = ruleOf(type.directives);
    if (!rootTypes.has(name) && isResolvedEntity(type)) {
      if (ofType) rules.push({ ...ofType, type: name, field: undefined });
      else missing.push(name);
    }
    for (const field of type.fields ?? []) {
      const rule = ruleOf(field.directives);
      if (rule) rules.push({ ...rule, type: name, field: field.name.value });
      else if (rootTypes.has(name)) missing.push(`${name}.${field.name.value}`);
    }
  }
  if (missing.length > 0) throw new Error(`these have no @access and nobody may use them: ${missing.join(", ")}`);
  return rules;
}

function admit(rule: Rule, viewer: Viewer | null): void {
  if (rule.roles.includes("PUBLIC")) return;
  if (!viewer) throw unauthenticated();
  if (!viewer.roles.some((role) => rule.roles.includes(role))) throw forbidden();
}

function namedType(type: TypeNode): string {
  return type.kind === Kind.NAMED_TYPE ? type.name.value : namedType(type.type);
}

/** What a stranger gets is what he would get if the thing did not exist. */
function hideFromStrangers(rule: Rule, viewer: Viewer | null, value: unknown): unknown {
  if (rule.owner === undefined || value === null || value === undefined || isStaff(viewer)) return value;
  if (value instanceof Error) return value;
  const owned = value as Record<string, unknown>;
  if (!viewer || owned[rule.owner] !== viewer.sub) return null;
  if (viewer.orderScope !== undefined && (owned["orderId"] ?? owned["id"]) !== viewer.orderScope) return null;
  return value;
}

/**
 * Puts the rules of the schema in front of the resolvers: roles before anything runs, the owner after the thing is
 * loaded, and problems that the return union knows become its members.
 */
export function guardResolvers(document: DocumentNode, resolvers: ResolverMap): ResolverMap {
  accessRules(document);
  const unions = new Map<string, Set<string>>();
  for (const node of document.definitions) {
    if (node.kind === Kind.UNION_TYPE_DEFINITION)
      unions.set(node.name.value, new Set(node.types?.map(({ name }) => name.value)));
  }
  const guarded: ResolverMap = {};
  for (const [name, fields] of Object.entries(resolvers))
    guarded[name] = typeof fields === "object" && !("serialize" in fields) ? { ...fields } : fields;

  for (const type of objectTypes(document)) {
    const name = type.name.value;
    const ofType = ruleOf(type.directives);
    const own = guarded[name] as ResolverMap | undefined;
    if (ofType && own?.["__resolveReference"])
      own["__resolveReference"] = guardReference(ofType, own["__resolveReference"]);
    for (const field of type.fields ?? []) {
      const rule = ruleOf(field.directives);
      if (!rule) continue;
      const target = (guarded[name] ??= {}) as ResolverMap;
      if (name === "Subscription") {
        target[field.name.value] = refuseToListen;
        continue;
      }
      const resolve = target[field.name.value] as Resolver | undefined;
      if (!resolve && rootTypes.has(name)) throw new Error(`${name}.${field.name.value} has no resolver`);
      target[field.name.value] = guardField(rule, field, resolve, unions.get(namedType(field.type)));
    }
  }
  return guarded;
}

/** The gateway asks the query of the same rule for each update; a subgraph keeps no streams. */
function refuseToListen(): never {
  throw new CodedError("BAD_REQUEST", "Live updates are served by the gateway alone.");
}

function guardReference(rule: Rule, resolve: (...all: any[]) => unknown) {
  return async (reference: unknown, context: { viewer: Viewer | null }, info: unknown) => {
    admit(rule, context.viewer);
    return hideFromStrangers(rule, context.viewer, await resolve(reference, context, info));
  };
}

function guardField(
  rule: Rule,
  field: FieldDefinitionNode,
  resolve: Resolver | undefined,
  members: Set<string> | undefined,
): Resolver {
  const property = field.name.value;
  return async (parent, args, context: { viewer: Viewer | null }, info) => {
    try {
      admit(rule, context.viewer);
      const value = resolve
        ? await resolve(parent, args, context, info)
        : (parent as Record<string, unknown>)[property];
      return hideFromStrangers(rule, context.viewer, value);
    } catch (error) {
      if (error instanceof Problem && members?.has(error.typename)) {
        return { __typename: error.typename, message: error.message, ...error.fields };
      }
      throw error;
    }
  };
}
