import { Problem } from "@crowdcrunch/kit/program";
import { newSecret, passwordKey, secretKeys } from "@crowdcrunch/shop/secrets";
import type { Kubernetes, KubernetesObject, Resource } from "./kubernetes.ts";
import { untilThere } from "./progress.ts";
import type { Say } from "./progress.ts";

export interface Secret extends KubernetesObject {
  type?: string;
  /** In base64. */
  data?: Record<string, string>;
  /** As it is, when it is written. */
  stringData?: Record<string, string>;
}

export const secrets: Resource<Secret> = { apiVersion: "v1", plural: "secrets" };

/** What is in a Secret, as text. */
export function textsOf({ data = {} }: Secret): Record<string, string> {
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value, "base64").toString("utf8")]),
  );
}

/** The keys that a shop's Secret must have, for these roles. */
export function keysOfSecret(roles: string[], { adminPassword }: { adminPassword: boolean }): string[] {
  return [...(adminPassword ? [passwordKey("postgres")] : []), ...roles.map(passwordKey), ...Object.values(secretKeys)];
}

/** The sentence about what is wrong with a Secret that was given; undefined where it is good. */
export function faultOfSecret(
  name: string,
  texts: Record<string, string>,
  { keys, roles }: { keys: string[]; roles: string[] },
): string | undefined {
  const missing = keys.filter((key) => !texts[key]);
  if (missing.length > 0) {
    return `The Secret ${name} has no ${missing.join(", ")}: add what is missing, or let the setup make a Secret by leaving secrets.existingSecret empty.`;
  }
  const unsafe = roles.map(passwordKey).filter((key) => !/^[\w.~-]+$/.test(texts[key]!));
  if (unsafe.length > 0) {
    return `In the Secret ${name} ${unsafe.join(", ")} cannot stand in a URL: take passwords of letters, digits and - . _ ~ alone, for example from openssl rand -hex 24.`;
  }
  return undefined;
}

export interface ShopSecrets {
  kubernetes: Kubernetes;
  name: string;
  /** False where others make it. */
  make: boolean;
  labels: Record<string, string>;
  roles: string[];
  /** True where the password of Postgres' superuser comes from it. */
  adminPassword: boolean;
  say: Say;
}

/**
 * Sees to it that the shop's Secret is complete, and resolves to its texts. What exists stays. One that others make is
 * waited for; throws a Problem where it lacks something. It has no owner: it outlives the release, as the volumes do.
 */
export async function ensureSecrets(options: ShopSecrets): Promise<Record<string, string>> {
  const { kubernetes, name, make, labels, roles, say } = options;
  const keys = keysOfSecret(roles, { adminPassword: make || options.adminPassword });
  return untilThere(`the Secret ${name}`, say, async (waiting) => {
    const found = await kubernetes.read(secrets, name);
    const texts = found ? textsOf(found) : {};
    const missing = keys.filter((key) => !texts[key]);
    if (make && missing.length > 0) {
      const stringData = Object.fromEntries(missing.map((key) => [key, newSecret()]));
      // Where another Job was faster, what it made is read again and counts.
      const done = found
        ? await kubernetes.patch(secrets, name, {
            metadata: { resourceVersion: found.metadata.resourceVersion },
            stringData,
          })
        : await kubernetes.create(secrets, {
            apiVersion: "v1",
            kind: "Secret",
            metadata: { name, labels },
            type: "Opaque",
            stringData,
          });
      if (done) say(`The Secret ${name} has ${found ? `got ${missing.join(", ")}` : "been made"}.`);
      return undefined;
    }
    if (!found) {
      waiting("nobody has made it yet; secrets.existingSecret names it.");
      return undefined;
    }
    const fault = faultOfSecret(name, texts, { keys, roles });
    if (fault) throw new Problem(fault);
    return texts;
  });
}
