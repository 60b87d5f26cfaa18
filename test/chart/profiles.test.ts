import { services } from "@crowdcrunch/shop/parts";
import { describe, expect, test } from "vitest";
import { workloadsOf } from "./manifests.ts";
import { overlay, profiles } from "./matrix.ts";
import { bytes, podsOf, sumOfPod } from "./quantities.ts";
import type { Sum } from "./quantities.ts";
import { render } from "./render.ts";
import type { Values } from "./render.ts";

// What each profile asks a cluster for, and what it may take at most: printed, and held.

/** Of a shop that runs, without what comes and goes: the Job of its first minute, helm test. */
async function sums(files: string[], values: Values, sidecars: boolean): Promise<Record<"requests" | "limits", Sum>> {
  const { manifests } = await render({
    files,
    values: sidecars ? overlay(values, { istio: { enabled: true } }) : values,
  });
  const running = workloadsOf(manifests).filter(({ serves }) => serves);
  const sum = (which: "requests" | "limits") => {
    const total: Sum = { cores: 0, bytes: 0 };
    for (const workload of running) {
      const pods = podsOf(workload, manifests);
      const own = sumOfPod(workload, which);
      const sidecar = sidecars ? sidecarOf(workload.metadata.annotations ?? {}, which) : { cores: 0, bytes: 0 };
      total.cores += pods * (own.cores + sidecar.cores);
      total.bytes += pods * (own.bytes + sidecar.bytes);
    }
    return total;
  };
  return { requests: sum("requests"), limits: sum("limits") };
}

/** What Istio's injection gives a sidecar, by the annotations of its pod. */
function sidecarOf(annotations: Record<string, string>, which: "requests" | "limits"): Sum {
  const suffix = which === "limits" ? "Limit" : "";
  const [cpu, memory] = ["CPU", "Memory"].map((resource) => annotations[`sidecar.istio.io/proxy${resource}${suffix}`]);
  if (cpu === undefined || memory === undefined) throw new Error(`A pod does not say its sidecar's ${which}.`);
  return { cores: bytes(cpu), bytes: bytes(memory) };
}

const mebi = 2 ** 20;
const described = ({ cores, bytes: memory }: Sum) => `${cores.toFixed(2)} cores, ${Math.round(memory / mebi)} MiB`;

/** The promises are for the shop as it comes; each service that is added to these eight may take so much more. */
const furtherServicesMiB = 256 * (services.length - 8);
/** The most memory that a profile may take by all its limits, in MiB. */
const promises: { profile: string; sidecars: boolean; atMostMiB: number }[] = [
  { profile: "laptop", sidecars: false, atMostMiB: 4096 + furtherServicesMiB },
  { profile: "laptop", sidecars: true, atMostMiB: 4096 + furtherServicesMiB },
  { profile: "min", sidecars: false, atMostMiB: 2048 + furtherServicesMiB },
];

describe("the limits of memory", () => {
  test.each(promises)("of $profile, sidecars: $sidecars, are $atMostMiB MiB together", async (promise) => {
    const { files, values = {} } = profiles.find(({ name }) => name === promise.profile)!;
    const { limits } = await sums(files, values, promise.sidecars);
    expect(limits.bytes / mebi).toBeLessThanOrEqual(promise.atMostMiB);
  });
});

test("the sums of all profiles", async () => {
  for (const { name, files, values = {} } of profiles) {
    for (const sidecars of [false, true]) {
      const { requests, limits } = await sums(files, values, sidecars);
      console.log(
        `${name}${sidecars ? " with sidecars" : ""}: requests ${described(requests)}; limits ${described(limits)}`,
      );
      expect(requests.bytes).toBeLessThan(limits.bytes);
    }
  }
});
