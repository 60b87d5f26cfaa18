import type { EventContract } from "./contract.ts";
import { customersEvents } from "./customers.ts";
import { exchangesEvents } from "./exchanges.ts";
import { frontendEvents } from "./frontend.ts";
import { fulfillmentEvents } from "./fulfillment.ts";
import { inventoryEvents } from "./inventory.ts";
import { ordersEvents } from "./orders.ts";
import { paymentsEvents } from "./payments.ts";
import { usersEvents } from "./users.ts";

/** Every event that is declared. For tests, republication and documents; a service imports its publishers' files. */
export const allEvents: readonly EventContract[] = [
  ...usersEvents,
  ...customersEvents,
  ...inventoryEvents,
  ...ordersEvents,
  ...paymentsEvents,
  ...fulfillmentEvents,
  ...exchangesEvents,
  ...frontendEvents,
];

/** Planned events that are not declared yet, by topic and name. */
export const notYetDue: readonly { topic: string; name: string; because: string }[] = [
  {
    topic: "fulfillment.positions",
    name: "shipment-moved",
    because: "the live map comes later; positions are telemetry on a short-lived topic of their own, without outbox",
  },
];
