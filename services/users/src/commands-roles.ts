import type { Database, Transaction } from "@crowdcrunch/kit/database";
import { notFound, notPossible } from "@crowdcrunch/kit/errors";
import { requireViewer } from "@crowdcrunch/kit/identity";
import type { Viewer } from "@crowdcrunch/kit/identity";
import { findAccount, lockAccount, saveVersions, setUserRoles, timeNow } from "./store.ts";
import { completeRoles, normalizeEmail, revoked } from "./user.ts";
import type { Role, User } from "./user.ts";

/** Who may do what. */
export interface Roles {
  /** Sets all roles of somebody. Throws NotFound, and NotPossible where an admin would cease to be one by himself. */
  set(viewer: Viewer | null, userId: string, roles: readonly Role[]): Promise<User>;
  /** Makes the account with this address an administrator; undefined where there is none. For whoever has the database. */
  grantAdmin(email: string): Promise<User | undefined>;
}

export function createRoles(parts: { db: Database }): Roles {
  const { db } = parts;

  /** Tokens with the former roles are revoked; sessions go on and get the new ones at their next refresh. */
  async function change(tx: Transaction, user: User, roles: Role[]): Promise<User> {
    if (roles.join() === user.roles.join()) return user;
    await setUserRoles(tx, user.id, roles);
    tx.emit(revoked(user, await timeNow(tx)));
    await saveVersions(tx, [user]);
    return { ...user, roles };
  }

  return {
    set: (viewer, userId, wanted) =>
      db.transaction(async (tx) => {
        const roles = completeRoles(wanted);
        const user = await lockAccount(tx, userId);
        if (!user || user.email === null) throw notFound("There is no such account.");
        // The last one who could undo it must not be able to do it.
        if (requireViewer(viewer).sub === user.id && !roles.includes("ADMIN")) {
          throw notPossible("OWN_ROLE", "Nobody can take the role ADMIN from himself; another admin can.");
        }
        return change(tx, user, roles);
      }),

    async grantAdmin(text) {
      const found = await findAccount(db, normalizeEmail(text));
      if (!found) return undefined;
      return db.transaction(async (tx) => {
        const user = await lockAccount(tx, found.id);
        return user && change(tx, user, completeRoles([...user.roles, "STAFF", "ADMIN"]));
      });
    },
  };
}
