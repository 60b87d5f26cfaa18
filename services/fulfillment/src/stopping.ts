import { cancellationRefused, shipmentCancelled } from "@crowdcrunch/events/fulfillment";
import type { Effects, Fulfillment, LineUnits } from "./fulfillment.ts";
import { onOrderKey } from "./fulfillment.ts";

// Cancellation after CONFIRMED: what has not left can be stopped, the rest is refused. Each unit that was asked about is
// answered exactly once.

/** Stops what can be stopped of the lines, and says so. */
export function stop(
  fulfillment: Fulfillment,
  request: { cancellationId: string; lines: LineUnits[] },
  effects: Effects,
): void {
  const { cancellationId } = request;
  const stopped: LineUnits[] = [];
  const refused = new Map<string, LineUnits[]>();
  for (const { lineId, quantity } of request.lines) {
    const units = takeOut(fulfillment, lineId, quantity);
    if (units > 0) stopped.push({ lineId, quantity: units });
    if (units === quantity) continue;
    const reason = whyTooLate(fulfillment, lineId);
    refused.set(reason, [...(refused.get(reason) ?? []), { lineId, quantity: quantity - units }]);
  }
  closeEmptied(fulfillment);
  if (stopped.length > 0) {
    effects.events.push(
      shipmentCancelled.create(
        { ...onOrderKey(fulfillment), cancellationId, lines: stopped },
        { sequence: fulfillment.version },
      ),
    );
  }
  for (const [reason, lines] of refused) {
    effects.events.push(
      cancellationRefused.create(
        { ...onOrderKey(fulfillment), cancellationId, lines, reason },
        { sequence: fulfillment.version },
      ),
    );
  }
}

/** Takes up to `wanted` units of a line out of what has not left; resolves to how many there were. */
function takeOut(fulfillment: Fulfillment, lineId: string, wanted: number): number {
  const open = [
    ...fulfillment.shipments.filter(({ status }) => status === "TO_PACK"),
    // One that is being sent at this moment counts as gone: if the mail fails for good, its lines are cancelled by that.
    ...fulfillment.deliveries.filter(({ status }) => status === "TO_SEND"),
  ];
  let left = wanted;
  for (const line of open.flatMap(({ lines }) => lines as { lineId: string; quantity: number; cancelled: number }[])) {
    if (line.lineId !== lineId) continue;
    const units = Math.min(left, line.quantity);
    line.quantity -= units;
    line.cancelled += units;
    left -= units;
  }
  return wanted - left;
}

function closeEmptied(fulfillment: Fulfillment): void {
  for (const shipment of fulfillment.shipments) {
    if (shipment.status === "TO_PACK" && shipment.lines.every(({ quantity }) => quantity === 0)) {
      shipment.status = "CANCELLED";
    }
  }
  for (const delivery of fulfillment.deliveries) {
    if (delivery.status === "TO_SEND" && delivery.lines.every(({ quantity }) => quantity === 0)) {
      delivery.status = "CANCELLED";
    }
  }
}

function whyTooLate(fulfillment: Fulfillment, lineId: string): string {
  const has = ({ lines }: { lines: { lineId: string; quantity: number }[] }) =>
    lines.some((line) => line.lineId === lineId && line.quantity > 0);
  const delivery = fulfillment.deliveries.find(has);
  if (delivery) return delivery.status === "FAILED" ? "FAILED" : "SENT";
  const parcels = fulfillment.shipments.filter(has);
  if (parcels.length === 0) return "CANCELLED";
  return parcels.every(({ status }) => status === "DELIVERED") ? "DELIVERED" : "DISPATCHED";
}
