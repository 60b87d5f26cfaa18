/** Amounts as Kubernetes writes them. */
import { ofKind } from "./manifests.ts";
import type { Manifest, Workload } from "./manifests.ts";

const suffixes: Record<string, number> = {
  "": 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** An amount of memory such as "288Mi", in bytes. */
export function bytes(quantity: string | number): number {
  const [, amount, suffix = ""] = /^([0-9.]+)([a-zA-Z]*)$/.exec(String(quantity)) ?? [];
  const factor = suffixes[suffix];
  if (amount === undefined || factor === undefined) throw new Error(`"${quantity}" is no amount.`);
  return Number(amount) * factor;
}

/** An amount of processors such as "50m", in cores. */
export const cores = bytes;

export interface Sum {
  cores: number;
  bytes: number;
}

/** How many pods a workload has at least; none of a CronJob that only people start. */
export function podsOf(workload: Workload, manifests: Manifest[]): number {
  const { spec } = workload.manifest;
  if (workload.kind === "CronJob") return spec.suspend ? 0 : 1;
  const scaler = ofKind(manifests, "HorizontalPodAutoscaler").find(({ spec: { scaleTargetRef: target } }) => {
    return target.kind === workload.kind && target.name === workload.name;
  });
  return scaler?.spec.minReplicas ?? spec.replicas ?? 1;
}

/** What the containers of one pod ask for, or may take. */
export function sumOfPod({ containers }: Workload, which: "requests" | "limits"): Sum {
  const sum: Sum = { cores: 0, bytes: 0 };
  for (const container of containers) {
    const { cpu = 0, memory = 0 } = container["resources"]?.[which] ?? {};
    sum.cores += cores(cpu);
    sum.bytes += bytes(memory);
  }
  return sum;
}
