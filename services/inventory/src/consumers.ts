import { returnInspected } from "@crowdcrunch/events/exchanges";
import { orderCancelled, orderPlaced, orderShipped } from "@crowdcrunch/events/orders";
import { onEvents } from "@crowdcrunch/kit/consumer";
import type { EventHandler } from "@crowdcrunch/kit/consumer";
import type { createEventCommands } from "./commands-events.ts";

/** Orders' instructions and returned goods. */
export function createConsumers(commands: ReturnType<typeof createEventCommands>): EventHandler[] {
  return [onEvents([orderPlaced, orderCancelled, orderShipped, returnInspected], commands.moveStock)];
}
