import Type from "typebox";
import type { Static } from "typebox";
import { event, Timestamp, Uuid } from "./contract.ts";

// Key: the customer's id.

/** What a customer may agree to. */
export const ConsentPurpose = Type.Enum(["RECOMMENDATIONS", "CART_REMINDERS"]);
export type ConsentPurpose = Static<typeof ConsentPurpose>;

/**
 * The person asked to be forgotten.
 *
 * - users: drops the credentials (tokens-revoked)
 * - orders, payments, fulfillment, exchanges, frontend: redact, now and whatever arrives late
 */
export const customerErased = event(
  { topic: "customers", name: "customer-erased", version: 1, key: "customerId", subject: "customerId" },
  Type.Object({ customerId: Uuid, at: Timestamp }),
);

/** frontend: turns recommendations, or reminders of an abandoned cart, on or off. */
export const consentChanged = event(
  { topic: "customers", name: "consent-changed", version: 1, key: "customerId", subject: "customerId" },
  Type.Object({ customerId: Uuid, purpose: ConsentPurpose, granted: Type.Boolean() }),
);

export const customersEvents = [customerErased, consentChanged];
