import { exchangeSettled, returnSettled } from "@crowdcrunch/events/exchanges";
import type { Effects, Exchange, Order, Outcome, Return } from "./return.ts";
import { exchangeOf, onExchange, onReturn } from "./return.ts";

// The end: money back, or a replacement that has arrived. Orders says which, on the key of either order.

/** Ends the return. */
export function settle(order: Order, given: Return, at: Date, effects: Effects, refundId?: string): void {
  given.status = "SETTLED";
  given.settledAt = at;
  effects.events.push(
    returnSettled.create(
      {
        ...onReturn(order, given),
        ...(refundId === undefined ? {} : { refundId }),
        refundedMinor: given.refundedMinor,
        currency: order.currency,
      },
      { sequence: given.version },
    ),
  );
}

/**
 * Money went back for the return, which ends with that. The difference to a replacement is not the end of it: the
 * replacement is, or the rest of the money if there is none after all. What several payments paid for is refunded in
 * several parts; the first ends the return, the others add up.
 */
export function refundIsSettled(
  order: Order,
  given: Return,
  refund: { refundId: string; amountMinor: number; reason: string; at: Date },
  effects: Effects,
): Outcome {
  given.refundedMinor += refund.amountMinor;
  if (given.status !== "SETTLING") return "apply";
  const isReplacing = exchangeOf(order, given)?.status === "REPLACING";
  if (refund.reason !== "DIFFERENCE" || (!isReplacing && isPaidBack(given))) {
    settle(order, given, refund.at, effects, refund.refundId);
  }
  return "apply";
}

function isPaidBack(given: Return): boolean {
  return given.refundedMinor >= (given.creditMinor ?? 0);
}

/** The return stays SETTLING: once staff have seen to it, the refund settles after all. */
export function refundHasFailed(
  given: Return,
  refund: { amountMinor: number; code: string },
  effects: Effects,
): Outcome {
  if (given.status === "SETTLED") return "ignore";
  effects.incidents.push({
    kind: "RETURN_REFUND_FAILED",
    subject: given.id,
    detail: `return ${given.number}: refund of ${refund.amountMinor} failed with ${refund.code}`,
  });
  return "apply";
}

export function replacementIsPlaced(exchange: Exchange, replacement: { orderId: string; totalMinor: number }): Outcome {
  if (exchange.status !== "REPLACING") return "ignore";
  exchange.replacementOrderId = replacement.orderId;
  exchange.replacementMinor = replacement.totalMinor;
  return "apply";
}

/** There is no replacement: from here on it is a return like any other, and orders refunds it. */
export function replacementHasFailed(
  order: Order,
  exchange: Exchange,
  failure: { reason: string; at: Date },
  effects: Effects,
): Outcome {
  if (exchange.status !== "REPLACING") return "ignore";
  exchange.status = "FAILED";
  exchange.failure = failure.reason;
  const given = order.returns.find(({ id }) => id === exchange.returnId);
  // Where nothing is left to be paid back there is no refund to wait for.
  if (given?.status === "SETTLING" && isPaidBack(given)) settle(order, given, failure.at, effects);
  return "apply";
}

/** The replacement has arrived and is paid for: the exchange and its return end together. */
export function replacementIsCompleted(order: Order, exchange: Exchange, at: Date, effects: Effects): Outcome {
  if (exchange.status !== "REPLACING") return "ignore";
  const given = order.returns.find(({ id }) => id === exchange.returnId);
  if (given?.status !== "SETTLING" || exchange.replacementOrderId === null) return "wait";
  exchange.status = "SETTLED";
  effects.events.push(
    exchangeSettled.create(
      {
        ...onExchange(order, exchange),
        replacementOrderId: exchange.replacementOrderId,
        differenceMinor: (exchange.replacementMinor ?? 0) - (given.creditMinor ?? 0),
        currency: order.currency,
      },
      { sequence: exchange.version },
    ),
  );
  settle(order, given, at, effects);
  return "apply";
}
