import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { signOrderLink, verifyOrderLink } from "./order-link.ts";

const secret = "a secret of the shop";
const now = new Date("2026-03-01T12:00:00.000Z");
const link = {
  orderId: "019a0000-0000-7000-8000-000000000001",
  customerId: "019a0000-0000-7000-8000-000000000002",
  expiresAt: new Date("2026-03-31T12:00:00.000Z"),
};

test("a link's token gives back what it stands for, and fits into a URL", () => {
  const token = signOrderLink(secret, link);
  expect(verifyOrderLink(secret, token, now)).toEqual(link);
  expect(encodeURIComponent(token)).toBe(token);
});

test("a link ends at its time", () => {
  const token = signOrderLink(secret, link);
  expect(verifyOrderLink(secret, token, new Date(link.expiresAt.getTime() - 1))).toEqual(link);
  expect(verifyOrderLink(secret, token, link.expiresAt)).toBeUndefined();
});

test("only the secret makes a link, and nobody can change one", () => {
  const [content, signature] = signOrderLink(secret, link).split(".") as [string, string];
  const [others] = signOrderLink(secret, { ...link, orderId: "019a0000-0000-7000-8000-000000000003" }).split(".");
  const plain = createHmac("sha256", secret).update(content).digest("base64url");
  const forgeries = [
    signOrderLink("another secret", link),
    `${others}.${signature}`,
    `${content}.${plain}`,
    `${content}.`,
    content,
    `${content}.${signature}.${signature}`,
    `${content}.${signature.slice(0, -2)}`,
    "",
    ".",
    `${"a".repeat(5_000)}.${signature}`,
  ];
  expect(forgeries.filter((forged) => verifyOrderLink(secret, forged, now))).toEqual([]);
});
