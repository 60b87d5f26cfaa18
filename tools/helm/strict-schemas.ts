/** OpenAPI documents and CustomResourceDefinitions as strict JSON schemas, one for each kind: unknown fields are errors. */

export interface JsonSchema {
  [keyword: string]: unknown;
  properties?: Record<string, JsonSchema>;
}

/** One of Kubernetes' api/openapi-spec/v3/*_openapi.json. */
export interface OpenApi {
  components?: { schemas?: Record<string, JsonSchema> };
}

/** As far as it is read here. */
export interface CustomResourceDefinition {
  kind?: string;
  spec: {
    group: string;
    names: { kind: string };
    versions: { name: string; served: boolean; schema: { openAPIV3Schema: JsonSchema } }[];
  };
}

/** A kind's schema; the group of core kinds is "". */
export interface KindSchema {
  group: string;
  version: string;
  kind: string;
  schema: JsonSchema;
}

const reference = "#/components/schemas/";
const objectMeta = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/** The schemas of all kinds in an OpenAPI document that can stand in a manifest. */
export function schemasOfOpenApi(document: OpenApi): KindSchema[] {
  const definitions = document.components?.schemas ?? {};
  return Object.entries(definitions).flatMap(([name, definition]) => {
    const kinds = (definition["x-kubernetes-group-version-kind"] ?? []) as Omit<KindSchema, "schema">[];
    // Options of calls are listed for every group; what is stored has metadata, and one kind.
    if (kinds.length !== 1 || !definition.properties?.["metadata"]) return [];
    const { group, version, kind } = kinds[0]!;
    return [{ group, version, kind, schema: rooted(group, version, kind, { $ref: reference + name }, definitions) }];
  });
}

/** The schemas of all served versions of a custom resource. `core` is the document of the kinds without a group. */
export function schemasOfDefinition({ spec }: CustomResourceDefinition, core: OpenApi): KindSchema[] {
  const { group } = spec;
  const { kind } = spec.names;
  return spec.versions
    .filter(({ served }) => served)
    .map(({ name: version, schema: { openAPIV3Schema: resource } }) => {
      const whole = {
        ...resource,
        type: "object",
        properties: {
          ...resource.properties,
          apiVersion: { type: "string" },
          kind: { type: "string" },
          metadata: { $ref: reference + objectMeta },
        },
      };
      return { group, version, kind, schema: rooted(group, version, kind, whole, core.components!.schemas!) };
    });
}

/** A schema with all that it refers to, for an object that says its apiVersion, kind and name. */
function rooted(
  group: string,
  version: string,
  kind: string,
  schema: JsonSchema,
  definitions: Record<string, JsonSchema>,
): JsonSchema {
  const needed: Record<string, JsonSchema> = {};
  const root = strict(schema, need);
  function need(name: string): void {
    if (needed[name]) return;
    const definition = definitions[name];
    if (!definition) throw new Error(`The schema of ${kind} refers to ${name}, which is not there.`);
    needed[name] = {};
    needed[name] = strict(definition, need);
  }
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    allOf: [
      root,
      {
        properties: {
          apiVersion: { const: group ? `${group}/${version}` : version },
          kind: { const: kind },
          metadata: { required: ["name"] },
        },
        required: ["apiVersion", "kind", "metadata"],
      },
    ],
    definitions: needed,
  };
}

/** Keywords whose value is a schema, or a list or a map of schemas. */
const nested = new Set(["items", "not", "additionalProperties", "allOf", "anyOf", "oneOf"]);
/** What a validator has no use for, and would have to read. */
const dropped = new Set(["description", "default", "example"]);

function strict(schema: JsonSchema, need: (name: string) => void): JsonSchema {
  const made: JsonSchema = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if (dropped.has(keyword) || keyword.startsWith("x-")) continue;
    if (keyword === "$ref") {
      const name = String(value).slice(reference.length);
      need(name);
      made["$ref"] = `#/definitions/${name}`;
    } else if (keyword === "properties") {
      made.properties = mapped(value as Record<string, JsonSchema>, need);
    } else if (nested.has(keyword) && value !== null && typeof value === "object") {
      made[keyword] = Array.isArray(value)
        ? value.map((branch: JsonSchema) => strict(branch, need))
        : strict(value as JsonSchema, need);
    } else {
      made[keyword] = value;
    }
  }
  if (made["nullable"]) {
    delete made["nullable"];
    return { anyOf: [made, { type: "null" }] };
  }
  if (schema["x-kubernetes-int-or-string"]) made["type"] = ["integer", "string"];
  const open = schema["x-kubernetes-preserve-unknown-fields"] || "additionalProperties" in schema;
  // Branches of oneOf and the like name properties without saying that there are no others; only types do that.
  if (schema["type"] === "object" && schema.properties && !open) made["additionalProperties"] = false;
  return made;
}

function mapped(properties: Record<string, JsonSchema>, need: (name: string) => void): Record<string, JsonSchema> {
  return Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, strict(property, need)]));
}
