import { orderRefunded, orderRefundFailed, refundRequested } from "@crowdcrunch/events/orders";
import type { Actor } from "@crowdcrunch/events/vocabulary";
import type { Effects, LineUnits, Order, Outcome, Refund } from "./order.ts";
import { note, onOrderKey, shareMinor } from "./order.ts";

// Money back: for returns, by goodwill, for what was lost, and the difference of an exchange.

/** What can still go back: what paid for the order and was not refunded, as far as it was captured. */
export function refundableMinor(order: Order): number {
  return order.funding.reduce((sum, { paymentId, amountMinor }) => sum + capturedOf(order, paymentId, amountMinor), 0);
}

/** Of the order's own payment only what was captured, or asked to be, can go back; a former payment was captured before. */
function capturedOf(order: Order, paymentId: string, amountMinor: number): number {
  if (paymentId !== order.paymentId) return amountMinor;
  return Math.max(0, Math.min(amountMinor, amountMinor - (order.dueMinor - order.captureAskedMinor)));
}

/** The units' worth by what was paid for the line, less what went back for the line before. Marks it as refunded. */
export function creditLines(order: Order, lines: LineUnits[]): number {
  let sum = 0;
  for (const { lineId, quantity } of lines) {
    const line = order.lines.find(({ id }) => id === lineId);
    if (!line) continue;
    const units = Math.min(quantity, line.shipped - line.returned);
    const worth = Math.min(shareMinor(line, line.returned, line.returned + units), line.paidMinor - line.refundedMinor);
    line.returned += units;
    line.refundedMinor += worth;
    sum += worth;
  }
  return sum;
}

export interface RefundDemand {
  amountMinor: number;
  reason: string;
  returnId: string | null;
  lines: LineUnits[];
  actor?: Actor | undefined;
}

/**
 * Asks payments to give back the amount, from what paid for the order, each payment in turn. Where nothing is due the
 * refund is settled at once.
 */
export function refundFromFunding(order: Order, demand: RefundDemand, effects: Effects): void {
  const { reason, returnId, lines } = demand;
  note(effects, order, "REFUND_REQUESTED", `${demand.amountMinor} ${reason}`, demand.actor);
  let remaining = demand.amountMinor;
  if (remaining === 0) {
    const refund: Refund = {
      id: effects.newId(),
      orderId: order.id,
      paymentId: null,
      returnId,
      reason,
      amountMinor: 0,
      lines,
      status: "SETTLED",
    };
    effects.refunds.push(refund);
    tellRefunded(order, refund, effects);
    return;
  }
  let first = true;
  for (const source of order.funding) {
    const amountMinor = Math.min(remaining, capturedOf(order, source.paymentId, source.amountMinor));
    if (amountMinor <= 0) continue;
    source.amountMinor -= amountMinor;
    remaining -= amountMinor;
    const refund: Refund = {
      id: effects.newId(),
      orderId: order.id,
      paymentId: source.paymentId,
      returnId,
      reason,
      amountMinor,
      lines: first ? lines : [],
      status: "REQUESTED",
    };
    first = false;
    effects.refunds.push(refund);
    effects.events.push(
      refundRequested.create(
        {
          ...onOrderKey(order),
          refundId: refund.id,
          paymentId: source.paymentId,
          amountMinor,
          currency: order.currency,
          ...(returnId ? { returnId } : {}),
          reason,
        },
        { sequence: order.version },
      ),
    );
    if (remaining === 0) return;
  }
  effects.incidents.push({
    kind: "REFUND_NOT_COVERED",
    subject: order.id,
    detail: `order ${order.number}: ${remaining} of ${demand.amountMinor} are not covered by what was captured`,
  });
}

/** A refund came to its end at payments; a failed one may still settle after staff tried again. */
export function refundIsSettled(order: Order, refund: Refund | undefined, effects: Effects): Outcome {
  if (!refund || refund.status === "SETTLED") return "ignore";
  refund.status = "SETTLED";
  order.refundedMinor += refund.amountMinor;
  effects.refunds.push(refund);
  note(effects, order, "REFUNDED", String(refund.amountMinor));
  tellRefunded(order, refund, effects);
  return "apply";
}

export function refundHasFailed(order: Order, refund: Refund | undefined, code: string, effects: Effects): Outcome {
  if (!refund || refund.status !== "REQUESTED") return "ignore";
  refund.status = "FAILED";
  effects.refunds.push(refund);
  note(effects, order, "REFUND_FAILED", code);
  effects.incidents.push({
    kind: "REFUND_FAILED",
    subject: refund.id,
    detail: `order ${order.number}: refund of ${refund.amountMinor} failed with ${code}`,
  });
  effects.events.push(
    orderRefundFailed.create(
      {
        ...onOrderKey(order),
        refundId: refund.id,
        ...(refund.returnId ? { returnId: refund.returnId } : {}),
        amountMinor: refund.amountMinor,
        currency: order.currency,
        code,
      },
      { sequence: order.version },
    ),
  );
  return "apply";
}

function tellRefunded(order: Order, refund: Refund, effects: Effects): void {
  const lines = refund.lines.flatMap(({ lineId, quantity }) => {
    const line = order.lines.find(({ id }) => id === lineId);
    return line ? [{ lineId, skuId: line.skuId, name: line.name, quantity }] : [];
  });
  effects.events.push(
    orderRefunded.create(
      {
        ...onOrderKey(order),
        number: order.number,
        ...(order.email ? { email: order.email } : {}),
        refundId: refund.id,
        ...(refund.returnId ? { returnId: refund.returnId } : {}),
        ...(order.exchangeId ? { exchangeId: order.exchangeId } : {}),
        lines,
        amountMinor: refund.amountMinor,
        currency: order.currency,
        reason: refund.reason,
      },
      { sequence: order.version },
    ),
  );
}
