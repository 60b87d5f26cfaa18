import { createHash } from "node:crypto";
import { statement } from "./database.ts";
import type { Queryable, Transaction } from "./database.ts";
import { invalid, problem } from "./errors.ts";

const claim = statement(
  "idempotencyClaim",
  `INSERT INTO idempotency (principal, operation, key, request_hash, result) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
);
const stored = statement<{ request_hash: string; result: unknown }>(
  "idempotencyStored",
  `SELECT request_hash, result FROM idempotency WHERE principal = $1 AND operation = $2 AND key = $3`,
);
const keep = statement(
  "idempotencyKeep",
  `UPDATE idempotency SET result = $4 WHERE principal = $1 AND operation = $2 AND key = $3`,
);

export interface IdempotentCall {
  /** Who calls: keys of different people do not meet. */
  principal: string;
  operation: string;
  /** A UUID that the client made for this one act. */
  key: string;
  /** What is asked; the same key with another request is refused. */
  request: unknown;
}

/**
 * Does `work` once for a key: a repeat gets the stored result. The claim lies in the same transaction as the effect, so
 * a second call with the key waits for the first (at most the lock time-out, then IN_PROGRESS). Throws the problem
 * KeyReused when the request differs.
 */
export async function idempotent<Result>(
  tx: Transaction,
  call: IdempotentCall,
  work: () => Promise<Result>,
): Promise<Result> {
  const identity = identityOf(call);
  const known = await claimOrFind<Result>(tx, call, null);
  if (known) return known.result;
  const result = await work();
  await tx.run(keep, [...identity, JSON.stringify(result)]);
  return result;
}

/** As `idempotent`, for a result that is known before the work is done: one statement less. */
export async function idempotentWithResult<Result>(
  tx: Transaction,
  call: IdempotentCall,
  result: Result,
  work: () => Promise<void>,
): Promise<Result> {
  const known = await claimOrFind<Result>(tx, call, result);
  if (known) return known.result;
  await work();
  return result;
}

/**
 * The stored result of a call that was done before; undefined for one that was not. For work that fails before it comes
 * to its transaction: a repeat gets its first answer, whatever has changed since. Throws the problem KeyReused when the
 * request differs.
 */
export async function storedResult<Result>(db: Queryable, call: IdempotentCall): Promise<Result | undefined> {
  const row = await db.one(stored, identityOf(call));
  if (!row) return undefined;
  requireSameRequest(row.request_hash, call);
  return row.result as Result;
}

function identityOf(call: IdempotentCall): string[] {
  return [call.principal, call.operation, requireUuid(call.key, "idempotencyKey")];
}

async function claimOrFind<Result>(
  tx: Transaction,
  call: IdempotentCall,
  result: Result | null,
): Promise<{ result: Result } | undefined> {
  const identity = identityOf(call);
  const text = result === null ? null : JSON.stringify(result);
  if ((await tx.run(claim, [...identity, hashOf(call), text])) === 1) return undefined;
  const row = await tx.one(stored, identity);
  requireSameRequest(row?.request_hash, call);
  return { result: row?.result as Result };
}

function hashOf(call: IdempotentCall): string {
  return createHash("sha256").update(canonicalJson(call.request)).digest("base64url");
}

function requireSameRequest(storedHash: string | undefined, call: IdempotentCall): void {
  if (storedHash !== hashOf(call))
    throw problem("KeyReused", "This idempotency key was used before for something else.");
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** The id in lower case. Throws InvalidInput with the field's name when it is not a UUID. */
export function requireUuid(text: string, field: string): string {
  const lower = text.toLowerCase();
  if (!uuid.test(lower)) throw invalid(field, "This is not an id: a UUID is expected.");
  return lower;
}

/** JSON with sorted keys and without undefined members, so that equal requests have equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    member !== null && typeof member === "object" && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}
