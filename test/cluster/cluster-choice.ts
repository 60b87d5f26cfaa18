import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { Problem } from "@crowdcrunch/tools/environment";
import { currentCluster, findCluster, whySilent } from "@crowdcrunch/tools/cluster/cluster";
import type { Cluster } from "@crowdcrunch/tools/cluster/cluster";
import { hasIstio } from "@crowdcrunch/tools/cluster/istio";

/** Compiling Kubernetes on a busy machine takes nearly half an hour. */
const bringUpMinutes = 60;

/**
 * The cluster for the checks: that of the current kube-context where it is on this machine and answers, else the one that
 * CLUSTER_UP brings up, with the `istio` beside that command. Never one that may be elsewhere: what is installed, killed
 * and removed here must be nobody's. Throws a Problem where there is none.
 */
export async function chooseCluster(): Promise<{ cluster: Cluster; mesh: boolean }> {
  const current = await currentCluster();
  const command = process.env.CLUSTER_UP;
  if (current?.local && !(await whySilent(current))) {
    console.log(`The cluster is ${current.context}: ${current.local}.`);
  } else if (command) {
    if (current && !current.local)
      console.log(`The current context ${current.context} (${current.server}) may be elsewhere and is left alone.`);
    console.log(`A cluster is brought up by ${command}.`);
    await takeVariables(await lastExport(command));
  } else if (current && !current.local) {
    throw new Problem(
      `The current context ${current.context} (${current.server}) may not be on this machine, and these checks install, ` +
        "kill and remove. Choose a local one (kubectl config use-context docker-desktop, minikube, kind-…), or name in " +
        "CLUSTER_UP a command that brings one up and prints its `export KUBECONFIG=… PATH=…` last.",
    );
  }
  // With a sentence for whatever is missing.
  const cluster = await findCluster();
  if (!cluster.local) throw new Problem(`The cluster ${cluster.context} (${cluster.server}) is not on this machine.`);
  const istio = command && join(dirname(command.split(" ")[0]!), "istio");
  if (istio && existsSync(istio) && !(await hasIstio(cluster))) await lines(istio);
  const mesh = await hasIstio(cluster);
  console.log(mesh ? "Istio runs in it." : "There is no Istio in it: what needs a mesh is not run.");
  return { cluster, mesh };
}

/** Runs a command with its output passed on; resolves to its lines. */
function lines(command: string): Promise<string[]> {
  const child = spawn("sh", ["-c", command], {
    stdio: ["ignore", "pipe", "inherit"],
    timeout: bringUpMinutes * 60_000,
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => {
    text += part;
    process.stdout.write(part);
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      if (code === 0) resolve(text.split("\n"));
      else reject(new Problem(`${command} ended with ${signal ?? code}.`));
    });
  });
}

async function lastExport(command: string): Promise<string> {
  const found = (await lines(command)).findLast((line) => line.startsWith("export "));
  if (!found)
    throw new Problem(`${command} printed no line that begins with "export ", by which its cluster is found.`);
  return found;
}

/** Takes over what a shell would have after an `export` line, for this process and its children. */
async function takeVariables(line: string): Promise<void> {
  const names = [...line.matchAll(/([A-Z_]+)=/g)].map(([, name]) => name!);
  const shown = names.map((name) => `"$${name}"`).join(" ");
  const child = spawn("sh", ["-c", `${line}; printf '%s\\n' ${shown}`], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  for await (const part of child.stdout.setEncoding("utf8")) text += part as string;
  for (const [index, value] of text.trimEnd().split("\n").entries()) process.env[names[index]!] = value;
}
