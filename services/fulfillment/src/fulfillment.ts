import type { EventToEmit, PostalAddress } from "@crowdcrunch/events/contract";

/**
 * Terms: an order's *fulfillment* is all that is sent for it. A *shipment* is one parcel, to pack, on its way or at its
 * end; a *digital delivery* is one mail with a link for each line. Units are *stopped* when they are cancelled before
 * they leave.
 */
export type ShipmentStatus = "TO_PACK" | "DISPATCHED" | "DELIVERED" | "LOST" | "CANCELLED";

export type DeliveryStatus = "TO_SEND" | "SENDING" | "SENT" | "FAILED" | "CANCELLED";

export interface ShipmentLine {
  lineId: string;
  skuId: string;
  name: string;
  /** Units in the parcel. */
  quantity: number;
  /** Units that were taken out of it. */
  cancelled: number;
}

export interface Shipment {
  id: string;
  orderId: string;
  trackingCode: string;
  status: ShipmentStatus;
  shippingMethod: string;
  /** Null once the person asked to be forgotten. */
  shipTo: PostalAddress | null;
  createdAt: Date;
  dispatchedAt: Date | null;
  deliveredAt: Date | null;
  lostAt: Date | null;
  lines: ShipmentLine[];
}

/** A line of a digital delivery; its id is the link's. */
export interface Download {
  id: string;
  lineId: string;
  name: string;
  quantity: number;
  cancelled: number;
}

export interface DigitalDelivery {
  id: string;
  orderId: string;
  status: DeliveryStatus;
  attempts: number;
  sentAt: Date | null;
  lines: Download[];
}

export interface Fulfillment {
  orderId: string;
  customerId: string;
  orderNumber: string;
  /** Events emitted for this order: the sequence of the latest. */
  version: number;
  shipments: Shipment[];
  deliveries: DigitalDelivery[];
}

export interface LineUnits {
  lineId: string;
  quantity: number;
}

/** What a decision wants beside the new state, which it leaves in the fulfillment itself. */
export interface Effects {
  events: EventToEmit[];
  incidents: { kind: string; subject: string; detail: string }[];
}

export function noEffects(): Effects {
  return { events: [], incidents: [] };
}

/** The fields that every event of the order carries; takes the next version. */
export function onOrderKey(fulfillment: Fulfillment) {
  fulfillment.version += 1;
  return { orderId: fulfillment.orderId, customerId: fulfillment.customerId, version: fulfillment.version };
}

/** The units of the lines that are still there. */
export function unitsOf(lines: { lineId: string; quantity: number }[]): LineUnits[] {
  return lines.filter(({ quantity }) => quantity > 0).map(({ lineId, quantity }) => ({ lineId, quantity }));
}
