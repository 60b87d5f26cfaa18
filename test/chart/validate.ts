import { kubernetesVersions } from "@crowdcrunch/tools/helm/schemas";
import { inject } from "vitest";
import { runProgram } from "./render.ts";

/**
 * What is wrong with manifests by the schemas of Kubernetes, Istio and the Gateway API, for the oldest Kubernetes of the
 * chart and for the newest: a sentence each. Unknown fields are wrong.
 */
export async function schemaProblems(text: string): Promise<string[]> {
  const tools = inject("chartTools");
  if ("missing" in tools) throw new Error(tools.missing);
  const problems: string[] = [];
  for (const version of kubernetesVersions) {
    const options = ["-strict", "-n", "2", "-output", "json", "-schema-location", tools.schemaLocation];
    const answer = await runProgram(
      tools.programs.kubeconform,
      [...options, "-kubernetes-version", version],
      text,
    ).catch(
      // It fails where manifests do, and says why on its standard output all the same.
      (error: Error) => error.message,
    );
    const { resources = [] } = JSON.parse(answer) as { resources?: { kind: string; name: string; msg: string }[] };
    problems.push(...resources.map(({ kind, name, msg }) => `Kubernetes ${version}: ${kind}/${name}: ${msg}`));
  }
  return problems;
}
