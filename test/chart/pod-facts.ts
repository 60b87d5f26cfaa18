/** What holds for every pod of the chart, as lists of problems. */
import type { Container, Workload } from "./manifests.ts";
import { bytes, cores } from "./quantities.ts";

export function problemsOfPod(workload: Workload): string[] {
  return [
    ...security(workload),
    ...lifecycle(workload),
    ...workload.containers.flatMap((container) =>
      [...containerSecurity(workload, container), ...image(container), ...resources(container)].map(
        (problem) => `container ${container.name}: ${problem}`,
      ),
    ),
    ...(workload.serves ? workload.pod.containers.flatMap(probes) : []),
  ].map((problem) => `${workload.title}: ${problem}`);
}

const allowedVolumes = new Set([
  "configMap",
  "csi",
  "downwardAPI",
  "emptyDir",
  "ephemeral",
  "persistentVolumeClaim",
  "projected",
  "secret",
]);

/** https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, as far as it is about a pod. */
function security({ pod }: Workload): string[] {
  const problems: string[] = [];
  for (const field of ["hostNetwork", "hostPID", "hostIPC"]) if (pod[field]) problems.push(`${field} is set`);
  if (pod.securityContext?.sysctls) problems.push("sysctls are set");
  if (pod.enableServiceLinks !== false) problems.push("enableServiceLinks is not false");
  for (const { name, ...source } of pod.volumes ?? []) {
    const kind = Object.keys(source)[0] ?? "nothing";
    if (!allowedVolumes.has(kind)) problems.push(`volume ${name} is of the kind ${kind}`);
  }
  return problems;
}

function containerSecurity({ pod }: Workload, container: Container): string[] {
  const own = container["securityContext"] ?? {};
  const context = { ...pod.securityContext, ...own };
  const problems: string[] = [];
  if (context.runAsNonRoot !== true) problems.push("runAsNonRoot is not true");
  if (context.runAsUser === 0) problems.push("runs as root");
  // The kubelet cannot tell whether a user that an image names is root.
  if (!(context.runAsUser > 0)) problems.push("runAsUser is not set");
  if (!["RuntimeDefault", "Localhost"].includes(context.seccompProfile?.type))
    problems.push("seccompProfile is not set");
  if (own.allowPrivilegeEscalation !== false) problems.push("allowPrivilegeEscalation is not false");
  if (own.privileged) problems.push("is privileged");
  if (own.procMount && own.procMount !== "Default") problems.push("procMount is set");
  if (own.readOnlyRootFilesystem !== true) problems.push("readOnlyRootFilesystem is not true");
  if (!own.capabilities?.drop?.includes("ALL")) problems.push("capabilities do not drop ALL");
  for (const added of own.capabilities?.add ?? []) {
    if (added !== "NET_BIND_SERVICE") problems.push(`capability ${added} is added`);
  }
  for (const port of container.ports ?? []) if ("hostPort" in port) problems.push("has a hostPort");
  return problems;
}

/** An image is pinned by a tag other than latest, or by a digest. */
function image({ image: name }: Container): string[] {
  const tag = /[^/]+$/.exec(name)?.[0].split(/[:@]/)[1];
  if (!tag) return [`image ${name} has no tag`];
  return tag === "latest" ? [`image ${name} is the latest one`] : [];
}

function resources(container: Container): string[] {
  const { requests = {}, limits = {} } = container["resources"] ?? {};
  const problems: string[] = [];
  for (const [resource, amountOf] of [["cpu", cores] as const, ["memory", bytes] as const]) {
    const requested = requests[resource];
    const limit = limits[resource];
    if (requested === undefined) problems.push(`resources.requests.${resource} is not set`);
    if (limit === undefined) problems.push(`resources.limits.${resource} is not set`);
    if (requested !== undefined && limit !== undefined && amountOf(requested) > amountOf(limit)) {
      problems.push(`resources.requests.${resource} ${requested} is more than its limit ${limit}`);
    }
  }
  return problems;
}

function probes(container: Container): string[] {
  const problems: string[] = [];
  const names = new Set(container.ports?.map(({ name }) => name));
  for (const kind of ["startupProbe", "readinessProbe", "livenessProbe"]) {
    const probe = container[kind];
    if (!probe) {
      problems.push(`container ${container.name}: ${kind} is not set`);
      continue;
    }
    const port = (probe.httpGet ?? probe.tcpSocket)?.port;
    if (typeof port === "string" && !names.has(port)) {
      problems.push(`container ${container.name}: ${kind} asks port ${port}, which it has not`);
    }
  }
  // Whoever is restarted because another is gone only makes things worse.
  if (container["livenessProbe"]?.httpGet?.path === "/readyz") {
    problems.push(`container ${container.name}: livenessProbe looks at dependencies (/readyz)`);
  }
  return problems;
}

/** Nobody waits for others before its start, and whoever stops has the time for it. */
function lifecycle({ pod, serves, containers, manifest }: Workload): string[] {
  const problems: string[] = [];
  if (pod.initContainers?.length) problems.push("has init containers; services start in any order");
  if (!serves && !["Never", "OnFailure"].includes(pod.restartPolicy)) problems.push("restartPolicy is not set");
  if (manifest.kind !== "Deployment") return problems;
  for (const container of containers) {
    const sleepSeconds = container["lifecycle"]?.preStop?.sleep?.seconds ?? 0;
    if (sleepSeconds < 5) problems.push(`container ${container.name}: preStop does not sleep for 5 s`);
    if (pod.terminationGracePeriodSeconds < sleepSeconds + 5) {
      problems.push(`terminationGracePeriodSeconds leaves no time after preStop's ${sleepSeconds} s`);
    }
  }
  return problems;
}
