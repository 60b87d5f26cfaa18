import type { Database, Transaction } from "@crowdcrunch/kit/database";
import { problem } from "@crowdcrunch/kit/errors";
import { requireViewer } from "@crowdcrunch/kit/identity";
import type { Viewer } from "@crowdcrunch/kit/identity";
import { verifyOrderLink } from "@crowdcrunch/kit/order-link";
import type { TokenSigner } from "./adapters/access-tokens.ts";
import {
  accountCookie,
  guestCookie,
  hashOf,
  newSalt,
  newSecret,
  readRefreshCookie,
  successorOf,
} from "./adapters/refresh-tokens.ts";
import { judgeRefresh, sessionDays } from "./session.ts";
import { lockAccount, saveVersions, timeNow } from "./store.ts";
import {
  addSession,
  endSession,
  endSessionsOf,
  findSessionOwner,
  presentRefreshToken,
  rotateSession,
} from "./store-sessions.ts";
import { revoked } from "./user.ts";
import type { User } from "./user.ts";

/** An access token for the client's memory. */
interface Access {
  accessToken: string;
  expiresAt: Date;
}

export interface SignedIn extends Access {
  user: User;
  /** The value of the refresh cookie. */
  cookie: string;
}

export interface GuestSession extends Access {
  guestId: string;
  /** The value of the refresh cookie. */
  cookie: string;
}

/** Sessions and the tokens that they give out. */
export interface Sessions {
  /** Signs a user in whose row is locked. */
  begin(tx: Transaction, user: User): Promise<SignedIn>;
  startGuest(): Promise<GuestSession>;
  /** The next tokens for a refresh cookie. Throws SessionEnded. */
  refresh(cookie: string | undefined): Promise<SignedIn | GuestSession>;
  /** Ends the caller's session, or all of the account's. A guest has none. Resolves to how many ended. */
  signOut(viewer: Viewer | null, everywhere: boolean): Promise<number>;
  /** A token for one order, with a guest's rights and without a cookie. Throws LinkNotValid. */
  openOrderLink(token: string): Promise<Access & { orderId: string }>;
}

const dayMs = 24 * 60 * 60 * 1_000;

export function createSessions(parts: {
  db: Database;
  newId: () => string;
  signer: TokenSigner;
  config: { GUEST_COOKIE_SECRET: string; ORDER_LINK_SECRET: string };
}): Sessions {
  const { db, newId, signer, config } = parts;

  async function signedIn(user: User, sessionId: string, secret: string, issuedAt: Date): Promise<SignedIn> {
    const access = await signer.sign({ sub: user.id, sid: sessionId, roles: user.roles, issuedAt });
    return { user, accessToken: access.token, expiresAt: access.expiresAt, cookie: accountCookie(sessionId, secret) };
  }

  async function guest(guestId: string, issuedAt: Date): Promise<GuestSession> {
    const access = await signer.sign({ sub: guestId, sid: guestId, roles: ["GUEST"], issuedAt });
    const cookie = guestCookie(config.GUEST_COOKIE_SECRET, guestId, new Date(issuedAt.getTime() + sessionDays * dayMs));
    return { guestId, accessToken: access.token, expiresAt: access.expiresAt, cookie };
  }

  /** Undefined where the session has ended, which it may have just now: that must be committed, so nothing is thrown. */
  async function refreshAccount(tx: Transaction, sessionId: string, secret: string): Promise<SignedIn | undefined> {
    const userId = await findSessionOwner(tx, sessionId);
    const user = userId && (await lockAccount(tx, userId));
    const presented = user && (await presentRefreshToken(tx, sessionId, hashOf(secret)));
    if (!presented) return undefined;
    switch (judgeRefresh(presented)) {
      case "ROTATE": {
        const salt = newSalt();
        const successor = successorOf(secret, salt);
        await rotateSession(tx, sessionId, { tokenHash: hashOf(successor), salt });
        return signedIn(user, sessionId, successor, presented.now);
      }
      case "REPEAT":
        return signedIn(user, sessionId, successorOf(secret, presented.successorSalt!), presented.now);
      case "END":
        await endSession(tx, sessionId, user.id);
        tx.emit(revoked(user, presented.now, sessionId));
        await saveVersions(tx, [user]);
        return undefined;
    }
  }

  return {
    async begin(tx, user) {
      const sessionId = newId();
      const secret = newSecret();
      await addSession(tx, { id: sessionId, userId: user.id, tokenHash: hashOf(secret) });
      return signedIn(user, sessionId, secret, await timeNow(tx));
    },

    startGuest: async () => guest(newId(), await timeNow(db)),

    async refresh(value) {
      const cookie = readRefreshCookie(config.GUEST_COOKIE_SECRET, value);
      if (cookie?.kind === "ACCOUNT") {
        const next = await db.transaction((tx) => refreshAccount(tx, cookie.sessionId, cookie.secret));
        if (next) return next;
      } else if (cookie?.kind === "GUEST") {
        const now = await timeNow(db);
        if (cookie.expiresAt > now) return guest(cookie.guestId, now);
      }
      throw problem("SessionEnded", "The session has ended: sign in, or start as a guest.");
    },

    async signOut(viewer, everywhere) {
      const { sub, sid, roles } = requireViewer(viewer);
      // Also a token from an order's link: it bears the customer's id, and must not end the customer's sessions.
      if (roles.includes("GUEST")) return 0;
      return db.transaction(async (tx) => {
        const user = await lockAccount(tx, sub);
        if (!user) return 0;
        const ended = everywhere ? await endSessionsOf(tx, [sub]) : await endSession(tx, sid, sub);
        if (ended === 0 && !everywhere) return 0;
        tx.emit(revoked(user, await timeNow(tx), everywhere ? undefined : sid));
        await saveVersions(tx, [user]);
        return ended;
      });
    },

    async openOrderLink(token) {
      const issuedAt = await timeNow(db);
      const link = verifyOrderLink(config.ORDER_LINK_SECRET, token, issuedAt);
      if (!link) throw problem("LinkNotValid", "This link has expired, or is not whole.");
      const claims = { sub: link.customerId, sid: newId(), roles: ["GUEST" as const], order: link.orderId, issuedAt };
      const access = await signer.sign(claims);
      return { accessToken: access.token, expiresAt: access.expiresAt, orderId: link.orderId };
    },
  };
}
