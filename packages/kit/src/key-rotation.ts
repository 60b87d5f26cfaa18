/**
 * Gives a shop a new signing key without a failed request. The public key is published first, and signs when everybody
 * has read it; the old public key stays until the last token that it signed has ended. Where a rotation stands is seen
 * from what is kept alone, so that one which was broken off goes on where it was.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { JWK } from "jose";
import { tokenLifetimeSeconds } from "./identity.ts";
import { generateSigningKey } from "./signing-keys.ts";

/** Two lifetimes of a token: longer than anybody keeps keys or tokens, with room for clocks that differ. */
export const rotationWaitSeconds = 2 * tokenLifetimeSeconds;

/** A shop's keys at one moment. */
export interface KeyRing {
  /** The private key that signs. */
  signing: JWK;
  /** The private key that is to sign next. */
  next?: JWK;
  /** The public keys that everybody checks tokens with. */
  published: JWK[];
  /** When the set was last published, in ms since 1970. */
  publishedAtMs: number;
  /** When the signing key began to sign, in ms since 1970. */
  signingSinceMs: number;
}

/** Where a shop's keys are kept: a laptop's files, a cluster's objects. Each call keeps all that it is given, or throws. */
export interface KeyStore {
  /** Throws a Problem where there are no keys, or they cannot be read. */
  read(): Promise<KeyRing>;
  /** Keeps the private key that is to sign next. */
  keepNext(next: JWK): Promise<void>;
  /** Publishes these keys in place of the others. */
  publish(published: JWK[]): Promise<void>;
  /** Lets the next key sign, and keeps it no longer as the next one. */
  switchTo(next: JWK): Promise<void>;
}

/** The steps that are left: the next one and how long it must wait, in ms. */
export interface RotationStep {
  name: "publish" | "switch" | "retire";
  waitMs: number;
}

/** Where the rotation of these keys stands. */
export function nextStep(ring: KeyRing, { waitSeconds, nowMs }: { waitSeconds: number; nowMs: number }): RotationStep {
  const { signing, next, published } = ring;
  const remainingMs = (sinceMs: number) => Math.max(0, Math.ceil(sinceMs + waitSeconds * 1_000 - nowMs));
  if (next && published.some(({ kid }) => kid === next.kid)) {
    return { name: "switch", waitMs: remainingMs(ring.publishedAtMs) };
  }
  if (published.some(({ kid }) => kid !== signing.kid)) {
    return { name: "retire", waitMs: remainingMs(ring.signingSinceMs) };
  }
  return { name: "publish", waitMs: 0 };
}

/** Takes one step; resolves to what was done, in words. */
export async function takeStep(store: KeyStore, step: RotationStep["name"]): Promise<string> {
  const { signing, next, published } = await store.read();
  switch (step) {
    case "publish": {
      const { privateKey, jwks } = await generateSigningKey();
      // Only what is kept may be published: broken off in between, the rotation begins again.
      await store.keepNext(privateKey);
      await store.publish([...published, ...jwks.keys]);
      return `The key ${privateKey.kid} is published; it does not sign yet.`;
    }
    case "switch": {
      await store.switchTo(next!);
      return `The key ${next!.kid} signs; tokens of the old one are good until they end.`;
    }
    case "retire": {
      const retired = published.filter(({ kid }) => kid !== signing.kid).map(({ kid }) => kid);
      await store.publish(published.filter(({ kid }) => kid === signing.kid));
      return `The old key ${retired.join(", ")} is retired: what it signed is refused.`;
    }
  }
}

/** Does all the steps that are left, and waits before each until it is safe. */
export async function rotateKeys(options: {
  store: KeyStore;
  /** Default: two lifetimes of a token. Less than one makes sessions refresh early; less than 2 s fails requests. */
  waitSeconds?: number;
  say: (sentence: string) => void;
}): Promise<void> {
  const { store, waitSeconds = rotationWaitSeconds, say } = options;
  for (;;) {
    const { name, waitMs } = nextStep(await store.read(), { waitSeconds, nowMs: Date.now() });
    if (waitMs > 0) {
      say(
        `The step "${name}" waits until ${new Date(Date.now() + waitMs).toISOString()}; broken off, it goes on there.`,
      );
      await sleep(waitMs);
    }
    say(await takeStep(store, name));
    if (name === "retire") return;
  }
}
