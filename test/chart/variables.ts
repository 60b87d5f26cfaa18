/** What each process of the chart is told by its environment, against its own schema of variables. */
import { auditorVariables } from "@crowdcrunch/auditor/auditor";
import { gatewayVariables } from "@crowdcrunch/gateway/config";
import { ConfigError, readConfig } from "@crowdcrunch/kit/config";
import { serviceVariables } from "@crowdcrunch/kit/variables";
import { providerVariables } from "@crowdcrunch/provider/provider";
import { rotationVariables, setupVariables } from "@crowdcrunch/setup/variables";
import { serviceNames } from "@crowdcrunch/tools/schemas";
import Type from "typebox";
import type { TObject } from "typebox";
import { definitionOf } from "../e2e/definitions.ts";
import { ofKind } from "./manifests.ts";
import type { Container, Manifest, Workload } from "./manifests.ts";

/** The schemas of variables of all parts that Deployments run, by the part's name, and of the programs of Jobs by their script. */
export async function schemasOfParts(): Promise<Map<string, TObject>> {
  const services = await Promise.all(
    serviceNames().map(async (name): Promise<[string, TObject]> => {
      const { config } = await definitionOf(name);
      return [name, Type.Object({ ...serviceVariables, ...config.properties })];
    }),
  );
  return new Map<string, TObject>([
    ...services,
    ["gateway", gatewayVariables],
    ["provider", Type.Object(providerVariables)],
    ["auditor", Type.Object(auditorVariables)],
    ["setup/src/main.ts", setupVariables],
    ["setup/src/rotate-keys.ts", rotationVariables],
  ]);
}

/** Variables that Node reads by itself. */
const ofNode = new Set(["NODE_OPTIONS", "NODE_COMPILE_CACHE", "NODE_EXTRA_CA_CERTS"]);
/** Variables that the kubelet gives to every container. */
const ofKubelet = { KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443" };
/** Stands for whatever a Secret holds. */
const secretText = "a-secret-of-24-characters";

/** A container's whole environment, and names that are spelled out in it without being there. */
export function environmentOf(
  container: Container,
  manifests: Manifest[],
): { environment: Record<string, string>; dangling: string[] } {
  const environment: Record<string, string> = {};
  const dangling: string[] = [];
  for (const { configMapRef } of container.envFrom ?? []) {
    const map = ofKind(manifests, "ConfigMap").find(({ metadata }) => metadata.name === configMapRef?.name);
    Object.assign(environment, map?.data);
  }
  for (const { name, value, valueFrom } of container.env ?? []) {
    environment[name] = valueFrom
      ? secretText
      : (value ?? "").replace(/\$\((\w+)\)/g, (spelled, other: string) => {
          // The kubelet knows only those that stand before, and leaves others as they are.
          if (!(other in environment)) dangling.push(`${name} is made of ${other}, which does not stand before it`);
          return environment[other] ?? spelled;
        });
  }
  return { environment, dangling };
}

/** What is missing, wrong or unknown in the environment of a part's pods. */
export function problemsOfVariables(
  workload: Workload,
  manifests: Manifest[],
  schemas: Map<string, TObject>,
): string[] {
  const container = workload.containers[0]!;
  const schema = schemas.get(container["command"]?.[1] ?? container.name);
  if (!schema) return [];
  const { environment, dangling } = environmentOf(container, manifests);
  const problems = [...dangling];
  try {
    readConfig(schema, { ...ofKubelet, ...environment });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems.push(...error.problems);
  }
  const spelledOut = new Set(
    (container.env ?? []).flatMap(({ value = "" }) => [...value.matchAll(/\$\((\w+)\)/g)].map(([, name]) => name!)),
  );
  for (const name of Object.keys(environment)) {
    if (name in schema.properties || ofNode.has(name) || spelledOut.has(name)) continue;
    problems.push(`${name} is set, which ${container.name} does not know`);
  }
  problems.push(...files(container, environment));
  if (environment["PORT"] && environment["METRICS_PORT"]) problems.push(...ports(container, environment));
  return problems.map((problem) => `${workload.title}: ${problem}`);
}

/** What is a file is mounted, or lies in the image. */
function files(container: Container, environment: Record<string, string>): string[] {
  const mounts = (container.volumeMounts ?? []).map(({ mountPath }) => `${mountPath}/`);
  return Object.entries(environment)
    .filter(([name, path]) => name.endsWith("_FILE") && path.startsWith("/"))
    .filter(([, path]) => !mounts.some((mount) => path.startsWith(mount)))
    .map(([name, path]) => `${name} is ${path}, where nothing is mounted`);
}

function ports(container: Container, environment: Record<string, string>): string[] {
  const variables = { http: "PORT", "http-metrics": "METRICS_PORT" };
  return Object.entries(variables).flatMap(([name, variable]) => {
    const port = container.ports?.find((own) => own.name === name)?.containerPort;
    return String(port) === environment[variable]
      ? []
      : [`${variable} is ${environment[variable]}, port ${name} ${port}`];
  });
}
