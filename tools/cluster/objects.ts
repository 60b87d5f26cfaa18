/** The little that is read of Kubernetes' objects, as kubectl prints them in JSON. */

export interface List<Item> {
  items: Item[];
}

export interface Condition {
  type: string;
  status: "True" | "False" | "Unknown";
  reason?: string;
  message?: string;
}

interface Metadata {
  name: string;
  namespace: string;
  uid: string;
  generation?: number;
  labels?: Record<string, string>;
  deletionTimestamp?: string;
}

export interface ContainerState {
  waiting?: { reason?: string; message?: string };
  running?: { startedAt: string };
  terminated?: { reason?: string; exitCode: number; message?: string };
}

export interface ContainerStatus {
  name: string;
  ready: boolean;
  restartCount: number;
  image: string;
  state: ContainerState;
  lastState: ContainerState;
}

export interface Pod {
  metadata: Metadata;
  spec: { nodeName?: string; containers: { name: string }[] };
  status: {
    phase: "Pending" | "Running" | "Succeeded" | "Failed" | "Unknown";
    reason?: string;
    message?: string;
    podIP?: string;
    conditions?: Condition[];
    initContainerStatuses?: ContainerStatus[];
    containerStatuses?: ContainerStatus[];
  };
}

/** A Deployment or a StatefulSet. */
export interface Workload {
  kind: "Deployment" | "StatefulSet";
  metadata: Metadata;
  spec: { replicas?: number };
  status: {
    observedGeneration?: number;
    replicas?: number;
    updatedReplicas?: number;
    readyReplicas?: number;
    availableReplicas?: number;
    conditions?: Condition[];
  };
}

export interface Job {
  kind: "Job";
  metadata: Metadata;
  status: { succeeded?: number; failed?: number; active?: number; conditions?: Condition[] };
}

export interface Event {
  metadata: Metadata;
  reason: string;
  message: string;
  type: "Normal" | "Warning";
  involvedObject: { kind: string; name: string; uid?: string };
  lastTimestamp?: string | null;
  eventTime?: string | null;
}

/** All containers of a pod that have a status, sidecars and others that run before the application included. */
export function containersOf(pod: Pod): ContainerStatus[] {
  return [...(pod.status.initContainerStatuses ?? []), ...(pod.status.containerStatuses ?? [])];
}

/** True where a condition holds. */
export function holds(conditions: Condition[] | undefined, type: string): boolean {
  return conditions?.some((condition) => condition.type === type && condition.status === "True") ?? false;
}
