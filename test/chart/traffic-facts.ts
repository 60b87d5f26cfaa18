/** Every address that a process is told leads to somebody who takes its calls. */
import { namesOf, ofKind, selects, titleOf, workloadsOf } from "./manifests.ts";
import type { Manifest, Workload } from "./manifests.ts";
import { behind, meshAllows, networkAllows } from "./reach.ts";
import type { Rendered } from "./render.ts";
import { environmentOf } from "./variables.ts";

/** Hosts in `givenHosts` are there without being rendered. */
export function problemsOfTraffic(shop: Rendered, givenHosts: string[] = []): string[] {
  const { manifests } = shop;
  const workloads = workloadsOf(manifests);
  return [
    ...workloads.flatMap((workload) => calls(shop, workload, workloads, givenHosts)),
    ...policySelectors(manifests, workloads),
    ...ofKind(manifests, "AuthorizationPolicy").flatMap((policy) => principals(policy, shop)),
    ...routes(shop, workloads),
  ];
}

/** Addresses inside are plain names of Services; those outside have dots. */
function calls(shop: Rendered, from: Workload, workloads: Workload[], givenHosts: string[]): string[] {
  return from.containers.flatMap((container) => {
    const { environment } = environmentOf(container, shop.manifests);
    // The Job is told of Kafka so that it closes the other event log; it does not speak to it.
    if (container.name === "setup") delete environment["KAFKA_BROKERS"];
    return addressesIn(environment).flatMap(({ variable, host, port }) => {
      const service = ofKind(shop.manifests, "Service").find(({ metadata }) => metadata.name === host);
      if (givenHosts.includes(host)) return [];
      const title = `${from.title}: ${variable} leads to ${host}:${port}`;
      if (!service) return [`${title}, which is not there`];
      const targets = behind(service, port, workloads);
      if (targets.length === 0) return [`${title}, where nobody listens`];
      return targets.flatMap((target) => {
        const call = { from, ...target };
        return [
          ...(networkAllows(shop.manifests, call) ? [] : [`${title}, and NetworkPolicies refuse it`]),
          ...(meshAllows(shop, call) ? [] : [`${title}, and AuthorizationPolicies refuse it`]),
        ];
      });
    });
  });
}

