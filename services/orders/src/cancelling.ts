import { notPossible, problem } from "@crowdcrunch/kit/errors";
import { cancellationRequested, orderCancelled } from "@crowdcrunch/events/orders";
import type { Actor } from "@crowdcrunch/events/vocabulary";
import type { Cancellation, Effects, LineUnits, Order, OrderLine, Outcome } from "./order.ts";
import { isBeforeConfirmed, isTerminal, note, onOrderKey, shareMinor, unsent } from "./order.ts";
import { links, mailing } from "./paying.ts";
import { refundFromFunding } from "./refunding.ts";
import { advance } from "./shipping.ts";

// Until CONFIRMED orders decides a cancellation alone; after it, fulfillment says what can still be stopped.

/** Ends an order that was not confirmed: by its shopper, by staff, or because its deadline has passed. */
export function cancelAtOnce(order: Order, reason: string, effects: Effects, actor?: Actor): void {
  const parts = order.lines.map((line) => ({ line, quantity: unsent(line) })).filter(({ quantity }) => quantity > 0);
  for (const { line, quantity } of parts) line.cancelled += quantity;
  order.paymentToken = null;
  order.paymentUrl = null;
  if (order.couponCode) effects.couponsFreed.push(order.couponCode);
  tellCancelled(order, { id: effects.newId(), parts, reason, beforeConfirmed: true }, effects, actor);
}

/** Asks fulfillment to stop what was not sent; it answers line by line. */
export function requestCancellation(order: Order, reason: string, effects: Effects, actor?: Actor): Cancellation {
  const lines = order.lines
    .map((line) => ({ lineId: line.id, quantity: unsent(line) }))
    .filter(({ quantity }) => quantity > 0);
  const openUnits = lines.reduce((sum, { quantity }) => sum + quantity, 0);
  const cancellation: Cancellation = { id: effects.newId(), orderId: order.id, reason, status: "REQUESTED", openUnits };
  effects.cancellations.push(cancellation);
  note(effects, order, "CANCELLATION_REQUESTED", reason, actor);
  effects.events.push(
    cancellationRequested.create(
      { ...onOrderKey(order), cancellationId: cancellation.id, lines },
      { sequence: order.version },
    ),
  );
  return cancellation;
}

/** What a shopper or staff ask for. Throws TooLate or NotPossible. */
export function cancel(order: Order, by: { actor: Actor; reason: string; pending: boolean }, effects: Effects): void {
  if (order.status === "REJECTED" || order.status === "CANCELLED")
    throw notPossible(order.status, "This order has ended already.");
  if (isBeforeConfirmed(order.status)) return cancelAtOnce(order, by.reason, effects, by.actor);
  if (order.lines.every((line) => unsent(line) === 0))
    throw problem("TooLate", "All of this order has been sent; it can be returned.");
  if (by.pending) throw notPossible("CANCELLATION_REQUESTED", "A cancellation of this order is being decided.");
  requestCancellation(order, by.reason, effects, by.actor);
}

/** Fulfillment will not send these lines. */
export function linesAreStopped(
  order: Order,
  cancellation: Cancellation,
  lines: LineUnits[],
  at: string,
  effects: Effects,
): Outcome {
  if (isTerminal(order.status)) return "ignore";
  const parts = lines.flatMap(({ lineId, quantity }) => {
    const line = order.lines.find(({ id }) => id === lineId);
    return line ? [{ line, quantity: Math.min(quantity, unsent(line)) }] : [];
  });
  for (const { line, quantity } of parts) line.cancelled += quantity;
  answer(cancellation, lines, "DONE", effects);
  tellCancelled(order, { id: cancellation.id, parts, reason: cancellation.reason, beforeConfirmed: false }, effects);
  if (!isTerminal(order.status)) advance(order, at, effects);
  return "apply";
}

/** It was too late for these lines. */
export function cancellationIsRefused(
  order: Order,
  cancellation: Cancellation,
  lines: LineUnits[],
  reason: string,
  effects: Effects,
): Outcome {
  answer(cancellation, lines, "REFUSED", effects);
  note(effects, order, "CANCELLATION_REFUSED", reason);
  return "apply";
}

function answer(cancellation: Cancellation, lines: LineUnits[], status: "DONE" | "REFUSED", effects: Effects): void {
  cancellation.openUnits = Math.max(0, cancellation.openUnits - lines.reduce((sum, { quantity }) => sum + quantity, 0));
  if (cancellation.openUnits === 0 || status === "DONE")
    cancellation.status = cancellation.status === "DONE" ? "DONE" : status;
  effects.cancellations.push(cancellation);
}

interface Cancelled {
  id: string;
  parts: { line: OrderLine; quantity: number }[];
  reason: string;
  beforeConfirmed: boolean;
}

function tellCancelled(order: Order, cancelled: Cancelled, effects: Effects, actor?: Actor): void {
  const whole = order.lines.every((line) => line.cancelled === line.quantity);
  const capturableBefore = order.dueMinor - order.captureAskedMinor;
  const capturableMinor = whole ? 0 : Math.min(capturableBefore, remainingWorth(order));
  if (whole) {
    order.status = "CANCELLED";
    order.deadlineAt = null;
    order.awaitsStock = true;
    order.awaitsVoid = order.paymentAttempt > 0;
  }
  note(effects, order, whole ? "CANCELLED" : "PARTLY_CANCELLED", cancelled.reason, actor);
  effects.events.push(
    orderCancelled.create(
      {
        ...onOrderKey(order),
        ...mailing(order),
        ...links(order),
        cancellationId: cancelled.id,
        ...(order.paymentId && order.paymentAttempt > 0 ? { paymentId: order.paymentId } : {}),
        lines: cancelled.parts.map(({ line, quantity }) => ({
          lineId: line.id,
          skuId: line.skuId,
          name: line.name,
          quantity,
        })),
        whole,
        beforeConfirmed: cancelled.beforeConfirmed,
        reason: cancelled.reason,
        capturableMinor,
        currency: order.currency,
      },
      { sequence: order.version },
    ),
  );
  giveCreditBack(order, whole, effects);
}

/** What is left to be sent is worth this, with the shipping if it was not charged yet. */
function remainingWorth(order: Order): number {
  const goods = order.lines.reduce((sum, line) => sum + shareMinor(line, line.shipped, line.shipped + unsent(line)), 0);
  const physicalLeft = order.lines.some((line) => !line.digital && unsent(line) > 0);
  const shippingCharged = order.lines.some((line) => !line.digital && line.shipped > 0);
  return goods + (physicalLeft && !shippingCharged ? order.totals.shippingMinor : 0);
}

/** A cancelled replacement gives back the credit for what was returned; its own payment is voided by payments. */
function giveCreditBack(order: Order, whole: boolean, effects: Effects): void {
  if (!whole || order.kind !== "REPLACEMENT") return;
  const amountMinor = order.funding
    .filter(({ paymentId }) => paymentId !== order.paymentId)
    .reduce((sum, source) => sum + source.amountMinor, 0);
  if (amountMinor > 0)
    refundFromFunding(order, { amountMinor, reason: "RETURN", returnId: order.returnId, lines: [] }, effects);
}
