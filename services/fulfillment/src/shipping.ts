import { shipmentDelivered, shipmentDispatched, shipmentLost } from "@crowdcrunch/events/fulfillment";
import type { Actor } from "@crowdcrunch/events/vocabulary";
import { invalid, notPossible } from "@crowdcrunch/kit/errors";
import type { Effects, Fulfillment, LineUnits, Shipment } from "./fulfillment.ts";
import { onOrderKey, unitsOf } from "./fulfillment.ts";

// A parcel's way: packed and handed to the carrier, whole or in parts, then delivered or lost.

/** When and by whom; the system where nobody is named. */
export interface Act {
  at: Date;
  actor?: Actor | undefined;
}

/**
 * Hands a parcel to the carrier. With `parts` only those units go: they become a shipment of their own, under the minted
 * id and tracking code, and the rest stays to pack. Throws NotPossible, or InvalidInput for units that are not there.
 */
export function dispatch(
  fulfillment: Fulfillment,
  shipment: Shipment,
  demand: { parts: LineUnits[] | null; minted: { id: string; trackingCode: string } } & Act,
  effects: Effects,
): { dispatched: Shipment; remaining: Shipment | null } {
  if (shipment.status !== "TO_PACK") throw notPossible(shipment.status, "Only a parcel to pack can be dispatched.");
  if (!shipment.shipTo) throw notPossible("ADDRESS_ERASED", "The person asked to be forgotten: cancel the order.");
  const parts = demand.parts ?? unitsOf(shipment.lines);
  checkParts(shipment, parts);
  const isWhole = shipment.lines.every(
    ({ lineId, quantity }) => quantity === (parts.find((part) => part.lineId === lineId)?.quantity ?? 0),
  );
  const dispatched = isWhole ? shipment : split(fulfillment, shipment, parts, demand.minted);
  dispatched.status = "DISPATCHED";
  dispatched.dispatchedAt = demand.at;
  effects.events.push(
    shipmentDispatched.create(
      { ...about(fulfillment, dispatched), trackingCode: dispatched.trackingCode, ...acted(demand) },
      { sequence: fulfillment.version },
    ),
  );
  return { dispatched, remaining: isWhole ? null : shipment };
}

function checkParts(shipment: Shipment, parts: LineUnits[]): void {
  if (parts.length === 0) throw invalid("lines", "At least one unit must go.");
  const seen = new Set<string>();
  for (const [index, { lineId, quantity }] of parts.entries()) {
    const line = shipment.lines.find((candidate) => candidate.lineId === lineId);
    if (!line || seen.has(lineId)) {
      throw invalid(`lines[${index}].lineId`, "Each line of the parcel may be named once, and no other.");
    }
    seen.add(lineId);
    if (!Number.isSafeInteger(quantity) || quantity < 1 || quantity > line.quantity) {
      throw invalid(`lines[${index}].quantity`, `The parcel has ${line.quantity} of it.`);
    }
  }
}

function split(
  fulfillment: Fulfillment,
  shipment: Shipment,
  parts: LineUnits[],
  minted: { id: string; trackingCode: string },
): Shipment {
  const lines = parts.map(({ lineId, quantity }) => {
    const line = shipment.lines.find((candidate) => candidate.lineId === lineId)!;
    line.quantity -= quantity;
    return { ...line, quantity, cancelled: 0 };
  });
  const part: Shipment = { ...shipment, ...minted, lines };
  fulfillment.shipments.push(part);
  return part;
}

/** The parcel has arrived. Throws NotPossible unless it is on its way. */
export function deliver(fulfillment: Fulfillment, shipment: Shipment, act: Act, effects: Effects): void {
  requireOnItsWay(shipment);
  shipment.status = "DELIVERED";
  shipment.deliveredAt = act.at;
  effects.events.push(
    shipmentDelivered.create({ ...about(fulfillment, shipment), ...acted(act) }, { sequence: fulfillment.version }),
  );
}

/** The parcel will not arrive. Throws NotPossible unless it is on its way. */
export function lose(fulfillment: Fulfillment, shipment: Shipment, act: Act, effects: Effects): void {
  requireOnItsWay(shipment);
  shipment.status = "LOST";
  shipment.lostAt = act.at;
  effects.events.push(
    shipmentLost.create({ ...about(fulfillment, shipment), ...acted(act) }, { sequence: fulfillment.version }),
  );
}

function requireOnItsWay(shipment: Shipment): void {
  if (shipment.status !== "DISPATCHED") throw notPossible(shipment.status, "The parcel is not on its way.");
}

function about(fulfillment: Fulfillment, shipment: Shipment) {
  return { ...onOrderKey(fulfillment), shipmentId: shipment.id, lines: unitsOf(shipment.lines) };
}

function acted(act: Act) {
  return { at: act.at.toISOString(), ...(act.actor ? { actor: act.actor } : {}) };
}
