import { expect, test } from "vitest";
import type { ContainerState, Event, Pod, Workload } from "./objects.ts";
import { unreadyOf, whyUnready } from "./reasons.ts";

const metadata = { name: "orders-1", namespace: "shop", uid: "1" };

function pod(
  status: Partial<Pod["status"]>,
  state?: ContainerState,
  more: { restarts?: number; last?: ContainerState } = {},
): Pod {
  const container = {
    name: "orders",
    ready: false,
    image: "crowdcrunch/orders:0.1.0",
    restartCount: more.restarts ?? 0,
  };
  return {
    metadata,
    spec: { containers: [{ name: "orders" }] },
    status: {
      phase: "Pending",
      ...status,
      ...(state ? { containerStatuses: [{ ...container, state, lastState: more.last ?? {} }] } : {}),
    },
  };
}
const warning = (reason: string, message: string): Event => ({
  metadata,
  reason,
  message,
  type: "Warning",
  involvedObject: { kind: "Pod", name: metadata.name },
  lastTimestamp: "2026-01-01T00:00:00Z",
});

test("a pod that is ready, has ended well or is going needs no reason", () => {
  expect(whyUnready(pod({ phase: "Running", conditions: [{ type: "Ready", status: "True" }] }), [])).toBeUndefined();
  expect(whyUnready(pod({ phase: "Succeeded" }), [])).toBeUndefined();
  const going = pod({ phase: "Running" });
  expect(whyUnready({ ...going, metadata: { ...metadata, deletionTimestamp: "now" } }, [])).toBeUndefined();
});

test.each<[string, Pod, Event[], RegExp]>([
  [
    "no room",
    pod({
      conditions: [
        { type: "PodScheduled", status: "False", message: "0/1 nodes are available: 1 Insufficient memory." },
      ],
    }),
    [],
    /no node to run on: .*Insufficient memory/,
  ],
  [
    "an image",
    pod({}, { waiting: { reason: "ImagePullBackOff" } }),
    [],
    /image crowdcrunch\/orders:0\.1\.0 is not in the cluster/,
  ],
  [
    "a Secret in its environment",
    pod({}, { waiting: { reason: "CreateContainerConfigError", message: 'secret "crowdcrunch-secrets" not found' } }),
    [],
    /waits for crowdcrunch-secrets, which the setup Job makes/,
  ],
  [
    "a Secret in a volume",
    pod({}, { waiting: { reason: "ContainerCreating" } }),
    [warning("FailedMount", 'MountVolume.SetUp failed for volume "jwks" : configmap "crowdcrunch-jwks" not found')],
    /waits for crowdcrunch-jwks/,
  ],
  [
    "memory",
    pod(
      { phase: "Running" },
      { waiting: { reason: "CrashLoopBackOff" } },
      { restarts: 3, last: { terminated: { reason: "OOMKilled", exitCode: 137 } } },
    ),
    [],
    /orders ended 3 times \(it needed more memory than its limit, OOMKilled\)/,
  ],
  [
    "readiness",
    pod({ phase: "Running" }, { running: { startedAt: "now" } }),
    [warning("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")],
    /runs and is not ready yet: Readiness probe failed/,
  ],
])("a pod that waits for %s says so", (_what, waiting, events, expected) => {
  expect(whyUnready(waiting, events)).toMatch(expected);
});

test("a quota that lets no pod be made is told of the workload", () => {
  const orders: Workload = {
    kind: "Deployment",
    metadata: { ...metadata, name: "orders" },
    spec: {},
    status: { conditions: [{ type: "ReplicaFailure", status: "True", message: "exceeded quota: compute" }] },
  };
  expect(unreadyOf({ pods: [], workloads: [orders], events: [] })).toEqual([
    { name: "orders", why: "gets no pod: exceeded quota: compute" },
  ]);
});
