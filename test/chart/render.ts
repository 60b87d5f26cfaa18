import { spawn } from "node:child_process";
import { repositoryRoot } from "@crowdcrunch/tools/schemas";
import { inject } from "vitest";
import { parseAllDocuments } from "yaml";
import type { Manifest } from "./manifests.ts";

/** Values as they stand in a values.yaml. */
export type Values = Record<string, unknown>;

export interface RenderOptions {
  /** Files of values, from the repository's root, in their order. */
  files?: string[] | undefined;
  /** Values that go over those of the files. */
  values?: Values | undefined;
  release?: string | undefined;
  namespace?: string | undefined;
  /** Which helm. Default "helm", the newest. */
  helm?: "helm" | "helm3" | undefined;
}

/** What `helm template` made. */
export interface Rendered {
  release: string;
  namespace: string;
  text: string;
  manifests: Manifest[];
}

/** The oldest Kubernetes that the chart says it is for, so that nothing newer is relied upon. */
export const kubeVersion = "1.33.0";

/** What is asked of helm; throws with what it says on its standard error. */
export async function helm(which: "helm" | "helm3", commandArguments: string[], input = ""): Promise<string> {
  const tools = inject("chartTools");
  if ("missing" in tools) throw new Error(tools.missing);
  return runProgram(tools.programs[which], commandArguments, input);
}

/** Renders the chart of this repository. */
export async function render(options: RenderOptions = {}): Promise<Rendered> {
  const { files = [], values = {}, release = "crowdcrunch", namespace = "shop", helm: which = "helm" } = options;
  const text = await helm(
    which,
    [
      ...["template", release, ".", "--namespace", namespace, "--kube-version", kubeVersion],
      ...files.flatMap((file) => ["--values", file]),
      ...["--values", "-"],
    ],
    JSON.stringify(values),
  );
  return { release, namespace, text, manifests: parseManifests(text) };
}

/** The objects in what helm made. Throws where the text is not valid YAML, or a key stands there twice. */
export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors[0]) throw document.errors[0];
    const manifest = document.toJS() as Manifest | null;
    return manifest ? [manifest] : [];
  });
}

/** Runs a program in the repository's root; resolves to what it prints. Throws with what it complains of where it fails. */
export function runProgram(program: string, commandArguments: string[], input = ""): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, commandArguments, { cwd: repositoryRoot });
    let output = "";
    let complaints = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (output += chunk));
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => (complaints += chunk));
    child.on("error", reject);
    child.on("close", (status) => (status === 0 ? resolve(output) : reject(new Error(complaints.trim() || output))));
    child.stdin.end(input);
  });
}
