/** Who may call whom by the rendered policies, worked out as a network plugin and a mesh do it. */
import { ofKind, portNumber, selects } from "./manifests.ts";
import type { Manifest, Workload } from "./manifests.ts";
import type { Rendered } from "./render.ts";

/** A call of a pod to another's port; `port` is the number that the container listens on. */
export interface Call {
  from: Workload;
  to: Workload;
  port: number;
}

/** By the NetworkPolicies: what leaves the one and what arrives at the other. */
export function networkAllows(manifests: Manifest[], { from, to, port }: Call): boolean {
  const policies = ofKind(manifests, "NetworkPolicy");
  return (
    directionAllows(
      policies,
      "Egress",
      from,
      (rule) => peersInclude(rule.to, to) && portsInclude(rule.ports, port, to),
    ) &&
    directionAllows(
      policies,
      "Ingress",
      to,
      (rule) => peersInclude(rule.from, from) && portsInclude(rule.ports, port, to),
    )
  );
}

/** Where no policy of a direction selects a pod it is open; else one rule must let the call through. */
function directionAllows(
  policies: Manifest[],
  direction: "Ingress" | "Egress",
  pod: Workload,
  matches: (rule: any) => boolean,
): boolean {
  const applying = policies.filter(
    ({ spec }) => spec.policyTypes.includes(direction) && selects(spec.podSelector, pod.metadata.labels),
  );
  if (applying.length === 0) return true;
  return applying.some(({ spec }) => (spec[direction.toLowerCase()] ?? []).some(matches));
}

function peersInclude(peers: any[] | undefined, pod: Workload): boolean {
  // Peers of other namespaces, and addresses, are not pods of the shop.
  const own = (peer: any) => peer.podSelector && !peer.namespaceSelector;
  return !peers || peers.some((peer) => own(peer) && selects(peer.podSelector, pod.metadata.labels));
}

function portsInclude(ports: any[] | undefined, port: number, to: Workload): boolean {
  return !ports || ports.some((own) => own.port === undefined || portNumber(own.port, to) === port);
}

/** By the AuthorizationPolicies of the mesh, whatever the path and the method. */
export function meshAllows({ manifests, namespace }: Rendered, { from, to, port }: Call): boolean {
  const applying = ofKind(manifests, "AuthorizationPolicy").filter(
    ({ spec = {} }) => !spec.targetRefs && selects(spec.selector, to.metadata.labels),
  );
  const allowing = applying.filter(({ spec = {} }) => (spec.action ?? "ALLOW") === "ALLOW");
  if (allowing.length === 0) return true;
  const identity = `/ns/${namespace}/sa/${from.pod.serviceAccountName}`;
  const isCaller = ({ source }: any) =>
    !source.principals || source.principals.some((name: string) => name.endsWith(identity));
  return allowing.some(({ spec = {} }) =>
    (spec.rules ?? []).some(
      (rule: any) =>
        (!rule.from || rule.from.some(isCaller)) &&
        (!rule.to || rule.to.some(({ operation }: any) => !operation.ports || operation.ports.includes(String(port)))),
    ),
  );
}

/** The pods behind a Service's port, each with the number that it listens on. */
export function behind(service: Manifest, port: number, workloads: Workload[]): { to: Workload; port: number }[] {
  const target = service.spec.ports.find((own: any) => own.port === port);
  if (!target) return [];
  return workloads
    .filter(({ metadata }) => selects(service.spec.selector, metadata.labels))
    .flatMap((to) => {
      const number = portNumber(target.targetPort ?? target.port, to);
      return number === undefined ? [] : [{ to, port: number }];
    });
}
