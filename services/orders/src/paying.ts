import { orderConfirmed, orderRejected, paymentRequested } from "@crowdcrunch/events/orders";
import type { stockRejected } from "@crowdcrunch/events/inventory";
import type { EventOf } from "@crowdcrunch/events/contract";
import type { Effects, Order, Outcome } from "./order.ts";
import { note, onOrderKey } from "./order.ts";
import { refundFromFunding } from "./refunding.ts";

// From PENDING to CONFIRMED or REJECTED: stock, then money.

/** Stock is held: ask for the payment, confirm what needs none, or let a replacement wait for what comes back. */
export function stockIsReserved(order: Order, effects: Effects): Outcome {
  if (order.status !== "PENDING") return "ignore";
  order.stockReserved = true;
  note(effects, order, "STOCK_RESERVED");
  if (order.kind === "REPLACEMENT" && order.creditMinor === null) {
    order.status = "AWAITING_RETURN";
    return "apply";
  }
  payOrConfirm(order, effects);
  return "apply";
}

export function stockIsRejected(order: Order, event: EventOf<typeof stockRejected>, effects: Effects): Outcome {
  if (order.status !== "PENDING") return "ignore";
  order.status = "REJECTED";
  order.deadlineAt = null;
  order.paymentToken = null;
  if (order.couponCode) effects.couponsFreed.push(order.couponCode);
  const lines = event.data.lines.flatMap((short) => {
    const line = order.lines.find(({ id }) => id === short.lineId);
    return line
      ? [
          {
            lineId: line.id,
            skuId: line.skuId,
            name: line.name,
            requested: short.requested,
            available: short.available,
          },
        ]
      : [];
  });
  note(
    effects,
    order,
    "REJECTED",
    lines.map((line) => `${line.name}: ${line.requested} wanted, ${line.available} there`).join("; "),
  );
  effects.events.push(
    orderRejected.create(
      { ...onOrderKey(order), ...mailing(order), ...links(order), reason: "OUT_OF_STOCK", lines },
      { sequence: order.version },
    ),
  );
  return "apply";
}

/** Asks payments for what is due, or confirms at once where nothing is. */
export function payOrConfirm(order: Order, effects: Effects): void {
  if (order.dueMinor === 0) return confirm(order, effects);
  order.status = "AWAITING_PAYMENT";
  if (order.paymentToken !== null) requestPayment(order, order.paymentToken, effects);
}

/** Starts an attempt with a card. The payment keeps its id over all attempts. */
export function requestPayment(order: Order, paymentToken: string, effects: Effects): void {
  order.paymentId ??= effects.newId();
  order.paymentAttempt += 1;
  order.paymentState = "REQUESTED";
  order.status = "AWAITING_PAYMENT";
  order.paymentToken = null;
  note(effects, order, "PAYMENT_REQUESTED", order.paymentAttempt > 1 ? `attempt ${order.paymentAttempt}` : undefined);
  effects.events.push(
    paymentRequested.create(
      {
        ...onOrderKey(order),
        number: order.number,
        paymentId: order.paymentId,
        attempt: order.paymentAttempt,
        amountMinor: order.dueMinor,
        currency: order.currency,
        paymentToken,
      },
      { sequence: order.version },
    ),
  );
}

export function paymentIsAuthorized(order: Order, attempt: number, effects: Effects): Outcome {
  if (!awaitsPayment(order) || attempt !== order.paymentAttempt) return "ignore";
  order.paymentState = "AUTHORIZED";
  order.paymentUrl = null;
  note(effects, order, "PAYMENT_AUTHORIZED");
  confirm(order, effects);
  return "apply";
}

export function paymentIsDeclined(order: Order, attempt: number, code: string, effects: Effects): Outcome {
  if (!awaitsPayment(order) || attempt !== order.paymentAttempt) return "ignore";
  order.status = "AWAITING_PAYMENT";
  order.paymentState = "DECLINED";
  order.paymentUrl = null;
  note(effects, order, "PAYMENT_DECLINED", code);
  return "apply";
}

export function paymentNeedsAction(order: Order, attempt: number, url: string, effects: Effects): Outcome {
  if (!awaitsPayment(order) || attempt !== order.paymentAttempt) return "ignore";
  order.status = "PAYMENT_ACTION_REQUIRED";
  order.paymentState = "ACTION_REQUIRED";
  order.paymentUrl = url;
  note(effects, order, "PAYMENT_ACTION_REQUIRED");
  return "apply";
}

function awaitsPayment(order: Order): boolean {
  return order.status === "AWAITING_PAYMENT" || order.status === "PAYMENT_ACTION_REQUIRED";
}

function confirm(order: Order, effects: Effects): void {
  order.status = "CONFIRMED";
  order.deadlineAt = null;
  order.paymentToken = null;
  if (order.paymentId && order.dueMinor > 0)
    order.funding.unshift({ paymentId: order.paymentId, amountMinor: order.dueMinor });
  note(effects, order, "CONFIRMED");
  effects.events.push(
    orderConfirmed.create(
      {
        ...onOrderKey(order),
        ...mailing(order),
        kind: order.kind,
        ...(order.exchangeId ? { exchangeId: order.exchangeId } : {}),
        ...(order.paymentId ? { paymentId: order.paymentId } : {}),
        lines: order.lines.map((line) => ({
          lineId: line.id,
          skuId: line.skuId,
          name: line.name,
          quantity: line.quantity,
          digital: line.digital,
          unitMinor: line.unitMinor,
          paidMinor: line.paidMinor,
        })),
        totals: order.totals,
        currency: order.currency,
        shippingMethod: order.shippingMethod,
        ...(order.shipTo && order.lines.some((line) => !line.digital) ? { shipTo: order.shipTo } : {}),
      },
      { sequence: order.version },
    ),
  );
}

/**
 * The goods that a replacement is for came back and are worth `creditMinor`, which the former payment `credit` holds:
 * the shopper pays the difference, gets it back, or neither.
 */
export function settleReplacement(
  order: Order,
  creditMinor: number,
  credit: { paymentId: string | null; deadlineAt: Date },
  effects: Effects,
): void {
  order.creditMinor = creditMinor;
  order.dueMinor = Math.max(0, order.totals.totalMinor - creditMinor);
  if (credit.paymentId) order.funding.push({ paymentId: credit.paymentId, amountMinor: creditMinor });
  note(effects, order, "RETURN_CREDITED", String(creditMinor));
  if (order.dueMinor > 0) order.deadlineAt = credit.deadlineAt;
  const backMinor = Math.max(0, creditMinor - order.totals.totalMinor);
  if (backMinor > 0)
    refundFromFunding(
      order,
      { amountMinor: backMinor, reason: "DIFFERENCE", returnId: order.returnId, lines: [] },
      effects,
    );
  payOrConfirm(order, effects);
}

/** What mails about the order say. */
export function mailing(order: Order): { number: string; email?: string } {
  return { number: order.number, ...(order.email ? { email: order.email } : {}) };
}

/** What the order came from. */
export function links(order: Order): { cartId?: string; exchangeId?: string } {
  return {
    ...(order.cartId ? { cartId: order.cartId } : {}),
    ...(order.exchangeId ? { exchangeId: order.exchangeId } : {}),
  };
}
