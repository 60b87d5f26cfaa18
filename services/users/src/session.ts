/** Where a person is signed in. */
export interface Session {
  id: string;
  userId: string;
  createdAt: Date;
  lastUsedAt: Date;
  expiresAt: Date;
}

/** Sessions and guests' cookies end after this long without use. */
export const sessionDays = 30;
/** Older ones of an account end when there are more. */
export const mostSessions = 50;
/** For how long the token before the current one gets the same successor: two tabs refresh at once. */
export const successorGraceSeconds = 30;

/** What is known of a session when a refresh token is presented for it. */
export interface Presented {
  /** Which of the session's tokens it is; OTHER is one that was rotated away long ago, or an invention. */
  token: "CURRENT" | "PREVIOUS" | "OTHER";
  /** The current token is younger than the grace. */
  withinGrace: boolean;
  expired: boolean;
}

/**
 * Decides what a refresh token is worth: the next one, the same successor once more, or nothing. A token that was
 * replaced and comes back was copied: who has the copy is unknown, so the session ends for both.
 */
export function judgeRefresh({ token, withinGrace, expired }: Presented): "ROTATE" | "REPEAT" | "END" {
  if (expired) return "END";
  if (token === "CURRENT") return "ROTATE";
  return token === "PREVIOUS" && withinGrace ? "REPEAT" : "END";
}
