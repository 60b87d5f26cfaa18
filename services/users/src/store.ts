import { statement } from "@crowdcrunch/kit/database";
import type { Queryable } from "@crowdcrunch/kit/database";
import type { LinkPurpose, Role, User } from "./user.ts";

// Users, the root of everything here: each transaction that changes something of a user locks the user's row first.

/** A user's columns by the names of `User`. */
export const userColumns = `id, email, roles, email_verified_at IS NOT NULL AS "emailVerified", created_at AS "createdAt", version`;

/** A user and what the person signs in with. */
export interface Account extends User {
  passwordHash: string | null;
}

const clock = statement<{ now: Date }>("clock", `SELECT clock_timestamp() AS now`);
const accountByEmail = statement<Account>(
  "accountByEmail",
  `SELECT ${userColumns}, password_hash AS "passwordHash" FROM users WHERE email = $1`,
);
const insertUser = statement<User>(
  "userInsert",
  `INSERT INTO users (id, email, password_hash, roles, version) VALUES ($1, $2, $3, '{SHOPPER}', 0)
   ON CONFLICT (email) DO NOTHING RETURNING ${userColumns}`,
);
const lockAccounts = statement<Account>(
  "accountLock",
  `SELECT ${userColumns}, password_hash AS "passwordHash" FROM users WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE`,
);
const updateVersions = statement(
  "userVersion",
  `UPDATE users u SET version = n.version FROM unnest($1::uuid[], $2::int[]) AS n(id, version) WHERE u.id = n.id`,
);
const updatePassword = statement(
  "userPassword",
  `UPDATE users SET password_hash = $2, email_verified_at = coalesce(email_verified_at, now()) WHERE id = $1`,
);
const updateVerified = statement(
  "userVerified",
  `UPDATE users SET email_verified_at = coalesce(email_verified_at, now()) WHERE id = $1`,
);
const updateRoles = statement("userRoles", `UPDATE users SET roles = $2 WHERE id = $1`);
const eraseUsers = statement(
  "userErase",
  `UPDATE users SET email = NULL, password_hash = NULL, email_verified_at = NULL, roles = '{SHOPPER}', erased_at = now()
   WHERE id = ANY($1::uuid[])`,
);
const insertLink = statement<{ expiresAt: Date }>(
  "linkInsert",
  `INSERT INTO link_tokens (token_hash, user_id, purpose, email, expires_at)
   VALUES ($1, $2, $3, $4, now() + make_interval(mins => $5)) RETURNING expires_at AS "expiresAt"`,
);
const linkOwner = statement<{ userId: string }>(
  "linkOwner",
  `SELECT user_id AS "userId" FROM link_tokens WHERE token_hash = $1 AND purpose = $2 AND expires_at > now()`,
);
const takeLink = statement<{ userId: string; email: string }>(
  "linkTake",
  `DELETE FROM link_tokens WHERE token_hash = $1 AND purpose = $2 AND expires_at > now()
   RETURNING user_id AS "userId", email`,
);
const deleteLinks = statement(
  "linkDelete",
  `DELETE FROM link_tokens WHERE user_id = ANY($1::uuid[]) AND purpose = ANY($2::text[])`,
);
const insertResetRequest = statement("resetRequestInsert", `INSERT INTO reset_requests (id, email) VALUES ($1, $2)`);
const takeResetRequests = statement<{ email: string }>(
  "resetRequestTake",
  `DELETE FROM reset_requests
   WHERE id IN (SELECT id FROM reset_requests ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING email`,
);
const idsByEmail = statement<{ id: string }>("userIdsByEmail", `SELECT id FROM users WHERE email = ANY($1::text[])`);
const deleteExpired = statement(
  "expiredDelete",
  `WITH links AS (DELETE FROM link_tokens WHERE expires_at < now()),
        tried AS (DELETE FROM attempts WHERE last_at < now() - make_interval(secs => $1))
   DELETE FROM sessions WHERE expires_at < now()`,
);