function addressesIn(environment: Record<string, string>): { variable: string; host: string; port: number }[] {
  const { POSTGRES_HOST: host, POSTGRES_PORT: port } = environment;
  const texts = Object.entries(environment).flatMap(([variable, value]) =>
    (variable === "KAFKA_BROKERS" ? value.split(",").map((broker) => `kafka://${broker}`) : [value]).map((text) => ({
      variable,
      text,
    })),
  );
  if (host && port) texts.push({ variable: "POSTGRES_HOST", text: `postgres://${host}:${port}` });
  return texts.flatMap(({ variable, text }) => {
    // Links for people lead to where shoppers are, not to a Service.
    if (!/^(https?|postgres|kafka):\/\//.test(text) || variable.includes("PUBLIC_URL")) return [];
    const url = new URL(text);
    if (url.hostname.includes(".")) return [];
    return [{ variable, host: url.hostname, port: Number(url.port) }];
  });
}

const withSelectors = ["AuthorizationPolicy", "RequestAuthentication", "PeerAuthentication", "Telemetry", "Sidecar"];

function policySelectors(manifests: Manifest[], workloads: Workload[]): string[] {
  const found = (selector: any) => workloads.some(({ metadata }) => selects(selector, metadata.labels));
  return [
    ...ofKind(manifests, "NetworkPolicy").flatMap((policy) => {
      const rules = [...(policy.spec.ingress ?? []), ...(policy.spec.egress ?? [])];
      const peers = rules.flatMap((rule: any) => [...(rule.from ?? []), ...(rule.to ?? [])]);
      const selectors = [
        policy.spec.podSelector,
        ...peers
          .filter((peer: any) => !peer.namespaceSelector && peer.podSelector)
          .map((peer: any) => peer.podSelector),
      ];
      return selectors.filter((selector) => !found(selector)).map((selector) => ({ policy, selector }));
    }),
    ...ofKind(manifests, ...withSelectors)
      .map((policy) => ({ policy, selector: policy.spec?.selector ?? policy.spec?.workloadSelector?.labels }))
      .filter(({ selector }) => !found(selector)),
  ].map(({ policy, selector }) => `${titleOf(policy)} selects ${JSON.stringify(selector)}, which no pod is`);
}

/** No checker of Istio's notices an account that does not exist. */
function principals(policy: Manifest, { manifests, namespace }: Rendered): string[] {
  const accounts = namesOf(manifests, "ServiceAccount");
  // Istio makes an account for each Gateway of the Gateway API.
  for (const { apiVersion, metadata } of ofKind(manifests, "Gateway")) {
    if (apiVersion.startsWith("gateway.networking.k8s.io/")) accounts.add(`${metadata.name}-istio`);
  }
  const named = (policy.spec?.rules ?? []).flatMap((rule: any) =>
    (rule.from ?? []).flatMap(({ source }: any) => [...(source.principals ?? []), ...(source.notPrincipals ?? [])]),
  ) as string[];
  return named.flatMap((principal) => {
    const [, place, account] = /^[^/]+\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(principal) ?? [];
    if (!place || !account) return [`${titleOf(policy)}: ${principal} is no account`];
    if (place !== namespace || accounts.has(account)) return [];
    return [`${titleOf(policy)}: there is no ServiceAccount ${account}`];
  });
}

/** Hosts, ports and subsets of the mesh's routes, and the gateways they are bound to. */
function routes(shop: Rendered, workloads: Workload[]): string[] {
  const { manifests, namespace } = shop;
  const serviceOf = (host: string) => {
    const [name, ...rest] = host.split(".");
    const here = [``, namespace, `${namespace}.svc`, `${namespace}.svc.cluster.local`].includes(rest.join("."));
    return here ? ofKind(manifests, "Service").find(({ metadata }) => metadata.name === name) : undefined;
  };
  const rules = ofKind(manifests, "DestinationRule");
  const problems: string[] = [];
  const need = (manifest: Manifest, host: string, port?: number, subset?: string) => {
    const service = serviceOf(host);
    const title = `${titleOf(manifest)}: host ${host}`;
    if (!service) return void problems.push(`${title} is no Service`);
    const ports = service.spec.ports as { port: number }[];
    if (port !== undefined && !ports.some((own) => own.port === port)) problems.push(`${title} has no port ${port}`);
    // Inside a mesh a route without a port goes on to the port that was asked; what comes from outside asked another.
    const fromOutside =
      manifest.kind === "HTTPRoute" || manifest.spec.gateways?.some((name: string) => name !== "mesh");
    if (port === undefined && ports.length > 1 && fromOutside)
      problems.push(`${title} has several ports, and none is named`);
    const subsets = rules
      .filter(({ spec }) => serviceOf(spec.host) === service)
      .flatMap(({ spec }) => spec.subsets ?? []);
    if (subset !== undefined && !subsets.some(({ name }: any) => name === subset)) {
      problems.push(`${title} has no subset ${subset}`);
    }
  };
  for (const rule of rules) {
    need(rule, rule.spec.host);
    for (const { name, labels } of rule.spec.subsets ?? []) {
      const selector = serviceOf(rule.spec.host)?.spec.selector;
      const some = workloads.some(
        ({ metadata }) => selects(selector, metadata.labels) && selects(labels, metadata.labels),
      );
      if (!some) problems.push(`${titleOf(rule)}: no pod is of the subset ${name}`);
    }
  }
  const gateways = namesOf(manifests, "Gateway");
  for (const service of ofKind(manifests, "VirtualService")) {
    const { hosts, gateways: bound = ["mesh"], http = [], tcp = [] } = service.spec;
    if (bound.includes("mesh")) for (const host of hosts) need(service, host, serviceOf(host)?.spec.ports[0].port);
    for (const gateway of bound) {
      if (gateway !== "mesh" && !gateways.has(gateway))
        problems.push(`${titleOf(service)}: there is no Gateway ${gateway}`);
    }
    for (const route of [...http, ...tcp]) {
      for (const { destination } of [...(route.route ?? []), ...(route.mirrors ?? [])]) {
        need(service, destination.host, destination.port?.number, destination.subset);
      }
    }
  }
  for (const route of ofKind(manifests, "HTTPRoute")) {
    for (const parent of route.spec.parentRefs) {
      const there = namesOf(manifests, parent.kind ?? "Gateway").has(parent.name);
      if (!there && !parent.namespace)
        problems.push(`${titleOf(route)}: there is no ${parent.kind ?? "Gateway"} ${parent.name}`);
    }
    for (const { backendRefs = [] } of route.spec.rules) {
      for (const { name, port } of backendRefs) need(route, name, port);
    }
  }
  return problems;
}
