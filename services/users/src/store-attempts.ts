import { createHash } from "node:crypto";
import { statement } from "@crowdcrunch/kit/database";
import type { Queryable } from "@crowdcrunch/kit/database";

/** Attempts are counted over a window that slides with the clock. */
export const attemptWindowSeconds = 15 * 60;

// One statement, and the row is locked by it: attempts at the same moment cannot pass a limit together.
const admit = statement<{ admitted: boolean; retryAfterSeconds: number }>(
  "attemptAdmit",
  `INSERT INTO attempts AS a (action, subject, times, admitted, last_at) VALUES ($1, $2, ARRAY[now()], true, now())
   ON CONFLICT (action, subject) DO UPDATE SET
     admitted = cardinality(times_within(a.times, $4)) < $3,
     times = times_within(a.times, $4)
       || CASE WHEN cardinality(times_within(a.times, $4)) < $3 THEN ARRAY[now()] ELSE '{}' END,
     last_at = now()
   RETURNING admitted, greatest(1, ceil(extract(epoch FROM times[1] - now()) + $4))::int AS "retryAfterSeconds"`,
);
const forget = statement("attemptForget", `DELETE FROM attempts WHERE action = $1 AND subject = $2`);

export interface Attempt {
  /** What is tried. */
  action: string;
  /** By whom, or on which account: kept as a hash. */
  subject: string;
  /** Most attempts in 15 minutes. */
  limit: number;
}

/** Counts an attempt. Resolves to the seconds to wait where there were too many; undefined where it may go on. */
export async function refuseAttempt(db: Queryable, { action, subject, limit }: Attempt): Promise<number | undefined> {
  const row = await db.one(admit, [action, hashed(subject), limit, attemptWindowSeconds]);
  return row && !row.admitted ? row.retryAfterSeconds : undefined;
}

/** Forgets the attempts that were counted: the last one was good. */
export async function forgetAttempts(db: Queryable, action: string, subject: string): Promise<void> {
  await db.run(forget, [action, hashed(subject)]);
}

function hashed(subject: string): Buffer {
  return createHash("sha256").update(subject).digest();
}
