import Type from "typebox";
import { event, LineQuantity, onOrder, Timestamp, Uuid } from "./contract.ts";
import { Actor, Code } from "./vocabulary.ts";

// Key and subject: the order's id; the version counts what happened to all shipments and deliveries of the order, so
// that one row lock decides between dispatch and cancellation. Replies go to orders alone.

const lines = Type.Array(LineQuantity, { minItems: 1 });
const onShipment = { ...onOrder, shipmentId: Uuid, lines };
const onDelivery = { ...onOrder, deliveryId: Uuid, lines };
const actor = Type.Optional(Actor);

/** orders: the timeline. */
export const shipmentCreated = event(
  { topic: "fulfillment", name: "shipment-created", version: 1, key: "orderId", subject: "orderId" },
  Type.Object({ ...onShipment, trackingCode: Type.String({ minLength: 1 }) }),
);

/** orders: passes it on (order-shipped). */
export const shipmentDispatched = event(
  { topic: "fulfillment", name: "shipment-dispatched", version: 1, key: "orderId", subject: "orderId" },
  Type.Object({ ...onShipment, trackingCode: Type.String({ minLength: 1 }), at: Timestamp, actor }),
);

/** These lines will not be sent. orders: cancels them (order-cancelled). */
export const shipmentCancelled = event(
  { topic: "fulfillment", name: "shipment-cancelled", version: 1, key: "orderId", subject: "orderId" },
  Type.Object({ ...onOrder, cancellationId: Uuid, lines }),
);

/** Too late for these lines. orders: the timeline; cancelOrder answers TooLate. */
export const cancellationRefused = event(
  { topic: "fulfillment", name: "cancellation-refused", version: 1, key: "orderId", subject: "orderId" },
  Type.Object({ ...onOrder, cancellationId: Uuid, lines, /** DISPATCHED, DELIVERED, SENT (digital). */ reason: Code }),
);

/** orders: passes it on (order-delivered). */
export const shipmentDelivered = event(
  { topic: "fulfillment", name: "shipment-delivered", version: 1, key: "orderId", subject: "orderId" },
  Type.Object({ ...onShipment, at: Timestamp, actor }),
);

/** orders: opens an incident, which ends in a refund or a replacement. */
export const shipmentLost = event(
  { topic: "fulfillment", name: "shipment-lost", version: 1, key: "orderId", subject: "orderId" },
  Type.Object({ ...onShipment, at: Timestamp, actor }),
);

/** The mail with the links went out. orders: passes it on (order-shipped and order-delivered). */
export const digitalDeliverySent = event(
  { topic: "fulfillment", name: "digital-delivery-sent", version: 1, key: "orderId", subject: "orderId" },
  Type.Object({ ...onDelivery, at: Timestamp }),
);

/** orders: cancels these lines (order-cancelled). */
export const digitalDeliveryFailed = event(
  { topic: "fulfillment", name: "digital-delivery-failed", version: 1, key: "orderId", subject: "orderId" },
  Type.Object({ ...onDelivery, code: Code }),
);

export const fulfillmentEvents = [
  shipmentCreated,
  shipmentDispatched,
  shipmentCancelled,
  cancellationRefused,
  shipmentDelivered,
  shipmentLost,
  digitalDeliverySent,
  digitalDeliveryFailed,
];
