/**
 * Gives the shop a new signing key without a failed request. The public key is published first, and signs when everybody
 * has read it; the old public key stays until the last token that it signed has ended. Where a rotation stands is seen
 * from the files alone, so that one which was broken off goes on where it was.
 */
import { existsSync, readFileSync, renameSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { tokenLifetimeSeconds } from "@crowdcrunch/kit/identity";
import { generateSigningKey } from "@crowdcrunch/kit/signing-keys";
import type { JSONWebKeySet, JWK } from "jose";
import { Problem } from "./environment.ts";
import { jwksFile, signingKeyFile, writePrivate } from "./secrets.ts";

/** The private key that is published and does not sign yet. */
const nextKeyFile = "secrets/next-signing-key.json";

/** Two lifetimes of a token: longer than anybody keeps keys or tokens, with room for clocks that differ. */
export const rotationWaitSeconds = 2 * tokenLifetimeSeconds;

/** The steps that are left: the next one and how long it must wait, in ms. */
export interface RotationStep {
  name: "publish" | "switch" | "retire";
  waitMs: number;
}

/** Where the rotation stands. Throws a Problem where there are no keys, or a file is no JSON. */
export function nextStep(varDir: string, waitSeconds: number): RotationStep {
  const current = readKey(join(varDir, signingKeyFile));
  const published = readSet(varDir);
  const nextFile = join(varDir, nextKeyFile);
  if (existsSync(nextFile) && published.keys.some(({ kid }) => kid === readKey(nextFile).kid)) {
    return { name: "switch", waitMs: remainingMs(nextFile, waitSeconds) };
  }
  if (published.keys.some(({ kid }) => kid !== current.kid)) {
    return { name: "retire", waitMs: remainingMs(join(varDir, signingKeyFile), waitSeconds) };
  }
  return { name: "publish", waitMs: 0 };
}

/** Takes one step; resolves to what was done, in words. */
export async function takeStep(varDir: string, step: RotationStep["name"]): Promise<string> {
  const nextFile = join(varDir, nextKeyFile);
  const published = readSet(varDir);
  switch (step) {
    case "publish": {
      const { privateKey, jwks } = await generateSigningKey();
      writePrivate(nextFile, privateKey);
      writePrivate(join(varDir, jwksFile), { keys: [...published.keys, ...jwks.keys] });
      touch(nextFile);
      return `The key ${privateKey.kid} is published; it does not sign yet.`;
    }
    case "switch": {
      const { kid } = readKey(nextFile);
      // Tokens of the old key end so much later: from now on it counts.
      touch(nextFile);
      renameSync(nextFile, join(varDir, signingKeyFile));
      return `The key ${kid} signs; tokens of the old one are good until they end.`;
    }
    case "retire": {
      const { kid } = readKey(join(varDir, signingKeyFile));
      const retired = published.keys.filter((key) => key.kid !== kid).map((key) => key.kid);
      writePrivate(join(varDir, jwksFile), { keys: published.keys.filter((key) => key.kid === kid) });
      return `The old key ${retired.join(", ")} is retired: what it signed is refused.`;
    }
  }
}

/** Does all the steps that are left, and waits before each until it is safe. */
export async function rotateKeys(options: {
  varDir: string;
  /** Default: two lifetimes of a token. Less than one makes sessions refresh early; less than 2 s fails requests. */
  waitSeconds?: number;
  say: (sentence: string) => void;
}): Promise<void> {
  const { varDir, waitSeconds = rotationWaitSeconds, say } = options;
  for (;;) {
    const { name, waitMs } = nextStep(varDir, waitSeconds);
    if (waitMs > 0) {
      say(
        `The step "${name}" waits until ${new Date(Date.now() + waitMs).toISOString()}; broken off, it goes on there.`,
      );
      await sleep(waitMs);
    }
    say(await takeStep(varDir, name));
    if (name === "retire") return;
  }
}

function remainingMs(since: string, waitSeconds: number): number {
  return Math.max(0, Math.ceil(statSync(since).mtimeMs + waitSeconds * 1_000 - Date.now()));
}

function touch(file: string): void {
  const now = new Date();
  utimesSync(file, now, now);
}

function readKey(file: string): JWK {
  const key = readJson(file) as JWK;
  if (!key.kid || !key.d) throw new Problem(`${file} holds no private key with a key id; bring it back from a backup.`);
  return key;
}

function readSet(varDir: string): JSONWebKeySet {
  const file = join(varDir, jwksFile);
  const set = readJson(file) as Partial<JSONWebKeySet>;
  if (!Array.isArray(set.keys)) throw new Problem(`${file} is no set of keys; bring it back from a backup.`);
  return set as JSONWebKeySet;
}

function readJson(file: string): unknown {
  if (!existsSync(file))
    throw new Problem(`${file} is missing: start the shop once with make up, which makes its keys.`);
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    throw new Problem(`${file} is not JSON; bring it back from a backup.`);
  }
}
