import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** What a refresh cookie says: which session of an account, with its secret, or which guest. */
export type RefreshCookie =
  | { kind: "ACCOUNT"; sessionId: string; secret: string }
  | { kind: "GUEST"; guestId: string; expiresAt: Date };

/** A secret that cannot be guessed, fit for cookies and URLs. */
export function newSecret(): string {
  return randomBytes(32).toString("base64url");
}

/** What is stored of a secret. */
export function hashOf(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}

/**
 * The refresh token after this one. It can be made again from the token and the salt, so that two tabs get the same,
 * though neither is stored: who reads the database has no token, and who has an old token lacks the salt.
 */
export function successorOf(secret: string, salt: Buffer): string {
  return createHmac("sha256", secret).update(salt).digest("base64url");
}

export function newSalt(): Buffer {
  return randomBytes(32);
}

export function accountCookie(sessionId: string, secret: string): string {
  return `a.${sessionId}.${secret}`;
}

/** A guest has no row: the cookie itself says who it is, signed with the service's secret. */
export function guestCookie(key: string, guestId: string, expiresAt: Date): string {
  const content = `g.${guestId}.${Math.floor(expiresAt.getTime() / 1_000)}`;
  return `${content}.${signature(key, content).toString("base64url")}`;
}

function signature(key: string, content: string): Buffer {
  return createHmac("sha256", key).update(content).digest();
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Reads a cookie; undefined for one that was not made here. That a guest's has not expired is for the caller to see. */
export function readRefreshCookie(key: string, cookie: string | undefined): RefreshCookie | undefined {
  if (cookie === undefined || cookie.length > 256) return undefined;
  const [kind, id = "", ...rest] = cookie.split(".");
  if (!uuid.test(id)) return undefined;
  if (kind === "a" && rest.length === 1) return { kind: "ACCOUNT", sessionId: id, secret: rest[0]! };
  if (kind !== "g" || rest.length !== 2) return undefined;
  const [seconds, signed] = rest as [string, string];
  const expected = signature(key, `g.${id}.${seconds}`);
  const given = Buffer.from(signed, "base64url");
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  return { kind: "GUEST", guestId: id, expiresAt: new Date(Number(seconds) * 1_000) };
}
