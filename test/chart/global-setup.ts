import { helmMissing } from "@crowdcrunch/tools/helm/availability";
import { helmPrograms } from "@crowdcrunch/tools/helm/programs";
import type { HelmPrograms } from "@crowdcrunch/tools/helm/programs";
import { schemaLocation } from "@crowdcrunch/tools/helm/schemas";
import type { TestProject } from "vitest/node";

/** What tests of the chart run, or why they cannot. */
export type ChartTools = { programs: HelmPrograms; schemaLocation: string } | { missing: string };

declare module "vitest" {
  interface ProvidedContext {
    chartTools: ChartTools;
  }
}

/** Builds helm and kubeconform where they are missing. Where none can be built it says so, and these tests skip themselves. */
export default async function setup(project: TestProject): Promise<void> {
  const missing = helmMissing();
  if (missing !== undefined) {
    if ((process.env["REQUIRE"] ?? "").includes("helm")) throw new Error(`Helm is required, and ${missing}.`);
    console.warn(`Tests of the chart are skipped: ${missing}.`);
    project.provide("chartTools", { missing });
    return;
  }
  const say = (sentence: string) => console.log(sentence);
  project.provide("chartTools", { programs: await helmPrograms(say), schemaLocation: await schemaLocation(say) });
}
