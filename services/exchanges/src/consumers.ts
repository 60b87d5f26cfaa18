import { customerErased } from "@crowdcrunch/events/customers";
import {
  orderCancelled,
  orderCompleted,
  orderConfirmed,
  orderDelivered,
  orderPlaced,
  orderReassigned,
  orderRefunded,
  orderRefundFailed,
  orderRejected,
} from "@crowdcrunch/events/orders";
import { onEvents } from "@crowdcrunch/kit/consumer";
import type { EventHandler } from "@crowdcrunch/kit/consumer";
import type { EventCommands } from "./commands-events.ts";

/** Other services' events, each to its command. */
export function createConsumers(commands: EventCommands): EventHandler[] {
  return [
    onEvents(
      [
        orderPlaced,
        orderConfirmed,
        orderDelivered,
        orderCancelled,
        orderRejected,
        orderRefunded,
        orderRefundFailed,
        orderCompleted,
        orderReassigned,
      ],
      commands.followOrders,
    ),
    onEvents([customerErased], commands.forgetPeople),
  ];
}
