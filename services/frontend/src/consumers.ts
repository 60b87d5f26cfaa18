import { consentChanged, customerErased } from "@crowdcrunch/events/customers";
import { availabilityChanged, productChanged } from "@crowdcrunch/events/inventory";
import { orderCancelled, orderPlaced, orderRejected } from "@crowdcrunch/events/orders";
import { guestClaimed } from "@crowdcrunch/events/users";
import { onEvents } from "@crowdcrunch/kit/consumer";
import type { EventHandler } from "@crowdcrunch/kit/consumer";
import type { EventCommands } from "./commands-events.ts";

/** Other services' events, each to its command. */
export function createConsumers(commands: EventCommands): EventHandler[] {
  return [
    onEvents([orderPlaced, orderRejected, orderCancelled], commands.followOrders),
    onEvents([guestClaimed], commands.claimGuests),
    onEvents([productChanged], commands.takeProducts),
    onEvents([availabilityChanged], commands.takeAvailabilities),
    onEvents([consentChanged], commands.takeConsents),
    onEvents([customerErased], commands.erase),
  ];
}
