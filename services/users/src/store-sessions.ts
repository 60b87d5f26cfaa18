import { statement } from "@crowdcrunch/kit/database";
import type { Queryable } from "@crowdcrunch/kit/database";
import { mostSessions, sessionDays, successorGraceSeconds } from "./session.ts";
import type { Presented } from "./session.ts";

// Sessions are changed only while their user's row is locked.

const insertSession = statement(
  "sessionInsert",
  `INSERT INTO sessions (id, user_id, token_hash, expires_at) VALUES ($1, $2, $3, now() + make_interval(days => $4))`,
);
const trimSessions = statement(
  "sessionTrim",
  `DELETE FROM sessions WHERE user_id = $1 AND (expires_at < now()
     OR id IN (SELECT id FROM sessions WHERE user_id = $1 ORDER BY id DESC OFFSET $2))`,
);
const ownerOfSession = statement<{ userId: string }>(
  "sessionOwner",
  `SELECT user_id AS "userId" FROM sessions WHERE id = $1`,
);
const presentToken = statement<Presented & { successorSalt: Buffer | null; now: Date }>(
  "sessionPresent",
  `SELECT CASE WHEN token_hash = $2 THEN 'CURRENT' WHEN previous_hash = $2 THEN 'PREVIOUS' ELSE 'OTHER' END AS token,
          rotated_at > now() - make_interval(secs => $3) AS "withinGrace", expires_at <= now() AS expired,
          successor_salt AS "successorSalt", clock_timestamp() AS now
   FROM sessions WHERE id = $1`,
);
const rotate = statement(
  "sessionRotate",
  `UPDATE sessions SET previous_hash = token_hash, token_hash = $2, successor_salt = $3, rotated_at = now(),
     expires_at = now() + make_interval(days => $4) WHERE id = $1`,
);
const deleteSession = statement("sessionDelete", `DELETE FROM sessions WHERE id = $1 AND user_id = $2`);
const deleteOfUsers = statement("sessionDeleteOfUsers", `DELETE FROM sessions WHERE user_id = ANY($1::uuid[])`);

/** Adds a session, and removes those of the user that have ended or are too many. */
export async function addSession(
  tx: Queryable,
  session: { id: string; userId: string; tokenHash: Buffer },
): Promise<void> {
  await tx.run(insertSession, [session.id, session.userId, session.tokenHash, sessionDays]);
  await tx.run(trimSessions, [session.userId, mostSessions]);
}

export async function findSessionOwner(db: Queryable, sessionId: string): Promise<string | undefined> {
  return (await db.one(ownerOfSession, [sessionId]))?.userId;
}

/** What a presented refresh token is to the session; undefined where there is no such session any more. */
export function presentRefreshToken(tx: Queryable, sessionId: string, tokenHash: Buffer) {
  return tx.one(presentToken, [sessionId, tokenHash, successorGraceSeconds]);
}

/** Makes the current token the previous one and lengthens the session. */
export async function rotateSession(
  tx: Queryable,
  sessionId: string,
  successor: { tokenHash: Buffer; salt: Buffer },
): Promise<void> {
  await tx.run(rotate, [sessionId, successor.tokenHash, successor.salt, sessionDays]);
}

/** Resolves to the number of sessions ended: 0 or 1. */
export function endSession(tx: Queryable, sessionId: string, userId: string): Promise<number> {
  return tx.run(deleteSession, [sessionId, userId]);
}

/** Resolves to the number of sessions ended. */
export function endSessionsOf(tx: Queryable, userIds: string[]): Promise<number> {
  return tx.run(deleteOfUsers, [userIds]);
}
