import { expect, test } from "vitest";
import { completeRoles, guestOf, normalizeEmail, requireName, requirePassword, revoked } from "./user.ts";

const field = (name: string) => expect.objectContaining({ typename: "InvalidInput", fields: { field: name } });

test.each([
  ["  Ada.Lovelace@Example.COM ", "ada.lovelace@example.com"],
  ["a+b'c@mail.example.co.uk", "a+b'c@mail.example.co.uk"],
  ["jörg@müller.de", "jörg@müller.de"],
])("%s is found as %s", (text, email) => expect(normalizeEmail(text)).toBe(email));

test.each([
  ...["", "ada", "ada@", "@example.com", "ada@localhost", "ada@example..com", "ada@-example.com", "a b@example.com"],
  ...[
    "ada@example.com\nBcc: all@example.com",
    "ada@example.com, bob@example.com",
    "<ada@example.com>",
    "ada@[127.0.0.1]",
  ],
  ...["ada\u0000@example.com", `${"a".repeat(65)}@example.com`, `ada@${"example.".repeat(40)}com`, "a@b@example.com"],
])("no mail goes to %j", (text) => expect(() => normalizeEmail(text)).toThrow(field("email")));

test("passwords have 10 to 200 characters, however they are typed", () => {
  expect(requirePassword("1234567890")).toBe("1234567890");
  expect(requirePassword("🐴".repeat(200))).toHaveLength(400);
  // é as one character, and as e with an accent.
  expect(requirePassword("caf\u00e9 caf\u00e9 caf\u00e9")).toBe(requirePassword("cafe\u0301 cafe\u0301 cafe\u0301"));
  for (const text of ["", "123456789", "x".repeat(201)]) expect(() => requirePassword(text)).toThrow(field("password"));
});

test("a name is one line, or none", () => {
  expect(requireName("  Ada ")).toBe("Ada");
  for (const text of [undefined, null, "", "  "]) expect(requireName(text)).toBeUndefined();
  for (const text of ["x".repeat(101), "Ada\nBcc"]) expect(() => requireName(text)).toThrow(field("name"));
});

test("everybody with an account is a shopper, and roles have one order", () => {
  expect(completeRoles([])).toEqual(["SHOPPER"]);
  expect(completeRoles(["ADMIN", "STAFF", "ADMIN"])).toEqual(["SHOPPER", "STAFF", "ADMIN"]);
});

test("only a guest's own token claims what is the guest's", () => {
  const viewer = { sub: "019a0000-0000-7000-8000-000000000001", sid: "s", iat: 0, exp: 600 };
  expect(guestOf({ ...viewer, roles: ["GUEST"] })).toBe(viewer.sub);
  expect(guestOf({ ...viewer, roles: ["GUEST"], orderScope: "an order" })).toBeUndefined();
  expect(guestOf({ ...viewer, roles: ["SHOPPER"] })).toBeUndefined();
  expect(guestOf(null)).toBeUndefined();
});

test("a revocation takes the user's next version and covers the millisecond in which it happens", () => {
  const user = {
    id: "019a0000-0000-7000-8000-000000000001",
    email: null,
    roles: ["SHOPPER" as const],
    emailVerified: false,
    createdAt: new Date(0),
    version: 4,
  };
  const event = revoked(user, new Date("2026-03-01T12:00:00.123Z"));
  expect(event).toMatchObject({ sequence: 5, data: { userId: user.id, issuedBefore: "2026-03-01T12:00:00.124Z" } });
  expect(user.version).toBe(5);
});
