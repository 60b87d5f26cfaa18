import Type from "typebox";
import { event, Quantity, Uuid } from "./contract.ts";
import { ItemName } from "./vocabulary.ts";

// Key: the person's id. The storefront's carts are told of only when somebody must act.

/**
 * The cart of a signed-in person, who agreed to reminders, has been idle for 24 hours.
 *
 * customers: mails one reminder for the cart.
 */
export const cartAbandoned = event(
  { topic: "frontend", name: "cart-abandoned", version: 1, key: "customerId", subject: "cartId" },
  Type.Object({
    cartId: Uuid,
    customerId: Uuid,
    lines: Type.Array(Type.Object({ skuId: Uuid, name: ItemName, quantity: Quantity }), { minItems: 1 }),
  }),
);

export const frontendEvents = [cartAbandoned];
