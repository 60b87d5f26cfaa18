import type { Queryable } from "@crowdcrunch/kit/database";
import { problem } from "@crowdcrunch/kit/errors";
import { addressGroup } from "./address.ts";
import { forgetAttempts, refuseAttempt } from "./store-attempts.ts";

/** What is limited in 15 minutes. */
export type LimitedAction = "sign-in" | "sign-up" | "mail";

/** Counts attempts before they are made, so that many at once cannot pass a limit together. */
export interface Limits {
  /** Throws TooManyAttempts where this client has tried it too often. */
  ofAddress(action: LimitedAction, clientAddress: string): Promise<void>;
  /** Throws TooManyAttempts where it was tried too often for this e-mail address, whether or not it has an account. */
  ofAccount(action: LimitedAction, email: string): Promise<void>;
  /** Forgets the attempts for this e-mail address. */
  forgive(db: Queryable, action: LimitedAction, email: string): Promise<void>;
}

export function createLimits(parts: {
  db: Queryable;
  config: { ATTEMPTS_PER_ACCOUNT: number; ATTEMPTS_PER_ADDRESS: number };
}): Limits {
  const { db, config } = parts;

  async function count(action: string, subject: string, limit: number): Promise<void> {
    const retryAfterSeconds = await refuseAttempt(db, { action, subject, limit });
    if (retryAfterSeconds === undefined) return;
    throw problem("TooManyAttempts", "This was tried too often; try again later.", { retryAfterSeconds });
  }

  return {
    ofAddress: (action, clientAddress) =>
      count(`${action} by address`, addressGroup(clientAddress), config.ATTEMPTS_PER_ADDRESS),
    ofAccount: (action, email) => count(`${action} by account`, email, config.ATTEMPTS_PER_ACCOUNT),
    forgive: (tx, action, email) => forgetAttempts(tx, `${action} by account`, email),
  };
}
