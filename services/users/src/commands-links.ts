import type { Database, Transaction } from "@crowdcrunch/kit/database";
import { problem } from "@crowdcrunch/kit/errors";
import { requireViewer } from "@crowdcrunch/kit/identity";
import type { Viewer } from "@crowdcrunch/kit/identity";
import type { Passwords } from "./adapters/passwords.ts";
import { hashOf, newSecret } from "./adapters/refresh-tokens.ts";
import type { Limits } from "./commands-limits.ts";
import {
  addLink,
  addResetRequest,
  dropLinks,
  findLinkOwner,
  findUserIds,
  lockAccount,
  lockAllAccounts,
  saveVersions,
  setPassword,
  setVerified,
  timeNow,
  useLink,
  useResetRequests,
} from "./store.ts";
import { endSessionsOf } from "./store-sessions.ts";
import { linkRequested, normalizeEmail, requirePassword, revoked } from "./user.ts";
import type { LinkPurpose, User } from "./user.ts";

/** Links in mails: to reset a password, to verify an address. */
export interface Links {
  /** Makes a link for a user whose row is locked, and asks for the mail. The caller keeps the user's version. */
  request(tx: Transaction, user: User, purpose: LinkPurpose, email: string): Promise<void>;
  /** Notes that a reset is wanted; whether there is such an account is seen later, by nobody who asks. */
  requestPasswordReset(clientAddress: string, email: string): Promise<void>;
  /** Looks at the noted resets and asks for mails. Resolves to true where there may be more. */
  sendPasswordResets(): Promise<boolean>;
  /** Sets a password and ends all sessions. Resolves to the account's address. Throws LinkNotValid. */
  resetPassword(token: string, password: string): Promise<string>;
  /** Resolves to the address where it is verified already, and to null where a mail is on its way. */
  requestEmailVerification(viewer: Viewer | null): Promise<string | null>;
  /** Resolves to the address. Throws LinkNotValid. */
  verifyEmail(token: string): Promise<string>;
}

const minutesOf: Record<LinkPurpose, number> = { PASSWORD_RESET: 30, EMAIL_VERIFICATION: 24 * 60 };
const resetsAtOnce = 20;

export function createLinks(parts: {
  db: Database;
  newId: () => string;
  passwords: Passwords;
  limits: Limits;
  /** Called when a reset has been noted. */
  onResetRequested: () => void;
}): Links {
  const { db, newId, passwords, limits } = parts;

  function linkNotValid() {
    return problem("LinkNotValid", "This link was used or has expired; ask for another.");
  }

  async function request(tx: Transaction, user: User, purpose: LinkPurpose, email: string): Promise<void> {
    const token = newSecret();
    const link = { tokenHash: hashOf(token), userId: user.id, purpose, email, minutes: minutesOf[purpose] };
    const expiresAt = await addLink(tx, link);
    tx.emit(linkRequested(user, purpose, email, { token, expiresAt }));
  }

  /** Uses a link up and locks its user, who must still have the address to which it was sent. */
  async function redeem(tx: Transaction, token: string, purpose: LinkPurpose): Promise<User & { email: string }> {
    const owner = await findLinkOwner(tx, hashOf(token), purpose);
    const user = owner && (await lockAccount(tx, owner));
    const link = user && (await useLink(tx, hashOf(token), purpose));
    if (!link || link.userId !== user.id || link.email !== user.email) throw linkNotValid();
    await dropLinks(tx, user.id, purpose);
    return { ...user, email: link.email };
  }

  return {
    request,

    async requestPasswordReset(clientAddress, text) {
      const email = normalizeEmail(text);
      await limits.ofAddress("mail", clientAddress);
      await limits.ofAccount("mail", email);
      await addResetRequest(db, newId(), email);
      parts.onResetRequested();
    },

    async sendPasswordResets() {
      return db.transaction(async (tx) => {
        const emails = await useResetRequests(tx, resetsAtOnce);
        if (emails.length === 0) return false;
        const users = await lockAllAccounts(tx, await findUserIds(tx, emails));
        for (const user of users) if (user.email) await request(tx, user, "PASSWORD_RESET", user.email);
        await saveVersions(tx, users);
        return emails.length === resetsAtOnce;
      });
    },

    async resetPassword(token, text) {
      const password = requirePassword(text);
      // Looked at before the work of hashing, which whoever invents tokens should not get for nothing.
      if (!(await findLinkOwner(db, hashOf(token), "PASSWORD_RESET"))) throw linkNotValid();
      const passwordHash = await passwords.hash(password);
      return db.transaction(async (tx) => {
        const user = await redeem(tx, token, "PASSWORD_RESET");
        await setPassword(tx, user.id, passwordHash);
        await endSessionsOf(tx, [user.id]);
        await limits.forgive(tx, "sign-in", user.email);
        tx.emit(revoked(user, await timeNow(tx)));
        await saveVersions(tx, [user]);
        return user.email;
      });
    },

    async requestEmailVerification(viewer) {
      const { sub } = requireViewer(viewer);
      return db.transaction(async (tx) => {
        const user = await lockAccount(tx, sub);
        if (!user?.email) throw problem("NotFound", "There is no account.");
        if (user.emailVerified) return user.email;
        await limits.ofAccount("mail", user.email);
        await request(tx, user, "EMAIL_VERIFICATION", user.email);
        await saveVersions(tx, [user]);
        return null;
      });
    },

    verifyEmail: (token) =>
      db.transaction(async (tx) => {
        const user = await redeem(tx, token, "EMAIL_VERIFICATION");
        await setVerified(tx, user.id);
        return user.email;
      }),
  };
}
