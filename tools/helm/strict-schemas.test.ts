import { expect, test } from "vitest";
import { schemasOfDefinition, schemasOfOpenApi } from "./strict-schemas.ts";
import type { OpenApi } from "./strict-schemas.ts";

const objectMeta = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const document: OpenApi = {
  components: {
    schemas: {
      [objectMeta]: { type: "object", properties: { name: { type: "string", description: "Its name." } } },
      "io.k8s.api.apps.v1.Deployment": {
        type: "object",
        "x-kubernetes-group-version-kind": [{ group: "apps", version: "v1", kind: "Deployment" }],
        properties: {
          metadata: { allOf: [{ $ref: `#/components/schemas/${objectMeta}` }], default: {} },
          spec: { type: "object", properties: { description: { type: "string" } } },
        },
      },
      "io.k8s.api.core.v1.Unused": { type: "object" },
      "io.k8s.DeleteOptions": {
        type: "object",
        "x-kubernetes-group-version-kind": [
          { group: "", version: "v1", kind: "DeleteOptions" },
          { group: "apps", version: "v1", kind: "DeleteOptions" },
        ],
      },
    },
  },
};

test("a kind gets a schema with what it refers to, closed to unknown fields, without descriptions", () => {
  const [deployment, ...others] = schemasOfOpenApi(document);
  expect(others).toEqual([]);
  expect(deployment).toMatchObject({ group: "apps", version: "v1", kind: "Deployment" });
  expect(deployment!.schema).toMatchObject({
    allOf: [
      { $ref: "#/definitions/io.k8s.api.apps.v1.Deployment" },
      { properties: { apiVersion: { const: "apps/v1" }, kind: { const: "Deployment" } } },
    ],
    definitions: {
      [objectMeta]: { type: "object", properties: { name: { type: "string" } }, additionalProperties: false },
      "io.k8s.api.apps.v1.Deployment": {
        properties: {
          metadata: { allOf: [{ $ref: `#/definitions/${objectMeta}` }] },
          // A field of this name is a field.
          spec: { properties: { description: { type: "string" } }, additionalProperties: false },
        },
        additionalProperties: false,
      },
    },
  });
  expect(Object.keys(deployment!.schema["definitions"] as object)).toHaveLength(2);
  expect(JSON.stringify(deployment!.schema)).not.toContain("Its name.");
});

test("a custom resource gets one for each version that is served, with Kubernetes' metadata", () => {
  const schemas = schemasOfDefinition(
    {
      spec: {
        group: "example.io",
        names: { kind: "Route" },
        versions: [
          {
            name: "v1",
            served: true,
            schema: {
              openAPIV3Schema: {
                type: "object",
                properties: {
                  spec: {
                    type: "object",
                    // One of two, as Istio has it: a branch does not close its parent.
                    oneOf: [{ required: ["exact"] }, { required: ["prefix"], properties: { prefix: {} } }],
                    properties: {
                      exact: { type: "string", nullable: true },
                      prefix: { type: "string" },
                      port: { "x-kubernetes-int-or-string": true },
                      any: { type: "object", properties: {}, "x-kubernetes-preserve-unknown-fields": true },
                      labels: { type: "object", additionalProperties: { type: "string" } },
                    },
                  },
                },
              },
            },
          },
          { name: "v1alpha1", served: false, schema: { openAPIV3Schema: {} } },
        ],
      },
    },
    document,
  );
  expect(schemas.map(({ version }) => version)).toEqual(["v1"]);
  const [root] = schemas[0]!.schema["allOf"] as any[];
  expect(root.properties.metadata).toEqual({ $ref: `#/definitions/${objectMeta}` });
  expect(root.properties.spec).toEqual({
    type: "object",
    oneOf: [{ required: ["exact"] }, { required: ["prefix"], properties: { prefix: {} } }],
    properties: {
      exact: { anyOf: [{ type: "string" }, { type: "null" }] },
      prefix: { type: "string" },
      port: { type: ["integer", "string"] },
      any: { type: "object", properties: {} },
      labels: { type: "object", additionalProperties: { type: "string" } },
    },
    additionalProperties: false,
  });
});

test("what refers to nothing is an error that names both", () => {
  const broken = structuredClone(document);
  delete broken.components!.schemas![objectMeta];
  expect(() => schemasOfOpenApi(broken)).toThrow(
    `The schema of Deployment refers to ${objectMeta}, which is not there.`,
  );
});
