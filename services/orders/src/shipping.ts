import { orderCompleted, orderDelivered, orderShipped } from "@crowdcrunch/events/orders";
import type { Actor } from "@crowdcrunch/events/vocabulary";
import type { Effects, LineUnits, Order, OrderLine, Outcome } from "./order.ts";
import { isBeforeConfirmed, isTerminal, note, onOrderKey, shareMinor, unsent } from "./order.ts";
import { mailing } from "./paying.ts";

// From CONFIRMED to COMPLETED: what left, what arrived, what it costs.

export interface Consignment {
  shipmentId?: string;
  deliveryId?: string;
  trackingCode?: string;
  lines: LineUnits[];
  /** ISO 8601. */
  at: string;
  actor?: Actor | undefined;
}

function known(order: Order, lines: LineUnits[]): { line: OrderLine; quantity: number }[] {
  return lines.flatMap(({ lineId, quantity }) => {
    const line = order.lines.find(({ id }) => id === lineId);
    return line ? [{ line, quantity }] : [];
  });
}

/** Lines left: what they are worth is captured, the shipping with the first physical ones. */
export function linesAreShipped(order: Order, consignment: Consignment, effects: Effects): Outcome {
  if (isBeforeConfirmed(order.status)) return "wait";
  if (order.status === "REJECTED" || order.status === "CANCELLED") return "ignore";
  const parts = known(order, consignment.lines);
  const firstPhysical =
    order.lines.every((line) => line.digital || line.shipped === 0) && parts.some(({ line }) => !line.digital);
  let worthMinor = firstPhysical ? order.totals.shippingMinor : 0;
  for (const { line, quantity } of parts) {
    worthMinor += shareMinor(line, line.shipped, line.shipped + quantity);
    line.shipped += quantity;
  }
  const completesShipping = order.lines.every((line) => unsent(line) === 0);
  const captureMinor = Math.min(worthMinor, order.dueMinor - order.captureAskedMinor);
  order.captureSequence += 1;
  order.captureAskedMinor += captureMinor;
  note(
    effects,
    order,
    consignment.deliveryId ? "DIGITAL_GOODS_SENT" : "DISPATCHED",
    consignment.trackingCode,
    consignment.actor,
  );
  effects.events.push(
    orderShipped.create(
      {
        ...onOrderKey(order),
        ...mailing(order),
        ...parcel(consignment),
        ...(consignment.trackingCode ? { trackingCode: consignment.trackingCode } : {}),
        lines: parts.map(({ line, quantity }) => ({
          lineId: line.id,
          skuId: line.skuId,
          name: line.name,
          quantity,
          digital: line.digital,
        })),
        ...(order.paymentId && order.dueMinor > 0 ? { paymentId: order.paymentId } : {}),
        captureMinor,
        captureSequence: order.captureSequence,
        currency: order.currency,
        completesShipping,
      },
      { sequence: order.version },
    ),
  );
  advance(order, consignment.at, effects);
  return "apply";
}

export function linesAreDelivered(order: Order, consignment: Consignment, effects: Effects): Outcome {
  const parts = known(order, consignment.lines);
  if (parts.some(({ line, quantity }) => line.delivered + line.lost + quantity > line.shipped))
    return isTerminal(order.status) ? "ignore" : "wait";
  for (const { line, quantity } of parts) line.delivered += quantity;
  note(effects, order, "DELIVERED", undefined, consignment.actor);
  effects.events.push(
    orderDelivered.create(
      { ...onOrderKey(order), ...parcel(consignment), lines: consignment.lines, deliveredAt: consignment.at },
      { sequence: order.version },
    ),
  );
  advance(order, consignment.at, effects);
  return "apply";
}

/** Staff find out what became of a parcel and refund or send again. */
export function linesAreLost(order: Order, consignment: Consignment, effects: Effects): Outcome {
  const parts = known(order, consignment.lines);
  if (parts.some(({ line, quantity }) => line.delivered + line.lost + quantity > line.shipped))
    return isTerminal(order.status) ? "ignore" : "wait";
  for (const { line, quantity } of parts) line.lost += quantity;
  note(effects, order, "PARCEL_LOST", undefined, consignment.actor);
  effects.incidents.push({
    kind: "PARCEL_LOST",
    subject: consignment.shipmentId ?? order.id,
    detail: `order ${order.number}: ${parts.map(({ line, quantity }) => `${quantity} × ${line.name}`).join(", ")} did not arrive`,
  });
  advance(order, consignment.at, effects);
  return "apply";
}

export function paymentIsCaptured(order: Order, amountMinor: number, at: string, effects: Effects): Outcome {
  order.capturedMinor += amountMinor;
  note(effects, order, "PAYMENT_CAPTURED", String(amountMinor));
  advance(order, at, effects);
  return "apply";
}

/** The status follows from the lines; an order is completed when all has arrived and been paid. */
export function advance(order: Order, at: string, effects: Effects): void {
  if (isTerminal(order.status) || isBeforeConfirmed(order.status)) return;
  const open = order.lines.filter((line) => line.quantity > line.cancelled);
  const arrived = (line: OrderLine) => line.delivered + line.lost;
  const wanted = (line: OrderLine) => line.quantity - line.cancelled;
  if (open.every((line) => arrived(line) === wanted(line))) order.status = "DELIVERED";
  else if (open.some((line) => arrived(line) > 0)) order.status = "PARTIALLY_DELIVERED";
  else if (open.every((line) => unsent(line) === 0)) order.status = "SHIPPED";
  else order.status = open.some((line) => line.shipped > 0) ? "PARTIALLY_SHIPPED" : "CONFIRMED";
  if (order.status !== "DELIVERED" || order.capturedMinor < order.captureAskedMinor) return;
  order.status = "COMPLETED";
  note(effects, order, "COMPLETED");
  effects.events.push(
    orderCompleted.create(
      {
        ...onOrderKey(order),
        ...(order.exchangeId ? { exchangeId: order.exchangeId } : {}),
        ...(order.paymentId ? { paymentId: order.paymentId } : {}),
        at,
      },
      { sequence: order.version },
    ),
  );
}

function parcel(consignment: Consignment): { shipmentId?: string; deliveryId?: string } {
  return {
    ...(consignment.shipmentId ? { shipmentId: consignment.shipmentId } : {}),
    ...(consignment.deliveryId ? { deliveryId: consignment.deliveryId } : {}),
  };
}
