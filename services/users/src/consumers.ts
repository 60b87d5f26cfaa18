import { customerErased } from "@crowdcrunch/events/customers";
import { onEvents } from "@crowdcrunch/kit/consumer";
import type { EventHandler } from "@crowdcrunch/kit/consumer";
import type { Commands } from "./commands.ts";

/** What users does when others publish. */
export function createConsumers(commands: Commands): EventHandler[] {
  return [
    onEvents([customerErased], (tx, events) =>
      commands.erase(
        tx,
        events.map((event) => event.data.customerId),
      ),
    ),
  ];
}
