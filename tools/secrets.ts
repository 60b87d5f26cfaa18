import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { generateSigningKey } from "@crowdcrunch/kit/signing-keys";
import { newSecret, secretNames } from "@crowdcrunch/shop/secrets";
import type { SecretName } from "@crowdcrunch/shop/secrets";

/** The secrets of `secretNames` and the passwords. */
export interface Secrets extends Record<SecretName, string> {
  /** Of the Postgres roles, by name; "postgres" is the superuser. */
  passwords: Record<string, string>;
}

/** Files of the keys for access tokens: the private one is for users alone. */
export const signingKeyFile = "secrets/signing-key.json";
export const jwksFile = "secrets/jwks.json";

/**
 * Makes the secrets of a shop once, in varDir/secrets, which only its owner can read; what exists stays, roles that are
 * new get a password.
 */
export async function ensureSecrets(varDir: string, roles: string[]): Promise<Secrets> {
  const folder = join(varDir, "secrets");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);

  const file = join(folder, "secrets.json");
  const known = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Partial<Secrets>) : {};
  const secrets: Secrets = {
    ...(Object.fromEntries(secretNames.map((name) => [name, known[name] ?? newSecret()])) as Record<
      SecretName,
      string
    >),
    passwords: Object.fromEntries(roles.map((role) => [role, known.passwords?.[role] ?? newSecret()])),
  };
  const all = { ...secrets, passwords: { ...known.passwords, ...secrets.passwords } };
  if (!isDeepStrictEqual(all, known)) writePrivate(file, all);
  await ensureSigningKey(varDir);
  return secrets;
}

async function ensureSigningKey(varDir: string): Promise<void> {
  if (existsSync(join(varDir, signingKeyFile)) && existsSync(join(varDir, jwksFile))) return;
  const { privateKey, jwks } = await generateSigningKey();
  writePrivate(join(varDir, signingKeyFile), privateKey);
  writePrivate(join(varDir, jwksFile), jwks);
}

/** Writes JSON that only its owner can read; whoever reads the file meanwhile gets all of the old or all of the new. */
export function writePrivate(file: string, content: unknown): void {
  const unfinished = `${file}.new`;
  writeFileSync(unfinished, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
  renameSync(unfinished, file);
}
