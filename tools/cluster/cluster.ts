/** Finds the Kubernetes cluster that kubectl speaks to, and says whether it runs on this machine. */
import { isIPv4, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { Problem } from "../environment.ts";
import { CommandFailure, run } from "./commands.ts";
import type { CommandOptions } from "./commands.ts";

export interface Cluster {
  /** The kube-context, for example docker-desktop. */
  context: string;
  /** Where its API server is. */
  server: string;
  /** Why it counts as one on this machine; undefined where it may be anywhere. */
  local: string | undefined;
  kubectl(args: readonly string[], options?: CommandOptions): Promise<string>;
  helm(args: readonly string[], options?: CommandOptions): Promise<string>;
  /** What `kubectl … -o json` prints. */
  json<Value = any>(args: readonly string[], options?: CommandOptions): Promise<Value>;
}

/** Contexts that these programs make for a cluster on the machine on which they run. */
const localContexts = /^(docker-desktop|docker-for-desktop|rancher-desktop|orbstack|colima|minikube|kind-.+|k3d-.+)$/;

const waysToACluster =
  "start one: Docker Desktop (Settings, Kubernetes), `minikube start --cpus 4 --memory 6g`, or `kind create cluster`";

/**
 * The cluster of the current kube-context, which answers. Throws a Problem that names what is missing (kubectl, helm, a
 * context, an API server that answers) and the way out.
 */
export async function findCluster(): Promise<Cluster> {
  await requireProgram("kubectl", ["version", "--client"], "https://kubernetes.io/docs/tasks/tools/");
  await requireProgram("helm", ["version", "--short"], "https://helm.sh/docs/intro/install/ (4, or 3.21 and later)");
  const cluster = await currentCluster();
  if (!cluster) throw new Problem(`kubectl has no cluster to speak to (no current context): ${waysToACluster}.`);
  const silence = await whySilent(cluster);
  if (silence)
    throw new Problem(
      `The cluster ${cluster.context} at ${cluster.server} does not answer (${silence}): start it, choose another one ` +
        `(kubectl config use-context …), or ${waysToACluster}.`,
    );
  return cluster;
}

/** The cluster of the current context, whether it answers or not; undefined where there is no context or no kubectl. */
export async function currentCluster(): Promise<Cluster | undefined> {
  const view = await run("kubectl", ["config", "view", "--minify", "-o", "json"]).catch(() => undefined);
  if (!view) return undefined;
  const config = JSON.parse(view) as { "current-context": string; clusters: { cluster: { server: string } }[] | null };
  const server = config.clusters?.[0]?.cluster.server;
  const context = config["current-context"];
  if (!server || !context) return undefined;
  const kubectl: Cluster["kubectl"] = (args, options) => run("kubectl", ["--context", context, ...args], options);
  return {
    context,
    server,
    local: whyLocal(context, server),
    kubectl,
    helm: (args, options) => run("helm", ["--kube-context", context, ...args], { timeoutMs: 900_000, ...options }),
    json: async (args, options) => JSON.parse(await kubectl([...args, "-o", "json"], options)) as never,
  };
}

/** Why the API server does not answer, in its client's words; undefined where it does. */
export async function whySilent(cluster: Cluster): Promise<string | undefined> {
  return cluster.kubectl(["get", "--raw", "/readyz", "--request-timeout=10s"], { timeoutMs: 20_000 }).then(
    () => undefined,
    (error: Error) => (error instanceof CommandFailure ? error.output.trim().split("\n").at(-1)! : error.message),
  );
}

/** Why this cluster is on this machine: by the name of its context, or by the address of its API server. */
export function whyLocal(context: string, server: string): string | undefined {
  if (localContexts.test(context)) return `${context} is the context of a cluster on this machine`;
  const host = new URL(server).hostname.replace(/^\[|\]$/g, "");
  if (host === "localhost" || host === "kubernetes.docker.internal") return `its API server is at ${host}`;
  if (!isIPv4(host) && !isIPv6(host)) return undefined;
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const isOwn = host.startsWith("127.") || host === "::1" || own.some(({ address }) => address === host);
  return isOwn ? `its API server is at ${host}, an address of this machine` : undefined;
}

async function requireProgram(name: string, args: string[], where: string): Promise<void> {
  await run(name, args).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") throw new Problem(`${name} is missing: install it, see ${where}.`);
    throw error;
  });
}
