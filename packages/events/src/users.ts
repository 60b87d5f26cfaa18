import Type from "typebox";
import { event, Timestamp, Uuid } from "./contract.ts";
import { EmailAddress } from "./vocabulary.ts";

// Key: the user's id, which is the customer's id and a token's `sub`.

/** customers: upserts the profile. */
export const userRegistered = event(
  { topic: "users", name: "user-registered", version: 1, key: "userId", subject: "userId" },
  Type.Object({ userId: Uuid, email: EmailAddress, name: Type.Optional(Type.String()) }),
);

/**
 * A guest signed up or signed in.
 *
 * - frontend: merges the guest's cart into the user's
 * - orders: reassigns the guest's orders (order-reassigned)
 * - customers: moves the guest's addresses
 */
export const guestClaimed = event(
  { topic: "users", name: "guest-claimed", version: 1, key: "userId", subject: "userId" },
  Type.Object({ userId: Uuid, guestId: Uuid }),
);

/** gateway: denies the user's tokens, or those of one session, that were issued before this time. */
export const tokensRevoked = event(
  { topic: "users", name: "tokens-revoked", version: 1, key: "userId", subject: "userId" },
  Type.Object({ userId: Uuid, sessionId: Type.Optional(Uuid), issuedBefore: Timestamp }),
);

/** What goes behind the link of a mail. Short-lived and of one use, since the log keeps it. */
const linkMail = {
  userId: Uuid,
  email: EmailAddress,
  linkToken: Type.String({ minLength: 1, maxLength: 2048 }),
  expiresAt: Timestamp,
};

/** customers: mails the link. */
export const passwordResetRequested = event(
  { topic: "users", name: "password-reset-requested", version: 1, key: "userId", subject: "userId" },
  Type.Object(linkMail),
);

/** customers: mails the link. */
export const emailVerificationRequested = event(
  { topic: "users", name: "email-verification-requested", version: 1, key: "userId", subject: "userId" },
  Type.Object(linkMail),
);

export const usersEvents = [
  userRegistered,
  guestClaimed,
  tokensRevoked,
  passwordResetRequested,
  emailVerificationRequested,
];
