import type { Cluster } from "./cluster.ts";
import type { List } from "./objects.ts";

/** Where Istio's own parts run, unless somebody chose otherwise. */
export const istioNamespace = "istio-system";

/** True where Istio knows how to guard and to inject: its types are there, and its control plane runs. */
export async function hasIstio(cluster: Cluster): Promise<boolean> {
  const args = ["get", "deployments", "-A", "-l", "app=istiod"];
  const { items } = await cluster.json<List<{ status: { readyReplicas?: number } }>>(args);
  return items.some(({ status }) => (status.readyReplicas ?? 0) > 0);
}

interface Service {
  spec: { type: string; ports: { name?: string; port: number; nodePort?: number }[] };
  status: { loadBalancer?: { ingress?: { ip?: string; hostname?: string }[] } };
}

const answerMs = 3_000;

/**
 * Where a Service of the cluster is reached on 127.0.0.1: by the port of a load balancer that answers there, as Docker
 * Desktop's does, or by its node port. Undefined where neither answers.
 */
export async function loopbackUrl(
  cluster: Cluster,
  service: { namespace: string; name: string; port: string },
): Promise<string | undefined> {
  const { namespace, name } = service;
  const { spec } = await cluster.json<Service>(["get", "service", name, "-n", namespace]);
  const port = spec.ports.find((candidate) => candidate.name === service.port);
  const candidates = [...(spec.type === "LoadBalancer" ? [port?.port] : []), port?.nodePort];
  for (const candidate of candidates) {
    if (candidate === undefined) continue;
    const url = `http://127.0.0.1:${candidate}`;
    const answers = await fetch(url, { signal: AbortSignal.timeout(answerMs) }).then(
      () => true,
      () => false,
    );
    if (answers) return url;
  }
  return undefined;
}
