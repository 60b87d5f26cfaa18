import { cartAbandoned } from "@crowdcrunch/events/frontend";
import { orderCancelled, orderConfirmed, orderRefunded, orderRejected, orderShipped } from "@crowdcrunch/events/orders";
import {
  emailVerificationRequested,
  guestClaimed,
  passwordResetRequested,
  userRegistered,
} from "@crowdcrunch/events/users";
import { onEvents } from "@crowdcrunch/kit/consumer";
import type { EventHandler } from "@crowdcrunch/kit/consumer";
import type { EventCommands } from "./commands-events.ts";

/** Other services' events, each to its command. */
export function createConsumers(commands: EventCommands): EventHandler[] {
  return [
    onEvents([userRegistered], commands.keepProfiles),
    onEvents([guestClaimed], commands.claimGuests),
    onEvents(
      [
        passwordResetRequested,
        emailVerificationRequested,
        orderConfirmed,
        orderRejected,
        orderCancelled,
        orderShipped,
        orderRefunded,
        cartAbandoned,
      ],
      commands.writeLetters,
    ),
  ];
}
