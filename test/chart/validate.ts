import { kubernetesVersions } from "@crowdcrunch/tools/helm/schemas";
import { inject } from "vitest";
import { runProgram } from "./render.ts";

/**
 * What is wrong with manifests by the schemas of Kubernetes, Istio and the Gateway API, for the oldest Kubernetes of the
 * chart and for the newest: a sentence each. Unknown fields are wrong. Files and folders of manifests are judged faster
 * together than one by one.
 */
export async function schemaProblems(filesAndFolders: string[]): Promise<string[]> {
  const tools = inject("chartTools");
  if ("missing" in tools) throw new Error(tools.missing);
  const problems: string[] = [];
  for (const version of kubernetesVersions) {
    const options = ["-strict", "-n", "2", "-output", "json", "-schema-location", tools.schemaLocation];
    const answer = await runProgram(tools.programs.kubeconform, [
      ...options,
      ...["-summary", "-kubernetes-version", version],
      ...filesAndFolders,
    ]).catch(
      // It fails where manifests do, and says why on its standard output all the same.
      (error: Error) => error.message,
    );
    const { resources = [], summary } = JSON.parse(answer) as Answer;
    problems.push(
      ...resources.map(
        ({ filename, kind, name, msg }) => `${filename}, Kubernetes ${version}: ${kind}/${name}: ${msg}`,
      ),
    );
    if (summary.valid === 0 || summary.skipped > 0) problems.push(`Kubernetes ${version}: not all was judged.`);
  }
  return problems;
}

/** What kubeconform prints: what is wrong, and how many manifests there were. */
interface Answer {
  resources?: { filename: string; kind: string; name: string; msg: string }[];
  summary: { valid: number; skipped: number };
}
