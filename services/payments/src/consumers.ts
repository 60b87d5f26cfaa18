import { customerErased } from "@crowdcrunch/events/customers";
import {
  orderCancelled,
  orderCompleted,
  orderReassigned,
  orderShipped,
  paymentRequested,
  refundRequested,
} from "@crowdcrunch/events/orders";
import { onEvents } from "@crowdcrunch/kit/consumer";
import type { EventHandler } from "@crowdcrunch/kit/consumer";
import type { Commands } from "./commands.ts";

/** Orders instructs; customers asks to forget. */
export function createConsumers(commands: Commands): EventHandler[] {
  return [
    // A payment is requested before anything else is told about it, and whose it is only labels it: so requests first,
    // new owners last, and all others in their order.
    onEvents(
      [paymentRequested, orderShipped, orderCancelled, orderCompleted, refundRequested, orderReassigned],
      async (tx, events) => {
        await commands.openPayments(
          tx,
          events.filter((event) => event.type === paymentRequested.type),
        );
        const waiting = await commands.obey(
          tx,
          events.filter((event) => event.type !== paymentRequested.type && event.type !== orderReassigned.type),
        );
        await commands.reassign(
          tx,
          events.filter((event) => event.type === orderReassigned.type),
        );
        return waiting;
      },
    ),
    onEvents([customerErased], (tx, events) => commands.erase(tx, events)),
  ];
}
