/** The public keys, where the cluster has them: the ConfigMap that all pods read, and the mesh's RequestAuthentication. */
import { isDeepStrictEqual } from "node:util";
import { tokenAudience, tokenIssuer } from "@crowdcrunch/kit/identity";
import { Problem } from "@crowdcrunch/kit/program";
import type { JSONWebKeySet, JWK } from "jose";
import type { Kubernetes, KubernetesObject, OwnerReference, Resource } from "./kubernetes.ts";

export const jwksKey = "jwks.json";
/** When the keys were last published, as the API writes times. */
export const publishedAt = "crowdcrunch/published-at";

export interface ConfigMap extends KubernetesObject {
  data?: Record<string, string>;
}

export interface RequestAuthentication extends KubernetesObject {
  spec: Record<string, unknown>;
}

export const configMaps: Resource<ConfigMap> = { apiVersion: "v1", plural: "configmaps" };
export const requestAuthentications: Resource<RequestAuthentication> = {
  apiVersion: "security.istio.io/v1",
  plural: "requestauthentications",
};

/** The keys in a ConfigMap. Throws a Problem that names it where they cannot be read. */
export function keysOf({ metadata, data }: ConfigMap): JWK[] {
  try {
    const { keys } = JSON.parse(data?.[jwksKey] ?? "") as Partial<JSONWebKeySet>;
    if (Array.isArray(keys)) return keys;
  } catch {
    // Said below.
  }
  throw new Problem(
    `The ConfigMap ${metadata.name} has no set of keys in ${jwksKey}: remove it (kubectl delete configmap ${metadata.name}), and the setup makes it again at the next helm upgrade.`,
  );
}

/** What the mesh is told of tokens. */
export function requestAuthenticationSpec(keys: JWK[], selector: Record<string, string>): Record<string, unknown> {
  return {
    ...(Object.keys(selector).length === 0 ? {} : { selector: { matchLabels: selector } }),
    jwtRules: [
      {
        issuer: tokenIssuer,
        audiences: [tokenAudience],
        jwks: JSON.stringify({ keys }),
        // Each service checks the token by itself.
        forwardOriginalToken: true,
      },
    ],
  };
}

export interface PublicKeysOptions {
  kubernetes: Kubernetes;
  configMap: string;
  /** Undefined without a mesh. */
  requestAuthentication: string | undefined;
  selector: Record<string, string>;
  labels: Record<string, string>;
  /** With this both are removed. */
  owner: OwnerReference;
}

/** What is published at one moment. */
export interface Published {
  keys: JWK[];
  atMs: number;
  resourceVersion: string | undefined;
}

export interface PublicKeys {
  /** Undefined where nothing is published by this release. */
  read(): Promise<Published | undefined>;
  /**
   * Publishes these keys in place of those that were read; the mesh is told first, so that nobody signs with a key that
   * it refuses. False where somebody else has published meanwhile.
   */
  publish(keys: JWK[], instead: Published | undefined): Promise<boolean>;
  /** Tells the mesh what is published, where it has not been told. */
  tellMesh(keys: JWK[]): Promise<void>;
}

export function openPublicKeys(options: PublicKeysOptions): PublicKeys {
  const { kubernetes, configMap, requestAuthentication, selector, labels, owner } = options;
  const metadataOf = (name: string) => ({ name, labels, ownerReferences: [owner] });

  /** Of an object that a removed release has left for the garbage collector, none is there. */
  async function readOwn<Kind extends KubernetesObject>(
    resource: Resource<Kind>,
    name: string,
  ): Promise<Kind | undefined> {
    const found = await kubernetes.read(resource, name);
    if (!found || found.metadata.ownerReferences?.some(({ uid }) => uid === owner.uid)) return found;
    await kubernetes.remove(resource, name, found.metadata.uid!);
    return undefined;
  }

  async function tellMesh(keys: JWK[]): Promise<void> {
    if (requestAuthentication === undefined) return;
    const spec = requestAuthenticationSpec(keys, selector);
    const metadata = metadataOf(requestAuthentication);
    for (;;) {
      const found = await readOwn(requestAuthentications, requestAuthentication);
      if (found && isDeepStrictEqual(found.spec, spec)) return;
      const done = found
        ? await kubernetes.patch(requestAuthentications, requestAuthentication, {
            metadata: { resourceVersion: found.metadata.resourceVersion },
            // A selector that is not wanted any more is removed by null.
            spec: { selector: null, ...spec },
          })
        : await kubernetes.create(requestAuthentications, {
            apiVersion: requestAuthentications.apiVersion,
            kind: "RequestAuthentication",
            metadata,
            spec,
          });
      if (done) return;
    }
  }

  return {
    async read() {
      const found = await readOwn(configMaps, configMap);
      if (!found) return undefined;
      const { resourceVersion, annotations } = found.metadata;
      return { keys: keysOf(found), atMs: Date.parse(annotations?.[publishedAt] ?? "") || 0, resourceVersion };
    },
    async publish(keys, instead) {
      await tellMesh(keys);
      const data = { [jwksKey]: `${JSON.stringify({ keys }, null, 2)}\n` };
      const annotations = { [publishedAt]: new Date().toISOString() };
      return instead
        ? kubernetes.patch(configMaps, configMap, {
            metadata: { resourceVersion: instead.resourceVersion, annotations },
            data,
          })
        : kubernetes.create(configMaps, {
            apiVersion: "v1",
            kind: "ConfigMap",
            metadata: { ...metadataOf(configMap), annotations },
            data,
          });
    },
    tellMesh,
  };
}
