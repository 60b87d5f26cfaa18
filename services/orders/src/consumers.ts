import { customerErased } from "@crowdcrunch/events/customers";
import { replacementRequested, replacementWithdrawn, returnInspected } from "@crowdcrunch/events/exchanges";
import { productChanged } from "@crowdcrunch/events/inventory";
import { guestClaimed } from "@crowdcrunch/events/users";
import { onEvents } from "@crowdcrunch/kit/consumer";
import type { EventHandler } from "@crowdcrunch/kit/consumer";
import type { EventCommands } from "./commands-events.ts";
import { sagaEvents } from "./saga.ts";

/** Other services' events, each to its command. */
export function createConsumers(commands: EventCommands): EventHandler[] {
  return [
    onEvents([...sagaEvents, returnInspected, replacementRequested, replacementWithdrawn], commands.advanceOrders),
    onEvents([productChanged], commands.takeProducts),
    onEvents([guestClaimed, customerErased], commands.followPeople),
  ];
}
