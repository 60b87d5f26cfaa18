/** Amounts as Kubernetes writes them. */
import type { Workload } from "./manifests.ts";

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

/** What all pods that go on for ever ask for, or may take, together with those of Jobs while they run. */
export function sumOf(workloads: Workload[], which: "requests" | "limits"): Sum {
  const sum: Sum = { cores: 0, bytes: 0 };
  for (const { manifest, containers } of workloads) {
    const pods = manifest.kind === "CronJob" && manifest.spec.suspend ? 0 : (manifest.spec.replicas ?? 1);
    for (const container of containers) {
      const { cpu = 0, memory = 0 } = container["resources"]?.[which] ?? {};
      sum.cores += pods * cores(cpu);
      sum.bytes += pods * bytes(memory);
    }
  }
  return sum;
}
