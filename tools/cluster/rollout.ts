/** Waits until everything in a namespace runs as it was asked for, and says meanwhile what is waited for. */
import { setTimeout as sleep } from "node:timers/promises";
import { Problem } from "../environment.ts";
import type { Cluster } from "./cluster.ts";
import { holds } from "./objects.ts";
import type { Event, Job, List, Pod, Workload } from "./objects.ts";
import { unreadyOf } from "./reasons.ts";
import type { Unready } from "./reasons.ts";

export interface RolloutOptions {
  /** Of what, for example app.kubernetes.io/instance=crowdcrunch. Default: all in the namespace. */
  selector?: string;
  /** Told whenever what is waited for has changed. */
  progress?: (waiting: Progress) => void;
  timeoutMs?: number;
  signal?: AbortSignal;
}

export interface Progress {
  ready: number;
  wanted: number;
  unready: Unready[];
}

const lookEveryMs = 1_000;

/** True where a Deployment or StatefulSet has all its pods, all of them of its newest version and ready. */
function isRolledOut({ kind, metadata, spec, status }: Workload): boolean {
  const wanted = spec.replicas ?? 1;
  const ready = kind === "StatefulSet" ? status.readyReplicas : status.availableReplicas;
  const updated = status.updatedReplicas ?? 0;
  return (
    (status.observedGeneration ?? 0) >= (metadata.generation ?? 0) &&
    (wanted === 0 || (updated === wanted && (status.replicas ?? 0) === wanted && ready === wanted))
  );
}

/** How far a namespace is: what has its pods, and why the rest has not. */
export async function progressOf(cluster: Cluster, namespace: string, selector?: string): Promise<Progress> {
  const args = (kinds: string) => ["get", kinds, "-n", namespace, ...(selector ? ["-l", selector] : [])];
  const [{ items: workloads }, { items: pods }, { items: events }] = await Promise.all([
    cluster.json<List<Workload | Job>>(args("deployments,statefulsets,jobs")),
    cluster.json<List<Pod>>(args("pods")),
    cluster.json<List<Event>>(["get", "events", "-n", namespace]),
  ]);
  const isDone = (one: Workload | Job) =>
    one.kind === "Job" ? holds(one.status.conditions, "Complete") : isRolledOut(one);
  // A Job that is suspended, or of a test, is nobody's to wait for; the setup Job is what the others wait for.
  const counted = workloads.filter((one) => one.kind !== "Job" || one.status.active || one.status.succeeded);
  const ready = counted.filter(isDone).length;
  return { ready, wanted: counted.length, unready: unreadyOf({ pods, workloads, events }) };
}

/**
 * Resolves when everything has rolled out. Throws a Problem, with what is not ready and why, when that takes too long or
 * a Job has failed for good.
 */
export async function untilRolledOut(cluster: Cluster, namespace: string, options: RolloutOptions = {}): Promise<void> {
  const { selector, progress, timeoutMs = 300_000, signal } = options;
  const giveUpAtMs = performance.now() + timeoutMs;
  let said = "";
  for (;;) {
    const seen = await progressOf(cluster, namespace, selector);
    const text = JSON.stringify(seen);
    if (text !== said) progress?.(seen);
    said = text;
    if (seen.wanted > 0 && seen.ready === seen.wanted) return;
    if (performance.now() > giveUpAtMs) {
      const lines = seen.unready.map(({ name, why }) => `\n  ${name} ${why}`).join("");
      throw new Problem(
        `${seen.ready} of ${seen.wanted} are ready in the namespace ${namespace} after ${timeoutMs / 1_000} s:${lines}`,
      );
    }
    await sleep(lookEveryMs, undefined, { signal });
  }
}
