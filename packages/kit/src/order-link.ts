import { createHmac, timingSafeEqual } from "node:crypto";

/** What a link to an order stands for: whoever has it may see that one order as its customer does. */
export interface OrderLink {
  orderId: string;
  customerId: string;
  expiresAt: Date;
}

/** Keeps a link's signature from being one of anything else that the same secret might sign. */
const purpose = "order-link.v1.";
const longest = 1_024;

function signature(secret: string, content: string): Buffer {
  return createHmac("sha256", secret)
    .update(purpose + content)
    .digest();
}

/** The token of a link to an order, fit for a URL: what it stands for, and an HMAC-SHA256 of it. */
export function signOrderLink(secret: string, link: OrderLink): string {
  const content = Buffer.from(JSON.stringify([link.orderId, link.customerId, link.expiresAt.getTime()])).toString(
    "base64url",
  );
  return `${content}.${signature(secret, content).toString("base64url")}`;
}

/** What the token stands for; undefined where it was not made with this secret or has expired at `now`. */
export function verifyOrderLink(secret: string, token: string, now: Date): OrderLink | undefined {
  if (token.length > longest) return undefined;
  const [content = "", signed = "", ...rest] = token.split(".");
  const expected = signature(secret, content);
  const given = Buffer.from(signed, "base64url");
  if (rest.length > 0 || given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  const [orderId, customerId, expiresAtMs] = JSON.parse(Buffer.from(content, "base64url").toString("utf8")) as [
    string,
    string,
    number,
  ];
  if (expiresAtMs <= now.getTime()) return undefined;
  return { orderId, customerId, expiresAt: new Date(expiresAtMs) };
}
