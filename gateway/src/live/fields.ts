import type { EventContract } from "@crowdcrunch/events/contract";
import { exchangesEvents } from "@crowdcrunch/events/exchanges";
import { fulfillmentEvents } from "@crowdcrunch/events/fulfillment";
import { availabilityChanged } from "@crowdcrunch/events/inventory";
import { ordersEvents } from "@crowdcrunch/events/orders";
import { paymentsEvents } from "@crowdcrunch/events/payments";
import type { DeliveredEvent } from "@crowdcrunch/kit/eventlog";

/** How a field of Subscription is kept up to date. */
export interface LiveField {
  /** The field of Query that answers it: of the same type, and with the same `@access`. */
  query: string;
  /** What the query calls an argument, where it has another name there. */
  renamed?: Record<string, string>;
  /** What may change the answer. Each owner tells of its own part, once that is committed. */
  events: readonly EventContract[];
  /** What such an event is about, in the words of `listensTo`. */
  keyOf(event: DeliveredEvent): string;
  /** Where a listener's keys stand: in an argument that has one or a list, or in a field of the answer. */
  listensTo: { argument: string } | { field: string };
  /** The field of the answer that rises with each change; an answer that is older than the last one is dropped. */
  version?: string;
}

/** All that can be listened to, by the field of Subscription. A new one is a line here and a field in its owner's schema. */
export const liveFields: Record<string, LiveField> = {
  orderUpdated: {
    query: "order",
    events: [...ordersEvents, ...paymentsEvents, ...fulfillmentEvents, ...exchangesEvents],
    keyOf: ({ key }) => key,
    listensTo: { field: "id" },
    version: "version",
  },
  returnUpdated: {
    query: "return",
    events: exchangesEvents,
    keyOf: ({ data }) => String((data as { returnId?: string }).returnId),
    listensTo: { field: "id" },
    version: "version",
  },
  availabilityChanged: {
    query: "skus",
    renamed: { skuIds: "ids" },
    events: [availabilityChanged],
    keyOf: ({ subject }) => subject,
    listensTo: { argument: "skuIds" },
  },
};
