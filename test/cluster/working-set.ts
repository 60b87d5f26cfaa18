import { setTimeout as sleep } from "node:timers/promises";
import { istioNamespace } from "@crowdcrunch/tools/cluster/istio";
import type { Cluster } from "@crowdcrunch/tools/cluster/cluster";
import type { List } from "@crowdcrunch/tools/cluster/objects";

/** What the kubelet says of the containers on its node. */
interface Summary {
  pods: {
    podRef: { name: string; namespace: string };
    containers?: { name: string; memory?: { workingSetBytes?: number } }[];
  }[];
}

/** The most memory that one container had in use, in MiB. */
interface Peak {
  namespace: string;
  pod: string;
  container: string;
  mib: number;
}

/** What was measured, with what it should stay below. */
interface Measured {
  what: string;
  promisedMiB: number;
  peaks: Peak[];
}

const sidecar = "istio-proxy";
const lookEveryMs = 3_000;
const measured: Measured[] = [];

export interface Sampling {
  /** Ends it; resolves to the sum of all pods' peaks, Istio's own not included, in MiB, and keeps the rest for the table. */
  end(): Promise<{ sumMiB: number; withIstioMiB: number }>;
}

/** Watches the working sets of a namespace's containers, and of Istio's own, by the kubelets' own figures. */
export async function watchWorkingSets(
  cluster: Cluster,
  options: { namespace: string; what: string; promisedMiB: number },
): Promise<Sampling> {
  const { namespace, what, promisedMiB } = options;
  const peaks = new Map<string, Peak>();
  const { items: nodes } = await cluster.json<List<{ metadata: { name: string } }>>(["get", "nodes"]);
  let ending = false;

  async function look(): Promise<void> {
    for (const { metadata } of nodes) {
      const path = `/api/v1/nodes/${metadata.name}/proxy/stats/summary`;
      const { pods } = JSON.parse(await cluster.kubectl(["get", "--raw", path])) as Summary;
      for (const { podRef, containers = [] } of pods) {
        if (podRef.namespace !== namespace && podRef.namespace !== istioNamespace) continue;
        for (const { name, memory } of containers) {
          const key = `${podRef.namespace}/${podRef.name}/${name}`;
          const mib = (memory?.workingSetBytes ?? 0) / 2 ** 20;
          const known = peaks.get(key);
          if (!known || known.mib < mib)
            peaks.set(key, { namespace: podRef.namespace, pod: podRef.name, container: name, mib });
        }
      }
    }
  }
  const watching = (async () => {
    while (!ending) {
      // The API server may be slow under load; the next look comes soon.
      await look().catch(() => {});
      await sleep(lookEveryMs);
    }
    await look();
  })();

  return {
    async end() {
      ending = true;
      await watching;
      const all = [...peaks.values()];
      measured.push({ what, promisedMiB, peaks: all });
      const sum = (some: Peak[]) => some.reduce((total, { mib }) => total + mib, 0);
      return { sumMiB: sum(all.filter((peak) => peak.namespace === namespace)), withIstioMiB: sum(all) };
    },
  };
}

/** A table of all that was measured: the peaks of each pod, application and sidecar apart, and their sum. */
export function tableOf(): string[] {
  return measured.flatMap(({ what, promisedMiB, peaks }) => {
    const pods = [...Map.groupBy(peaks, ({ namespace, pod }) => `${namespace}/${pod}`)].sort(([a], [b]) =>
      a.localeCompare(b),
    );
    const rows = pods.map(([pod, containers]) => {
      const of = (isSidecar: boolean) =>
        containers
          .filter(({ container }) => (container === sidecar) === isSidecar)
          .reduce((sum, { mib }) => sum + mib, 0);
      return { pod, application: of(false), proxy: of(true) };
    });
    const width = Math.max(...rows.map(({ pod }) => pod.length), 4);
    const row = (pod: string, ...figures: number[]) =>
      `  ${pod.padEnd(width)} ${figures.map((figure) => figure.toFixed(0).padStart(12)).join("")}`;
    const total = (read: (one: (typeof rows)[number]) => number) => rows.reduce((sum, one) => sum + read(one), 0);
    return [
      `\nPeak working set, MiB: ${what}; promised ${promisedMiB}`,
      `  ${"pod".padEnd(width)}  application       proxy         pod`,
      ...rows.map(({ pod, application, proxy }) => row(pod, application, proxy, application + proxy)),
      row(
        "sum",
        total(({ application }) => application),
        total(({ proxy }) => proxy),
        total(({ application, proxy }) => application + proxy),
      ),
    ];
  });
}
