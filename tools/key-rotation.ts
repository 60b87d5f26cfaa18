/** The keys of a laptop's shop as the files that users and everybody else read. */
import { existsSync, readFileSync, renameSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import type { KeyStore } from "@crowdcrunch/kit/key-rotation";
import type { JSONWebKeySet, JWK } from "jose";
import { Problem } from "./environment.ts";
import { jwksFile, signingKeyFile, writePrivate } from "./secrets.ts";

/** The private key that is published and does not sign yet. */
const nextKeyFile = "secrets/next-signing-key.json";

/** The files in varDir. When a step was taken is seen from when its file was written. */
export function keyFiles(varDir: string): KeyStore {
  const signingFile = join(varDir, signingKeyFile);
  const nextFile = join(varDir, nextKeyFile);
  const publicFile = join(varDir, jwksFile);
  return {
    async read() {
      return {
        signing: readKey(signingFile),
        ...(existsSync(nextFile) ? { next: readKey(nextFile) } : {}),
        published: readSet(publicFile),
        publishedAtMs: statSync(publicFile).mtimeMs,
        signingSinceMs: statSync(signingFile).mtimeMs,
      };
    },
    async keepNext(next) {
      writePrivate(nextFile, next);
    },
    async publish(keys) {
      writePrivate(publicFile, { keys });
    },
    async switchTo() {
      // Tokens of the old key end so much later: from now on it counts.
      const now = new Date();
      utimesSync(nextFile, now, now);
      renameSync(nextFile, signingFile);
    },
  };
}

function readKey(file: string): JWK {
  const key = readJson(file) as JWK;
  if (!key.kid || !key.d) throw new Problem(`${file} holds no private key with a key id; bring it back from a backup.`);
  return key;
}

function readSet(file: string): JWK[] {
  const set = readJson(file) as Partial<JSONWebKeySet>;
  if (!Array.isArray(set.keys)) throw new Problem(`${file} is no set of keys; bring it back from a backup.`);
  return set.keys;
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
