/** Why a pod is not ready, in words. Pure. */
import { containersOf, holds } from "./objects.ts";
import type { ContainerStatus, Event, Job, Pod, Workload } from "./objects.ts";

/** What is not there yet, and why. */
export interface Unready {
  name: string;
  why: string;
}

/** The pods that are not ready, and those that should be there and are not. */
export function unreadyOf(namespace: { pods: Pod[]; workloads: (Workload | Job)[]; events: Event[] }): Unready[] {
  const refused = namespace.workloads.flatMap(({ metadata, status }) => {
    const failure = status.conditions?.find(({ type, status: is }) => type === "ReplicaFailure" && is === "True");
    return failure ? [{ name: metadata.name, why: `gets no pod: ${failure.message ?? failure.reason}` }] : [];
  });
  const pods = namespace.pods.flatMap((pod) => {
    const why = whyUnready(pod, namespace.events);
    return why ? [{ name: pod.metadata.name, why }] : [];
  });
  return [...refused, ...pods];
}

/** Why a pod is not ready; undefined where it is, or has done its work, or is going. */
export function whyUnready(pod: Pod, events: readonly Event[]): string | undefined {
  const { status, metadata } = pod;
  if (status.phase === "Succeeded" || metadata.deletionTimestamp || holds(status.conditions, "Ready")) return undefined;
  const warnings = events
    .filter(({ involvedObject, type }) => type === "Warning" && involvedObject.name === metadata.name)
    .sort((a, b) => timeOf(a) - timeOf(b));
  if (status.phase === "Failed") return `failed: ${status.message ?? status.reason ?? ending(containersOf(pod))}`;
  const placed = status.conditions?.find(({ type }) => type === "PodScheduled");
  if (placed?.status === "False") return `has no node to run on: ${placed.message ?? placed.reason}`;
  for (const container of containersOf(pod)) {
    const { waiting } = container.state;
    if (!waiting || waiting.reason === "PodInitializing") continue;
    if (waiting.reason === "ContainerCreating") return creating(warnings.at(-1));
    return stuck(container, waiting.reason ?? "", waiting.message ?? "");
  }
  const starting = status.initContainerStatuses?.find(({ ready }) => !ready);
  if (starting) return `waits for its container ${starting.name}`;
  const probe = warnings.findLast(({ reason }) => reason === "Unhealthy");
  const restarts = containersOf(pod).reduce((sum, { restartCount }) => sum + restartCount, 0);
  const again = restarts > 0 ? `, started again ${times(restarts)} (${ending(containersOf(pod))})` : "";
  return `runs and is not ready yet${again}${probe ? `: ${oneLine(probe.message)}` : ""}`;
}

const timeOf = ({ lastTimestamp, eventTime }: Event) => Date.parse(lastTimestamp ?? eventTime ?? "") || 0;

function creating(warning: Event | undefined): string {
  if (!warning) return "is being made";
  const secret = /(?:secret|configmap) "([^"]+)" not found/.exec(warning.message);
  if (secret) return `waits for ${secret[1]}, which the setup Job makes`;
  return `cannot be made yet: ${oneLine(warning.message)}`;
}

function stuck(container: ContainerStatus, reason: string, message: string): string {
  const { image, restartCount } = container;
  switch (reason) {
    case "ErrImagePull":
    case "ImagePullBackOff":
    case "ErrImageNeverPull":
    case "InvalidImageName":
      return `its image ${image} is not in the cluster and cannot be pulled (${reason})`;
    case "CreateContainerConfigError": {
      const missing = /(?:secret|configmap) "([^"]+)" not found/.exec(message);
      return missing ? `waits for ${missing[1]}, which the setup Job makes` : `cannot be made: ${oneLine(message)}`;
    }
    case "CrashLoopBackOff":
      return `${container.name} ended ${times(restartCount)} (${ending([container])}) and waits to be started again`;
    default:
      return `${container.name} waits: ${reason} ${oneLine(message)}`.trim();
  }
}

/** How the container that ended last did so. */
function ending(containers: ContainerStatus[]): string {
  const ended = containers.map(({ state, lastState }) => state.terminated ?? lastState.terminated).find(Boolean);
  if (!ended) return "reason unknown";
  if (ended.reason === "OOMKilled") return "it needed more memory than its limit, OOMKilled";
  return `exit code ${ended.exitCode}${ended.reason && ended.reason !== "Error" ? `, ${ended.reason}` : ""}`;
}

const times = (count: number) => (count === 1 ? "once" : `${count} times`);
const oneLine = (text: string) => text.replaceAll(/\s+/g, " ").trim();
