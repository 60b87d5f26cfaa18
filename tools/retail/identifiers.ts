/** Names by which the shop knows what came from a file: the same file gives the same names, whenever and wherever. */
import { createHash } from "node:crypto";

/** A UUID (version 8) that follows from what it is for, for example ("customer", "17850"). */
export function derivedUuid(kind: string, name: string): string {
  const bytes = createHash("sha256").update(`online-retail/${kind}/${name}`).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** The id of the customer with this number. */
export function customerId(customer: string): string {
  return derivedUuid("customer", customer);
}

/** The id of who bought on this invoice without a number: each such invoice has a guest of its own. */
export function guestId(invoice: string): string {
  return derivedUuid("guest", invoice);
}
