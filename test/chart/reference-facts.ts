/** What one object says of another: nothing may dangle. */
import { namesOf, ofKind, portNumber, selects, titleOf, workloadsOf } from "./manifests.ts";
import type { Manifest, Workload } from "./manifests.ts";
import type { Rendered } from "./render.ts";

/** Names of objects that are there without being rendered, and the keys of the Secrets among them. */
export interface Given {
  /** By name; undefined where any key will do. */
  secrets: Map<string, Set<string> | undefined>;
  configMaps: Set<string>;
}

export function problemsOfReferences(shop: Rendered, given: Given): string[] {
  const { manifests } = shop;
  const workloads = workloadsOf(manifests);
  return [
    ...identity(shop),
    ...workloads.flatMap((workload) => [
      ...ownSelector(workload, workloads),
      ...usedObjects(workload, manifests, given),
    ]),
    ...ofKind(manifests, "Service").flatMap((service) => servicePorts(service, workloads)),
    ...unusedPorts(manifests, workloads),
    ...ofKind(manifests, "PodDisruptionBudget").flatMap((budget) =>
      selectsSomething(budget, budget.spec.selector, workloads),
    ),
    ...ofKind(manifests, "HorizontalPodAutoscaler").flatMap((scaler) => scaled(scaler, workloads)),
    ...ofKind(manifests, "RoleBinding").flatMap((binding) => bound(binding, manifests)),
    ...ofKind(manifests, "Ingress").flatMap((ingress) => ingressBackends(ingress, manifests)),
  ];
}

/** Objects are there once, in the release's namespace, with names and labels that Kubernetes takes. */
function identity({ manifests, namespace }: Rendered): string[] {
  const problems: string[] = [];
  const seen = new Set<string>();
  for (const manifest of manifests) {
    const { name, namespace: own, labels = {} } = manifest.metadata;
    const title = titleOf(manifest);
    const identified = `${manifest.apiVersion} ${title} ${own ?? ""}`;
    if (seen.has(identified)) problems.push(`${title} is rendered twice`);
    seen.add(identified);
    if (own !== undefined && own !== namespace) problems.push(`${title} is in the namespace ${own}`);
    if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name) || name.length > 63) problems.push(`${title} is no valid name`);
    for (const label of ["name", "instance", "version", "component", "part-of", "managed-by"]) {
      if (!labels[`app.kubernetes.io/${label}`]) problems.push(`${title} has no label app.kubernetes.io/${label}`);
    }
  }
  for (const workload of workloadsOf(manifests)) {
    for (const label of ["app", "version"]) {
      if (!workload.metadata.labels?.[label]) problems.push(`${workload.title}: its pods have no label ${label}`);
    }
  }
  for (const [label, value] of manifests.flatMap(allLabels)) {
    if (!/^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/.test(value)) {
      problems.push(`label ${label} has the value "${value}", which Kubernetes refuses`);
    }
  }
  return problems;
}

function allLabels(manifest: Manifest): [string, string][] {
  const pods = workloadsOf([manifest]).map(({ metadata }) => metadata.labels ?? {});
  return [manifest.metadata.labels ?? {}, ...pods].flatMap(Object.entries);
}

/** A Deployment that selects the pods of another would kill them. */
function ownSelector(workload: Workload, all: Workload[]): string[] {
  const selector = workload.manifest.spec?.selector;
  if (!workload.serves) return [];
  return all.flatMap((other) => {
    const selected = selects(selector, other.metadata.labels);
    if (other === workload) return selected ? [] : [`${workload.title} does not select its own pods`];
    return selected ? [`${workload.title} selects the pods of ${other.title}`] : [];
  });
}

/** Accounts, ConfigMaps, Secrets and their keys, and volumes. */
function usedObjects({ title, pod, containers, manifest }: Workload, manifests: Manifest[], given: Given): string[] {
  const problems: string[] = [];
  const account = pod.serviceAccountName;
  if (!namesOf(manifests, "ServiceAccount").has(account)) problems.push(`runs as ServiceAccount ${account}`);
  const needConfigMap = (name: string) => {
    if (!namesOf(manifests, "ConfigMap").has(name) && !given.configMaps.has(name))
      problems.push(`uses ConfigMap ${name}`);
  };
  const needSecret = (name: string, key?: string) => {
    if (!given.secrets.has(name)) return void problems.push(`uses Secret ${name}`);
    const keys = given.secrets.get(name);
    if (keys && key !== undefined && !keys.has(key)) problems.push(`uses key ${key} of Secret ${name}`);
  };
  const volumes = new Set<string>();
  for (const { name, ...source } of pod.volumes ?? []) {
    volumes.add(name);
    if (source.configMap) needConfigMap(source.configMap.name);
    if (source.secret) needSecret(source.secret.secretName);
    for (const { key } of source.secret?.items ?? []) needSecret(source.secret.secretName, key);
  }
  for (const claim of manifest.spec?.volumeClaimTemplates ?? []) volumes.add(claim.metadata.name);
  const mounted = new Set<string>();
  for (const container of containers) {
    for (const { configMapRef, secretRef } of container.envFrom ?? []) {
      if (configMapRef) needConfigMap(configMapRef.name);
      if (secretRef) needSecret(secretRef.name);
    }
    for (const { valueFrom } of container.env ?? []) {
      if (valueFrom?.configMapKeyRef) needConfigMap(valueFrom.configMapKeyRef.name);
      if (valueFrom?.secretKeyRef) needSecret(valueFrom.secretKeyRef.name, valueFrom.secretKeyRef.key);
    }
    for (const { name } of container.volumeMounts ?? []) {
      mounted.add(name);
      if (!volumes.has(name)) problems.push(`mounts volume ${name}`);
    }
  }
  for (const volume of volumes)
    if (!mounted.has(volume)) problems.push(`has volume ${volume}, which no container mounts`);
  return problems.map((problem) => `${title} ${problem}${problem.startsWith("has") ? "" : ", which is not there"}`);
}

