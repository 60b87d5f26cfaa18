import type { EventToEmit } from "@crowdcrunch/events/contract";
import * as events from "@crowdcrunch/events/payments";
import type { Operation, Payment } from "./payment.ts";
import type { Announcement } from "./transition.ts";

/** Codes after which the same card may be tried again. */
const retryableCodes = new Set(["INSUFFICIENT_FUNDS", "PROCESSING_ERROR", "AUTHENTICATION_FAILED"]);

/** The event of a transition, with the versions that it uses up; none for what only staff need to know. */
export function eventOf(payment: Payment, operation: Operation, announcement: Announcement): EventToEmit | undefined {
  const version = payment.version + 1;
  const { currency } = payment;
  const onPayment = { orderId: payment.orderId, customerId: payment.customerId, paymentId: payment.id, version };
  const sequence = { sequence: version };
  switch (announcement.event) {
    case "authorized":
      return events.paymentAuthorized.create(
        {
          ...onPayment,
          attempt: operation.sequence,
          amountMinor: announcement.amountMinor,
          currency,
          expiresAt: (payment.expiresAt as Date).toISOString(),
        },
        sequence,
      );
    case "action-required":
      return events.paymentActionRequired.create(
        { ...onPayment, attempt: operation.sequence, url: payment.actionUrl as string },
        sequence,
      );
    case "declined":
      return events.paymentDeclined.create(
        {
          ...onPayment,
          attempt: operation.sequence,
          code: announcement.code,
          retryable: retryableCodes.has(announcement.code),
        },
        sequence,
      );
    case "unresolved":
      return events.paymentUnresolved.create(
        { ...onPayment, operation: operation.kind, since: announcement.since.toISOString() },
        sequence,
      );
    case "captured":
      return events.paymentCaptured.create(
        { ...onPayment, captureSequence: operation.sequence, amountMinor: announcement.amountMinor, currency },
        sequence,
      );
    case "capture-failed":
      return events.captureFailed.create(
        {
          ...onPayment,
          captureSequence: operation.sequence,
          amountMinor: announcement.amountMinor,
          currency,
          code: announcement.code,
        },
        sequence,
      );
    case "voided":
      return events.paymentVoided.create({ ...onPayment, amountMinor: announcement.amountMinor, currency }, sequence);
    case "void-failed":
      return undefined;
    case "refund-settled":
    case "refund-failed":
      return refundEvent(payment, operation, announcement);
  }
}

/** On the key of the order that asked, which may be another than the one that was paid. */
function refundEvent(
  payment: Payment,
  operation: Operation,
  announcement: Announcement & { amountMinor: number },
): EventToEmit {
  const { refund } = operation;
  if (!refund) throw new TypeError(`the refund ${operation.sequence} of payment ${payment.id} belongs to no order`);
  const version = refund.version + 1;
  const data = {
    orderId: refund.orderId,
    customerId: refund.customerId,
    version,
    paymentId: payment.id,
    refundId: refund.id,
    amountMinor: announcement.amountMinor,
    currency: payment.currency,
  };
  return "code" in announcement
    ? events.refundFailed.create({ ...data, code: announcement.code }, { sequence: version })
    : events.refundSettled.create(data, { sequence: version });
}
