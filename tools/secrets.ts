import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { generateSigningKey } from "@crowdcrunch/kit/signing-keys";

export interface Secrets {
  /** Of the Postgres roles, by name; "postgres" is the superuser. */
  passwords: Record<string, string>;
  /** What payments shows to the provider. */
  providerApiKey: string;
  /** What the provider signs its callbacks with. */
  webhookSecret: string;
  /** What the links to an order are signed with. */
  orderLinkSecret: string;
  /** What the refresh cookies of guests are signed with. */
  guestCookieSecret: string;
  /** What the links to digital goods are signed with. */
  downloadSecret: string;
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
    passwords: Object.fromEntries(roles.map((role) => [role, known.passwords?.[role] ?? newSecret()])),
    providerApiKey: known.providerApiKey ?? newSecret(),
    webhookSecret: known.webhookSecret ?? newSecret(),
    orderLinkSecret: known.orderLinkSecret ?? newSecret(),
    guestCookieSecret: known.guestCookieSecret ?? newSecret(),
    downloadSecret: known.downloadSecret ?? newSecret(),
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

function newSecret(): string {
  return randomBytes(24).toString("base64url");
}

/** Writes JSON that only its owner can read; whoever reads the file meanwhile gets all of the old or all of the new. */
export function writePrivate(file: string, content: unknown): void {
  const unfinished = `${file}.new`;
  writeFileSync(unfinished, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
  renameSync(unfinished, file);
}
