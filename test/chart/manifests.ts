/** Objects of Kubernetes as they are rendered, as far as tests look into them. */

export type Labels = Record<string, string>;

export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Labels; annotations?: Labels };
  spec?: any;
  data?: Labels;
  [field: string]: any;
}

export interface Container {
  name: string;
  image: string;
  env?: { name: string; value?: string; valueFrom?: any }[];
  envFrom?: any[];
  ports?: { name?: string; containerPort: number; protocol?: string }[];
  volumeMounts?: { name: string; mountPath: string; subPath?: string }[];
  [field: string]: any;
}

/** Whatever makes pods. */
export interface Workload {
  /** As it is spoken of, e.g. "Deployment/orders". */
  title: string;
  kind: string;
  name: string;
  manifest: Manifest;
  /** A pod's labels and annotations. */
  metadata: { labels?: Labels; annotations?: Labels };
  /** A pod's specification. */
  pod: any;
  /** Its containers and init containers. */
  containers: Container[];
  /** True where it goes on for ever: Deployments and StatefulSets. */
  serves: boolean;
}

export function titleOf({ kind, metadata }: Manifest): string {
  return `${kind}/${metadata.name}`;
}

export function ofKind(manifests: Manifest[], ...kinds: string[]): Manifest[] {
  return manifests.filter(({ kind }) => kinds.includes(kind));
}

/** The names of all objects of a kind. */
export function namesOf(manifests: Manifest[], kind: string): Set<string> {
  return new Set(ofKind(manifests, kind).map(({ metadata }) => metadata.name));
}

export function workloadsOf(manifests: Manifest[]): Workload[] {
  return manifests.flatMap((manifest) => {
    const template = podTemplateOf(manifest);
    if (!template) return [];
    const { spec: pod, metadata = {} } = template;
    return {
      title: titleOf(manifest),
      kind: manifest.kind,
      name: manifest.metadata.name,
      manifest,
      metadata,
      pod,
      containers: [...(pod.initContainers ?? []), ...pod.containers] as Container[],
      serves: ["Deployment", "StatefulSet", "DaemonSet"].includes(manifest.kind),
    };
  });
}

function podTemplateOf(manifest: Manifest): { metadata?: Workload["metadata"]; spec: any } | undefined {
  if (manifest.kind === "Pod") return manifest as { spec: any };
  if (manifest.kind === "CronJob") return manifest.spec.jobTemplate.spec.template;
  return ["Deployment", "StatefulSet", "DaemonSet", "Job"].includes(manifest.kind) ? manifest.spec.template : undefined;
}

/** A LabelSelector, or a plain map of labels as Services have it. An empty one selects all. */
export function selects(selector: any, labels: Labels = {}): boolean {
  const plain = selector?.matchLabels ?? (selector?.matchExpressions ? {} : (selector ?? {}));
  const expressions = (selector?.matchExpressions ?? []) as { key: string; operator: string; values?: string[] }[];
  return (
    Object.entries(plain).every(([key, value]) => labels[key] === value) &&
    expressions.every(({ key, operator, values = [] }) => {
      if (operator === "In") return values.includes(labels[key] ?? "");
      if (operator === "NotIn") return !values.includes(labels[key] ?? "");
      return key in labels === (operator === "Exists");
    })
  );
}

/** The port number of a pod that a name or a number means; undefined where a name is that of none. */
export function portNumber(port: string | number, workload: Workload): number | undefined {
  if (typeof port === "number") return port;
  const ports = workload.containers.flatMap((container) => container.ports ?? []);
  return ports.find(({ name }) => name === port)?.containerPort;
}
