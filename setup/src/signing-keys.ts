/** The keys of access tokens in a cluster: private ones in a Secret, public ones for everybody. */
import { isDeepStrictEqual } from "node:util";
import type { KeyStore } from "@crowdcrunch/kit/key-rotation";
import { Problem } from "@crowdcrunch/kit/program";
import { generateSigningKey, publicKeyOf } from "@crowdcrunch/kit/signing-keys";
import type { JWK } from "jose";
import type { Kubernetes } from "./kubernetes.ts";
import { untilThere } from "./progress.ts";
import type { Say } from "./progress.ts";
import type { PublicKeys, Published } from "./public-keys.ts";
import { secrets, textsOf } from "./shop-secrets.ts";
import type { Secret } from "./shop-secrets.ts";

const signingKey = "signing-key.json";
const nextKey = "next-signing-key.json";
/** When the key that signs began to, as the API writes times. */
const signingSince = "crowdcrunch/signing-since";

export interface SigningKeys {
  kubernetes: Kubernetes;
  publicKeys: PublicKeys;
  /** Of the Secret. */
  name: string;
  /** False where others make it. */
  make: boolean;
  labels: Record<string, string>;
  say: Say;
}

interface PrivateKeys {
  signing: JWK;
  next?: JWK;
}

/** The private keys in a Secret. Throws a Problem that names it where one is none. */
export function privateKeysOf(secret: Secret): PrivateKeys {
  const texts = textsOf(secret);
  const { name } = secret.metadata;
  const next = texts[nextKey];
  return {
    signing: parseKey(texts[signingKey], `${signingKey} of the Secret ${name}`),
    ...(next ? { next: parseKey(next, `${nextKey} of the Secret ${name}`) } : {}),
  };
}

function parseKey(text: string | undefined, where: string): JWK {
  try {
    const key = JSON.parse(text ?? "") as JWK;
    if (key.kty === "EC" && key.crv === "P-256" && key.d && key.kid) return key;
  } catch {
    // Said below; what stands there is not repeated.
  }
  throw new Problem(
    `${where} is not a private key for ES256 with a key id, as JSON (kty, crv, x, y, d, kid): bring it back from a backup; make up makes such a key in var/secrets.`,
  );
}

/** What is published once these keys of our own are: the others, and ours as they are. */
export function publishedWith(published: JWK[], own: JWK[]): JWK[] {
  const ids = new Set(own.map(({ kid }) => kid));
  return [...published.filter(({ kid }) => !ids.has(kid)), ...own];
}

/** Sees to it that there is a key that signs, and that everybody knows it: also the mesh, and also one that others made. */
export async function ensureKeys(keys: SigningKeys): Promise<void> {
  const { publicKeys, say } = keys;
  for (;;) {
    const { signing, next } = await ensurePrivateKeys(keys);
    const own = [signing, ...(next ? [next] : [])].map(publicKeyOf);
    const published = await publicKeys.read();
    const known = own.every((key) => published?.keys.some((other) => isDeepStrictEqual(other, key)));
    if (published && known) return publicKeys.tellMesh(published.keys);
    if (await publicKeys.publish(publishedWith(published?.keys ?? [], own), published)) {
      return say(`The public key ${own.map(({ kid }) => kid).join(", ")} is published.`);
    }
  }
}

async function ensurePrivateKeys({ kubernetes, name, make, labels, say }: SigningKeys): Promise<PrivateKeys> {
  return untilThere(`the Secret ${name}`, say, async (waiting) => {
    const found = await kubernetes.read(secrets, name);
    if (found) return privateKeysOf(found);
    if (!make) {
      waiting("nobody has made it yet; secrets.existingSigningKey names it.");
      return undefined;
    }
    const { privateKey } = await generateSigningKey();
    const made = await kubernetes.create(secrets, {
      apiVersion: "v1",
      kind: "Secret",
      // No owner: it outlives the release, as the volumes do.
      metadata: { name, labels, annotations: { [signingSince]: new Date().toISOString() } },
      type: "Opaque",
      stringData: { [signingKey]: JSON.stringify(privateKey) },
    });
    if (made) say(`The Secret ${name} has been made, with the key ${privateKey.kid}.`);
    // Where another Job was faster, its key counts.
    return undefined;
  });
}

/** The keys as a rotation sees them. Each step changes what was read last, and nothing that somebody changed since. */
export function clusterKeys({ kubernetes, publicKeys, name }: SigningKeys): KeyStore {
  let secretVersion: string | undefined;
  let published: Published | undefined;

  function change(done: boolean): void {
    if (!done)
      throw new Problem("The keys were changed by somebody else meanwhile; run this again, it goes on from there.");
  }

  return {
    async read() {
      const secret = await kubernetes.read(secrets, name);
      published = await publicKeys.read();
      if (!secret || !published) {
        throw new Problem(`The Secret ${name} or its public keys are gone; run this again, it makes what is missing.`);
      }
      const { resourceVersion, annotations } = secret.metadata;
      secretVersion = resourceVersion;
      return {
        ...privateKeysOf(secret),
        published: published.keys,
        publishedAtMs: published.atMs,
        // Where others made the switch nobody knows when: it counts from now.
        signingSinceMs: Date.parse(annotations?.[signingSince] ?? "") || Date.now(),
      };
    },
    async keepNext(next) {
      const metadata = { resourceVersion: secretVersion };
      change(await kubernetes.patch(secrets, name, { metadata, stringData: { [nextKey]: JSON.stringify(next) } }));
    },
    async publish(keys) {
      change(await publicKeys.publish(keys, published));
    },
    async switchTo(next) {
      const annotations = { [signingSince]: new Date().toISOString() };
      change(
        await kubernetes.patch(secrets, name, {
          metadata: { resourceVersion: secretVersion, annotations },
          data: { [nextKey]: null },
          stringData: { [signingKey]: JSON.stringify(next) },
        }),
      );
    },
  };
}
