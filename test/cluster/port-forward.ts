import { spawn } from "node:child_process";
import type { Cluster } from "@crowdcrunch/tools/cluster/cluster";

const patienceMs = 20_000;

/** A way from 127.0.0.1 to one pod, as `kubectl port-forward` opens it: it ends with the pod. */
export async function forwardPort(
  cluster: Cluster,
  options: { namespace: string; target: string; port: number },
): Promise<{ port: number; close(): void }> {
  const { namespace, target, port } = options;
  const args = [
    "--context",
    cluster.context,
    "port-forward",
    "-n",
    namespace,
    "--address=127.0.0.1",
    target,
    `:${port}`,
  ];
  const child = spawn("kubectl", args, { stdio: ["ignore", "pipe", "pipe"] });
  const close = () => void child.kill();
  let said = "";
  const opened = Promise.withResolvers<number>();
  const look = (text: string) => {
    said += text;
    const found = /Forwarding from 127\.0\.0\.1:(\d+)/.exec(said);
    if (found) opened.resolve(Number(found[1]));
  };
  child.stdout.setEncoding("utf8").on("data", look);
  child.stderr.setEncoding("utf8").on("data", look);
  child.once("error", opened.reject);
  child.once("exit", () => opened.reject(new Error(`port-forward to ${target}: ${said.trim()}`)));
  const timer = setTimeout(
    () => opened.reject(new Error(`port-forward to ${target} did not open: ${said}`)),
    patienceMs,
  );
  try {
    return { port: await opened.promise, close };
  } catch (error) {
    close();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
