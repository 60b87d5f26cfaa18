import type { EventToEmit } from "@crowdcrunch/events/contract";
import {
  emailVerificationRequested,
  guestClaimed,
  passwordResetRequested,
  tokensRevoked,
  userRegistered,
} from "@crowdcrunch/events/users";
import { invalid } from "@crowdcrunch/kit/errors";
import type { Viewer } from "@crowdcrunch/kit/identity";

/**
 * Terms: a *guest* is an id in a token and has no row here; an *account* is a user's row with credentials; a *session*
 * is one browser in which an account is signed in; a *link* is what a mail contains to prove that it was received.
 */
export type Role = "SHOPPER" | "STAFF" | "ADMIN";

export interface User {
  id: string;
  /** Normalised; null once the person was forgotten. */
  email: string | null;
  roles: Role[];
  emailVerified: boolean;
  createdAt: Date;
  /** The number of events emitted. */
  version: number;
}

export type LinkPurpose = "PASSWORD_RESET" | "EMAIL_VERIFICATION";

/** A link's token on its way into a mail. */
export interface MailLink {
  token: string;
  expiresAt: Date;
}

const label = String.raw`[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?`;
const emailAddress = new RegExp(
  String.raw`^[^\s@<>()[\]\\,;:"\p{C}]{1,64}@(?:${label}\.)+\p{L}[\p{L}\p{N}-]*[\p{L}\p{N}]$`,
  "u",
);

/** The address as accounts are found by it: trimmed, in lower case. Throws InvalidInput where mail could not go to it. */
export function normalizeEmail(text: string, field = "email"): string {
  const email = text.trim().normalize("NFC").toLowerCase();
  if (email.length > 254 || !emailAddress.test(email)) throw invalid(field, "This is not an e-mail address.");
  return email;
}

/** The password in one of its Unicode forms, so that all keyboards type the same. Throws InvalidInput outside 10…200. */
export function requirePassword(text: string, field = "password"): string {
  const password = text.normalize("NFKC");
  const { length } = [...password];
  if (length < 10 || length > 200) throw invalid(field, "A password has 10 to 200 characters.");
  return password;
}

/** How the person wants to be called; undefined where nothing was said. Throws InvalidInput. */
export function requireName(text: string | null | undefined, field = "name"): string | undefined {
  const name = text?.trim().normalize("NFC");
  if (!name) return undefined;
  if (name.length > 100 || /\p{C}/u.test(name)) throw invalid(field, "A name has at most 100 characters on one line.");
  return name;
}

/** Roles in one order, each once; everybody with an account is a shopper. */
export function completeRoles(roles: readonly Role[]): Role[] {
  return (["SHOPPER", "STAFF", "ADMIN"] as const).filter((role) => role === "SHOPPER" || roles.includes(role));
}

/**
 * The guest who asks, so that the account can take over what is the guest's. A token from an order's link also has the
 * role GUEST, but its `sub` is whoever owns the order: it claims nothing.
 */
export function guestOf(viewer: Viewer | null): string | undefined {
  if (!viewer || !viewer.roles.includes("GUEST") || viewer.orderScope !== undefined) return undefined;
  return viewer.sub;
}

// Each takes the user's next version.

export function registered(user: User, email: string, name: string | undefined): EventToEmit {
  return userRegistered.create(
    { userId: user.id, email, ...(name === undefined ? {} : { name }) },
    { sequence: nextVersion(user) },
  );
}

export function claimed(user: User, guestId: string): EventToEmit {
  return guestClaimed.create({ userId: user.id, guestId }, { sequence: nextVersion(user) });
}

export function linkRequested(user: User, purpose: LinkPurpose, email: string, link: MailLink): EventToEmit {
  const contract = purpose === "PASSWORD_RESET" ? passwordResetRequested : emailVerificationRequested;
  return contract.create(
    { userId: user.id, email, linkToken: link.token, expiresAt: link.expiresAt.toISOString() },
    { sequence: nextVersion(user) },
  );
}

/** Denies the tokens of the user, or of one session, that were issued until `now`. */
export function revoked(user: User, now: Date, sessionId?: string): EventToEmit {
  // One more, because a token's time and this one end at milliseconds: a token of the same one must not slip through.
  const issuedBefore = new Date(now.getTime() + 1).toISOString();
  return tokensRevoked.create(
    { userId: user.id, ...(sessionId === undefined ? {} : { sessionId }), issuedBefore },
    { sequence: nextVersion(user) },
  );
}

function nextVersion(user: User): number {
  user.version += 1;
  return user.version;
}
