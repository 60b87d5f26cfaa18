import { expect, test } from "vitest";
import {
  accountCookie,
  guestCookie,
  hashOf,
  newSalt,
  newSecret,
  readRefreshCookie,
  successorOf,
} from "./refresh-tokens.ts";

const key = "a secret of the service";
const id = "019a0000-0000-7000-8000-000000000001";
const other = "019a0000-0000-7000-8000-000000000002";
const expiresAt = new Date("2026-03-31T12:00:00.000Z");

test("a successor can be made again from the token before it and the salt, and from nothing less", () => {
  const [secret, salt] = [newSecret(), newSalt()];
  expect(successorOf(secret, salt)).toBe(successorOf(secret, salt));
  expect(successorOf(newSecret(), salt)).not.toBe(successorOf(secret, salt));
  expect(successorOf(secret, newSalt())).not.toBe(successorOf(secret, salt));
  expect(hashOf(secret)).toHaveLength(32);
});

test("cookies say whose they are", () => {
  expect(readRefreshCookie(key, accountCookie(id, "s3cret"))).toEqual({
    kind: "ACCOUNT",
    sessionId: id,
    secret: "s3cret",
  });
  expect(readRefreshCookie(key, guestCookie(key, id, expiresAt))).toEqual({ kind: "GUEST", guestId: id, expiresAt });
});

test("a guest's cookie cannot be changed, lengthened or made by others", () => {
  const cookie = guestCookie(key, id, expiresAt);
  const later = String(expiresAt.getTime() / 1_000 + 1);
  const forged = [
    ...[undefined, "", "g", cookie.replace(id, other), cookie.replace(/\.\d+\./, `.${later}.`)],
    ...[guestCookie("another secret", id, expiresAt), cookie.replace(/[^.]+$/, ""), `${cookie}.x`, cookie.slice(0, -3)],
    ...[`a.not-an-id.secret`, `x.${id}.secret`, `a.${id}.secret.more`, "a".repeat(10_000)],
  ];
  expect(forged.filter((text) => readRefreshCookie(key, text) !== undefined)).toEqual([]);
  // Said to be an account's, its signature is no session's secret: the store knows no such hash.
  expect(readRefreshCookie(key, cookie.replace(/^g/, "a"))).toBeUndefined();
});