function selectsSomething(manifest: Manifest, selector: any, workloads: Workload[]): string[] {
  const found = workloads.some(({ metadata }) => selects(selector, metadata.labels));
  return found ? [] : [`${titleOf(manifest)} selects no pod`];
}

/** Protocols of a mesh are told by the names of ports. */
function servicePorts(service: Manifest, workloads: Workload[]): string[] {
  const title = titleOf(service);
  const selected = workloads.filter(({ metadata }) => selects(service.spec.selector, metadata.labels));
  if (selected.length === 0) return [`${title} selects no pod`];
  return (service.spec.ports as { name?: string; port: number; targetPort?: string | number }[]).flatMap(
    ({ name, port, targetPort = port }) => [
      ...(/^(http|grpc|tcp)(-|$)/.test(name ?? "") ? [] : [`${title}: port ${name ?? port} names no protocol`]),
      ...selected.flatMap((workload) => {
        const number = portNumber(targetPort, workload);
        const open = workload.containers.flatMap(({ ports = [] }) => ports).some((own) => own.containerPort === number);
        return open ? [] : [`${title}: port ${name ?? port} leads to ${targetPort}, which ${workload.title} has not`];
      }),
    ],
  );
}

/** A container's port is there for a Service, a probe or, in a cluster of its own, a neighbour. */
function unusedPorts(manifests: Manifest[], workloads: Workload[]): string[] {
  return workloads.flatMap((workload) => {
    const services = ofKind(manifests, "Service").filter(({ spec }) =>
      selects(spec.selector, workload.metadata.labels),
    );
    const wanted = [
      ...services.flatMap(({ spec }) => spec.ports.map((port: any) => port.targetPort ?? port.port)),
      ...workload.containers.flatMap((container) =>
        ["startupProbe", "readinessProbe", "livenessProbe"].map(
          (probe) => (container[probe]?.httpGet ?? container[probe]?.tcpSocket)?.port,
        ),
      ),
    ];
    return workload.containers
      .flatMap(({ ports = [] }) => ports)
      .filter(({ name, containerPort }) => !wanted.includes(name) && !wanted.includes(containerPort))
      .map(({ name, containerPort }) => `${workload.title}: nobody uses port ${name ?? containerPort}`);
  });
}

/** Whoever is scaled by load says no number of replicas, which each upgrade would go back to. */
function scaled(scaler: Manifest, workloads: Workload[]): string[] {
  const { kind, name } = scaler.spec.scaleTargetRef;
  const target = workloads.find((workload) => workload.kind === kind && workload.name === name);
  if (!target) return [`${titleOf(scaler)} scales ${kind}/${name}, which is not there`];
  const problems = "replicas" in target.manifest.spec ? [`${target.title} has replicas beside ${titleOf(scaler)}`] : [];
  for (const { containerResource } of scaler.spec.metrics) {
    if (containerResource && !target.containers.some((container) => container.name === containerResource.container)) {
      problems.push(`${titleOf(scaler)} measures container ${containerResource.container}, which is not there`);
    }
  }
  return problems;
}

function bound(binding: Manifest, manifests: Manifest[]): string[] {
  const { roleRef, subjects } = binding as unknown as { roleRef: any; subjects: any[] };
  return [
    ...(namesOf(manifests, roleRef.kind).has(roleRef.name) ? [] : [`${roleRef.kind} ${roleRef.name}`]),
    ...subjects
      .filter(({ kind, name }) => !namesOf(manifests, kind).has(name))
      .map(({ kind, name }) => `${kind} ${name}`),
  ].map((missing) => `${titleOf(binding)} names ${missing}, which is not there`);
}

function ingressBackends(ingress: Manifest, manifests: Manifest[]): string[] {
  const backends = [
    ingress.spec.defaultBackend,
    ...(ingress.spec.rules ?? []).flatMap((rule: any) => rule.http.paths.map((path: any) => path.backend)),
  ].filter(Boolean);
  return backends.flatMap(({ service: { name, port } }) => {
    const ports = ofKind(manifests, "Service").find(({ metadata }) => metadata.name === name)?.spec.ports ?? [];
    const found = ports.some((own: any) => own.name === port.name || own.port === port.number);
    return found ? [] : [`${titleOf(ingress)} leads to ${name}:${port.name ?? port.number}, which is not there`];
  });
}
