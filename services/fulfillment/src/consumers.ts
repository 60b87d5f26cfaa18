import { customerErased } from "@crowdcrunch/events/customers";
import { returnApproved } from "@crowdcrunch/events/exchanges";
import { cancellationRequested, orderConfirmed, orderReassigned, orderRefunded } from "@crowdcrunch/events/orders";
import { onEvents } from "@crowdcrunch/kit/consumer";
import type { EventHandler } from "@crowdcrunch/kit/consumer";
import type { EventCommands } from "./commands-events.ts";

/** Other services' events, each to its command. */
export function createConsumers(commands: EventCommands): EventHandler[] {
  return [
    onEvents([orderConfirmed, cancellationRequested, orderRefunded, orderReassigned], commands.followOrders),
    onEvents([returnApproved], commands.makeLabels),
    onEvents([customerErased], commands.forgetPeople),
  ];
}
