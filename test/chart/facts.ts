/** Everything that holds for every render of the chart. */
import { passwordKey, secretKeys } from "@crowdcrunch/shop/secrets";
import { rolesOf } from "@crowdcrunch/shop/parts";
import { workloadsOf } from "./manifests.ts";
import { problemsOfPod } from "./pod-facts.ts";
import { problemsOfReferences } from "./reference-facts.ts";
import type { Given } from "./reference-facts.ts";
import type { Rendered } from "./render.ts";
import { problemsOfTraffic } from "./traffic-facts.ts";
import { problemsOfVariables, schemasOfParts } from "./variables.ts";

/** What is there without being rendered, because values name it. */
export interface GivenByValues {
  secrets: string[];
  /** Services without a dot in their names. */
  hosts: string[];
}

/** What is wrong with a render, a sentence each. */
export async function problemsOf(shop: Rendered, given: GivenByValues = { secrets: [], hosts: [] }): Promise<string[]> {
  const { manifests } = shop;
  const workloads = workloadsOf(manifests);
  const schemas = await schemasOfParts();
  return [
    ...workloads.flatMap(problemsOfPod),
    ...problemsOfReferences(shop, madeBySetup(shop, given.secrets)),
    ...problemsOfTraffic(shop, given.hosts),
    ...workloads.flatMap((workload) => problemsOfVariables(workload, manifests, schemas)),
    ...partsWithout(
      workloads.map(({ title, containers }) => `${title} ${containers[0]?.name}`),
      schemas,
    ),
  ];
}

/** What the Job `setup` makes, by the names that it is told. */
function madeBySetup({ manifests }: Rendered, givenSecrets: string[]): Given {
  const job = workloadsOf(manifests).find(({ kind, containers }) => kind === "Job" && containers[0]?.name === "setup");
  const told = (name: string) => job?.containers[0]?.env?.find((variable) => variable.name === name)?.value ?? name;
  const keys = [
    passwordKey("postgres"),
    ...rolesOf(told("SERVICES").split(",")).map(passwordKey),
    ...Object.values(secretKeys),
  ];
  return {
    secrets: new Map([
      ...givenSecrets.map((name): [string, undefined] => [name, undefined]),
      [told("SECRETS_NAME"), new Set(keys)],
      [told("SIGNING_KEY_NAME"), new Set(["signing-key.json"])],
    ]),
    configMaps: new Set([told("JWKS_NAME")]),
  };
}

/** Parts that are no Deployment in every render, because they may be switched off or run as a Job. */
const optional = new Set(["provider", "auditor", "setup/src/main.ts", "setup/src/rotate-keys.ts"]);

function partsWithout(titles: string[], schemas: Map<string, unknown>): string[] {
  return [...schemas.keys()]
    .filter((part) => !optional.has(part))
    .filter((part) => !titles.some((title) => title.startsWith("Deployment/") && title.endsWith(` ${part}`)))
    .map((part) => `no Deployment runs ${part}: make a folder charts/${part} and name it in Chart.yaml`);
}
