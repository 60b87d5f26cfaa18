import { invalid } from "@crowdcrunch/kit/errors";
import type { RequestContext } from "@crowdcrunch/kit/graphql";
import { requireUuid } from "@crowdcrunch/kit/idempotency";
import { requireViewer } from "@crowdcrunch/kit/identity";
import { pageSize } from "@crowdcrunch/kit/operations";
import type { Commands } from "./commands.ts";
import type { LineUnits } from "./fulfillment.ts";
import type { Resolvers } from "./generated/graphql.ts";
import type { Lists, OwnedShipment } from "./store-lists.ts";

/** GraphQL in and out of fulfillment. */
export function createResolvers(parts: { commands: Commands; lists: Lists }): Resolvers {
  const { commands, lists } = parts;

  function find({ id, trackingCode }: { id?: string | null; trackingCode?: string | null }, context: RequestContext) {
    if ((id == null) === (trackingCode == null)) throw invalid("id", "Either the id or the tracking code is needed.");
    return id != null
      ? context.load(lists.shipmentsById, requireUuid(id, "id"))
      : context.load(lists.shipmentsByTrackingCode, trackingCode!.trim().toUpperCase());
  }

  return {
    Query: {
      shipment: (_, keys, context) => find(keys, context),
      async shipments(_, { status, first, after }) {
        const size = pageSize(first);
        const rows = await lists.shipmentsByStatus(
          status ?? null,
          after ? requireUuid(after, "after") : null,
          size + 1,
        );
        const nodes = rows.slice(0, size);
        return { nodes, pageInfo: { hasNextPage: rows.length > size, endCursor: nodes.at(-1)?.id ?? null } };
      },
    },
    Mutation: {
      dispatchShipment: async (_, { input }, context) => ({
        __typename: "ShipmentDispatched",
        ...(await commands.dispatchShipment(requireViewer(context.viewer), {
          ...input,
          lines: input.lines ? lineUnits(input.lines) : null,
        })),
      }),
      recordDelivery: async (_, { input }, context) => ({
        __typename: "DeliveryRecorded",
        shipment: await commands.recordDelivery(requireViewer(context.viewer), input),
      }),
      reportLost: async (_, { input }, context) => ({
        __typename: "LossReported",
        shipment: await commands.reportLost(requireViewer(context.viewer), input),
      }),
    },
    Order: {
      __resolveReference: (({ id }: { id: string }, context: RequestContext) =>
        context.load(lists.ordersById, requireUuid(id, "id"))) as never,
      shipments: (order, _, context) => context.load(lists.shipmentsByOrder, order.id),
      digitalDeliveries: (order, _, context) => context.load(lists.deliveriesByOrder, order.id),
    },
    Shipment: {
      __resolveReference: (({ id, trackingCode }: { id?: string; trackingCode?: string }, context: RequestContext) =>
        find(id === undefined ? { trackingCode: trackingCode ?? null } : { id }, context)) as never,
      order: ({ orderId, customerId }: OwnedShipment) => ({ id: orderId, customerId }),
      lines: ({ lines }) => present(lines),
    },
    ShipmentLine: {
      line: ({ lineId }) => ({ id: lineId }),
      cancelledQuantity: ({ cancelled }) => cancelled,
    },
    DigitalDelivery: { lines: ({ lines }) => present(lines) },
    DigitalDeliveryLine: {
      line: ({ lineId }) => ({ id: lineId }),
      cancelledQuantity: ({ cancelled }) => cancelled,
    },
    Return: {
      __resolveReference: (({ id }: { id: string }, context: RequestContext) =>
        context.load(lists.labelsByReturn, requireUuid(id, "id"))) as never,
      label: (label) => label,
    },
  };
}

function lineUnits(lines: { lineId: string; quantity: number }[]): LineUnits[] {
  return lines.map(({ lineId, quantity }, index) => ({
    lineId: requireUuid(lineId, `lines[${index}].lineId`),
    quantity,
  }));
}

/** A line whose units all went with another parcel has no place here. */
function present<Line extends { quantity: number; cancelled: number }>(lines: Line[]): Line[] {
  return lines.filter(({ quantity, cancelled }) => quantity + cancelled > 0);
}
