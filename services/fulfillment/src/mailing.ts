import { digitalDeliveryFailed, digitalDeliverySent } from "@crowdcrunch/events/fulfillment";
import type { DigitalDelivery, Effects, Fulfillment } from "./fulfillment.ts";
import { onOrderKey, unitsOf } from "./fulfillment.ts";

// A digital delivery's way: a worker claims it (SENDING), mails it outside of any transaction, and records the outcome.

/** Seconds until the next attempt, after so many failed ones: doubled each time, at most an hour. */
export function retryAfterMs(attempts: number, firstMs: number): number {
  return Math.min(firstMs * 2 ** Math.min(attempts - 1, 20), 3_600_000);
}

/** The mail went out. A second worker that took over may say so first; then there is nothing left to do. */
export function deliveryIsSent(fulfillment: Fulfillment, delivery: DigitalDelivery, at: Date, effects: Effects): void {
  if (delivery.status !== "SENDING") return;
  delivery.status = "SENT";
  delivery.sentAt = at;
  effects.events.push(
    digitalDeliverySent.create(
      { ...onOrderKey(fulfillment), deliveryId: delivery.id, lines: unitsOf(delivery.lines), at: at.toISOString() },
      { sequence: fulfillment.version },
    ),
  );
}

/**
 * An attempt failed. Resolves to true where it is to be tried again; else orders cancels the lines. Ignored where another
 * worker has taken over since.
 */
export function attemptHasFailed(
  fulfillment: Fulfillment,
  delivery: DigitalDelivery,
  failure: { attempt: number; attemptsAtMost: number; code: string; permanent: boolean; detail: string },
  effects: Effects,
): boolean {
  if (delivery.status !== "SENDING" || delivery.attempts !== failure.attempt) return false;
  if (!failure.permanent && failure.attempt < failure.attemptsAtMost) {
    delivery.status = "TO_SEND";
    return true;
  }
  delivery.status = "FAILED";
  effects.incidents.push({
    kind: "DIGITAL_DELIVERY_FAILED",
    subject: delivery.id,
    detail: `order ${fulfillment.orderNumber}: ${failure.detail}`,
  });
  effects.events.push(
    digitalDeliveryFailed.create(
      { ...onOrderKey(fulfillment), deliveryId: delivery.id, lines: unitsOf(delivery.lines), code: failure.code },
      { sequence: fulfillment.version },
    ),
  );
  return false;
}
