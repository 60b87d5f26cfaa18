/**
 * JSON schemas of everything that the chart may render, as kubeconform reads them. They are made from the OpenAPI
 * documents of Kubernetes and the CustomResourceDefinitions of Istio and the Gateway API, which Go modules bring along
 * (all three under the Apache License 2.0); what is made of them stays in the cache and is no part of this repository.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { parseAllDocuments } from "yaml";
import { cacheFolder, moveInto } from "../cache.ts";
import { Problem } from "../environment.ts";
import { goEnvironment, goMissing } from "./programs.ts";
import { schemasOfDefinition, schemasOfOpenApi } from "./strict-schemas.ts";
import type { CustomResourceDefinition, KindSchema, OpenApi } from "./strict-schemas.ts";

/** The oldest Kubernetes that the chart is for, and the newest that there was when this was written. */
export const kubernetesVersions = ["1.33.13", "1.36.3"] as const;
const definitionModules = [
  { module: "istio.io/api", version: "v1.31.1", folder: "kubernetes" },
  { module: "sigs.k8s.io/gateway-api", version: "v1.6.3", folder: "config/crd/standard" },
];

/** Named by what schemas are made of and how: another version, or another way, is another folder. */
function folderIn(environment: NodeJS.ProcessEnv): string {
  const hash = createHash("sha256");
  for (const file of ["schemas.ts", "strict-schemas.ts"]) {
    hash.update(readFileSync(fileURLToPath(new URL(file, import.meta.url))));
  }
  return cacheFolder(environment, `schemas-${hash.digest("hex").slice(0, 12)}`);
}

/** Why the schemas are not on this machine and cannot be made; undefined otherwise. */
export function schemasMissing(environment: NodeJS.ProcessEnv): string | undefined {
  const why = existsSync(folderIn(environment)) ? undefined : goMissing(environment);
  return why && `the schemas of Kubernetes are not here, and ${why}`;
}

/** What kubeconform takes as -schema-location; made where it is missing (60 MB are fetched, once). */
export async function schemaLocation(
  say: (sentence: string) => void,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  const folder = folderIn(environment);
  if (!existsSync(folder)) await makeSchemas(folder, say, environment);
  return join(folder, "{{.NormalizedKubernetesVersion}}/{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json");
}

async function makeSchemas(place: string, say: (sentence: string) => void, environment: NodeJS.ProcessEnv) {
  const missing = schemasMissing(environment);
  if (missing) throw new Problem(`Manifests cannot be validated: ${missing}.`);
  say(
    `Fetching the schemas of Kubernetes ${kubernetesVersions.join(" and ")}, Istio and the Gateway API by Go (once) …`,
  );
  const moduleFolder = (module: string, version: string) => fetchModule(`${module}@${version}`, environment);
  const definitions = (
    await Promise.all(
      definitionModules.map(async ({ module, version, folder }) =>
        definitionsIn(join(await moduleFolder(module, version), folder)),
      ),
    )
  ).flat();
  mkdirSync(dirname(place), { recursive: true });
  // Made in a folder of its own and then renamed: whole or not at all, and whoever is second drops his.
  const made = mkdtempSync(`${place}.`);
  try {
    for (const version of kubernetesVersions) {
      const folder = join(await moduleFolder("k8s.io/kubernetes", `v${version}`), "api/openapi-spec/v3");
      const core = openApi(join(folder, "api__v1_openapi.json"));
      const kinds = [
        ...readdirSync(folder).flatMap((file) => schemasOfOpenApi(openApi(join(folder, file)))),
        ...definitions.flatMap((definition) => schemasOfDefinition(definition, core)),
      ];
      for (const kind of kinds) write(join(made, `v${version}`), kind);
    }
    moveInto(made, place);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

/** Fetches a module and resolves to its folder. */
async function fetchModule(module: string, environment: NodeJS.ProcessEnv): Promise<string> {
  const { stdout } = await promisify(execFile)("go", ["mod", "download", "-json", module], {
    env: { ...goEnvironment(environment), GOFLAGS: "" },
    timeout: 5 * 60_000,
    maxBuffer: 1e6,
  }).catch(({ stdout: answer, message }: { stdout?: string; message: string }) => {
    throw new Problem(`Go could not fetch ${module}: ${answer?.trim() || message}`);
  });
  return (JSON.parse(stdout) as { Dir: string }).Dir;
}

function definitionsIn(folder: string): CustomResourceDefinition[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".yaml"))
    .flatMap((file) => parseAllDocuments(readFileSync(join(folder, file), "utf8")))
    .map((document) => document.toJS() as CustomResourceDefinition)
    .filter((document) => document?.kind === "CustomResourceDefinition");
}

function openApi(file: string): OpenApi {
  return JSON.parse(readFileSync(file, "utf8")) as OpenApi;
}

/** Where kubeconform looks: it takes the version for the group of kinds that have none. */
function write(folder: string, { group, version, kind, schema }: KindSchema): void {
  const file = join(folder, group || version, `${kind.toLowerCase()}_${version}.json`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify(schema));
}