/** The database's time at this moment, not at the transaction's start: after a lock it is later than all before it. */
export async function timeNow(db: Queryable): Promise<Date> {
  return (await db.one(clock))!.now;
}

export function findAccount(db: Queryable, email: string): Promise<Account | undefined> {
  return db.one(accountByEmail, [email]);
}

/** The new user; undefined where the address has an account. */
export function addUser(
  tx: Queryable,
  user: { id: string; email: string; passwordHash: string },
): Promise<User | undefined> {
  return tx.one(insertUser, [user.id, user.email, user.passwordHash]);
}

export async function lockAccount(tx: Queryable, id: string): Promise<Account | undefined> {
  return (await lockAllAccounts(tx, [id]))[0];
}

export function lockAllAccounts(tx: Queryable, ids: string[]): Promise<Account[]> {
  return tx.many(lockAccounts, [ids]);
}

/** Keeps the versions that emitting events has raised. */
export async function saveVersions(tx: Queryable, users: User[]): Promise<void> {
  await tx.run(updateVersions, [users.map(({ id }) => id), users.map(({ version }) => version)]);
}

/** Sets the password; who could set it has received mail, which verifies the address. */
export async function setPassword(tx: Queryable, userId: string, passwordHash: string): Promise<void> {
  await tx.run(updatePassword, [userId, passwordHash]);
}

export async function setVerified(tx: Queryable, userId: string): Promise<void> {
  await tx.run(updateVerified, [userId]);
}

export async function setUserRoles(tx: Queryable, userId: string, roles: Role[]): Promise<void> {
  await tx.run(updateRoles, [userId, roles]);
}

export async function forgetUsers(tx: Queryable, ids: string[]): Promise<void> {
  await tx.run(eraseUsers, [ids]);
  await tx.run(deleteLinks, [ids, ["PASSWORD_RESET", "EMAIL_VERIFICATION"]]);
}

/** Stores a link's token as its hash. Resolves to when it ends. */
export async function addLink(
  tx: Queryable,
  link: { tokenHash: Buffer; userId: string; purpose: LinkPurpose; email: string; minutes: number },
): Promise<Date> {
  return (await tx.one(insertLink, [link.tokenHash, link.userId, link.purpose, link.email, link.minutes]))!.expiresAt;
}

export async function findLinkOwner(
  db: Queryable,
  tokenHash: Buffer,
  purpose: LinkPurpose,
): Promise<string | undefined> {
  return (await db.one(linkOwner, [tokenHash, purpose]))?.userId;
}

/** Uses a link up; undefined where somebody was faster or it has expired. */
export function useLink(
  tx: Queryable,
  tokenHash: Buffer,
  purpose: LinkPurpose,
): Promise<{ userId: string; email: string } | undefined> {
  return tx.one(takeLink, [tokenHash, purpose]);
}

export async function dropLinks(tx: Queryable, userId: string, purpose: LinkPurpose): Promise<void> {
  await tx.run(deleteLinks, [[userId], [purpose]]);
}

export async function addResetRequest(db: Queryable, id: string, email: string): Promise<void> {
  await db.run(insertResetRequest, [id, email]);
}

/** Takes the oldest requests for this transaction: their addresses, some perhaps more than once. */
export async function useResetRequests(tx: Queryable, limit: number): Promise<string[]> {
  return (await tx.many(takeResetRequests, [limit])).map(({ email }) => email);
}

export async function findUserIds(db: Queryable, emails: string[]): Promise<string[]> {
  return (await db.many(idsByEmail, [emails])).map(({ id }) => id);
}

/** Removes what has ended: sessions, links, and attempts that no longer count. */
export async function removeExpired(db: Queryable, attemptSeconds: number): Promise<void> {
  await db.run(deleteExpired, [attemptSeconds]);
}
