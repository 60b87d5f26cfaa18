import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { v7 as uuidv7 } from "uuid";
import { tokenLifetimeSeconds } from "../identity.ts";
import type { Role } from "../identity.ts";
import { generateSigningKey, signAccessToken } from "../signing-keys.ts";
import type { SigningKeyPair } from "../signing-keys.ts";

export interface TokenOptions {
  /** Whose token; a new person's where not given. */
  sub?: string;
  /** By default a shopper. */
  roles?: Role[];
  sid?: string;
  /** The only order that the token is for. */
  order?: string;
  /** Below zero the token has expired. Default 600. */
  expiresInSeconds?: number;
}

/** A pair of signing keys in files of their own, and tokens made with it. */
export interface TestKeys {
  pair: SigningKeyPair;
  jwksFile: string;
  signingKeyFile: string;
  signToken(options?: TokenOptions): Promise<string>;
  /** Removes the files. */
  remove(): Promise<void>;
}

export async function createTestKeys(): Promise<TestKeys> {
  const pair = await generateSigningKey();
  const folder = await mkdtemp(join(tmpdir(), "crowdcrunch-keys-"));
  const jwksFile = join(folder, "jwks.json");
  const signingKeyFile = join(folder, "signing-key.json");
  await writeFile(jwksFile, JSON.stringify(pair.jwks));
  await writeFile(signingKeyFile, JSON.stringify(pair.privateKey), { mode: 0o600 });
  return {
    pair,
    jwksFile,
    signingKeyFile,
    async signToken({ expiresInSeconds = tokenLifetimeSeconds, ...claims } = {}) {
      const issuedAt = new Date(Date.now() - (tokenLifetimeSeconds - expiresInSeconds) * 1_000);
      const defaults = { sub: uuidv7(), sid: uuidv7(), roles: ["SHOPPER"] satisfies Role[] };
      return (await signAccessToken(pair.privateKey, { ...defaults, ...claims, issuedAt })).token;
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
