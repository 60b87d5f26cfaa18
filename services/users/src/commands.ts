import type { Database, Transaction } from "@crowdcrunch/kit/database";
import { problem } from "@crowdcrunch/kit/errors";
import type { Viewer } from "@crowdcrunch/kit/identity";
import type { Passwords } from "./adapters/passwords.ts";
import type { Limits } from "./commands-limits.ts";
import type { Links } from "./commands-links.ts";
import type { Sessions, SignedIn } from "./commands-sessions.ts";
import { addUser, findAccount, forgetUsers, lockAccount, lockAllAccounts, saveVersions, timeNow } from "./store.ts";
import { endSessionsOf } from "./store-sessions.ts";
import { claimed, guestOf, normalizeEmail, registered, requireName, requirePassword, revoked } from "./user.ts";

export interface SignUp {
  email: string;
  password: string;
  name?: string | null | undefined;
}

/** Who asks, and from where. */
export interface Caller {
  viewer: Viewer | null;
  clientAddress: string;
}

/** Accounts: making them, signing in to them, forgetting them. */
export interface Commands {
  /**
   * Makes an account. Throws SignUpRefused for an address that has one, which takes as long: the password is hashed in
   * either case.
   */
  signUp(caller: Caller, input: SignUp): Promise<SignedIn>;
  /** Throws WrongCredentials alike, and after the same work, for a wrong password and for somebody unknown. */
  signIn(caller: Caller, input: { email: string; password: string }): Promise<SignedIn>;
  /** Drops the credentials of people who are to be forgotten. */
  erase(tx: Transaction, userIds: string[]): Promise<void>;
}

export function createCommands(parts: {
  db: Database;
  newId: () => string;
  passwords: Passwords;
  limits: Limits;
  sessions: Sessions;
  links: Links;
}): Commands {
  const { db, newId, passwords, limits, sessions, links } = parts;

  function wrongCredentials() {
    return problem("WrongCredentials", "The e-mail address or the password is not right.");
  }

  return {
    async signUp({ viewer, clientAddress }, input) {
      const email = normalizeEmail(input.email);
      const password = requirePassword(input.password);
      const name = requireName(input.name);
      await limits.ofAddress("sign-up", clientAddress);
      const passwordHash = await passwords.hash(password);
      return db.transaction(async (tx) => {
        const user = await addUser(tx, { id: newId(), email, passwordHash });
        if (!user) {
          throw problem("SignUpRefused", "No account could be made. If you have one, sign in or reset your password.");
        }
        tx.emit(registered(user, email, name));
        await links.request(tx, user, "EMAIL_VERIFICATION", email);
        const guestId = guestOf(viewer);
        if (guestId) tx.emit(claimed(user, guestId));
        await saveVersions(tx, [user]);
        return sessions.begin(tx, user);
      });
    },

    async signIn({ viewer, clientAddress }, input) {
      const email = normalizeEmail(input.email);
      await limits.ofAddress("sign-in", clientAddress);
      await limits.ofAccount("sign-in", email);
      const found = await findAccount(db, email);
      // Too long is as wrong as any other; hashing it would be work for nothing.
      const password = input.password.normalize("NFKC").slice(0, 1_000);
      const right = await passwords.verify(found?.passwordHash ?? null, password);
      if (!found || !right) throw wrongCredentials();
      return db.transaction(async (tx) => {
        const user = await lockAccount(tx, found.id);
        // Another password, or nobody any more, since it was looked at.
        if (user?.email !== email || user.passwordHash !== found.passwordHash) throw wrongCredentials();
        await limits.forgive(tx, "sign-in", email);
        const guestId = guestOf(viewer);
        if (guestId) {
          tx.emit(claimed(user, guestId));
          await saveVersions(tx, [user]);
        }
        return sessions.begin(tx, user);
      });
    },

    async erase(tx, userIds) {
      // A guest has no row, and who was forgotten before has nothing left.
      const users = (await lockAllAccounts(tx, userIds)).filter(({ email }) => email !== null);
      if (users.length === 0) return;
      const ids = users.map(({ id }) => id);
      await forgetUsers(tx, ids);
      await endSessionsOf(tx, ids);
      const now = await timeNow(tx);
      for (const user of users) tx.emit(revoked(user, now));
      await saveVersions(tx, users);
    },
  };
}
