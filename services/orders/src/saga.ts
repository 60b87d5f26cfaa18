import type { EventOf } from "@crowdcrunch/events/contract";
import {
  cancellationRefused,
  digitalDeliveryFailed,
  digitalDeliverySent,
  shipmentCancelled,
  shipmentCreated,
} from "@crowdcrunch/events/fulfillment";
import { shipmentDelivered, shipmentDispatched, shipmentLost } from "@crowdcrunch/events/fulfillment";
import { stockRejected, stockReleased, stockReserved } from "@crowdcrunch/events/inventory";
import {
  captureFailed,
  paymentActionRequired,
  paymentAuthorized,
  paymentCaptured,
  paymentDeclined,
} from "@crowdcrunch/events/payments";
import {
  paymentDisputed,
  paymentUnresolved,
  paymentVoided,
  refundFailed,
  refundSettled,
} from "@crowdcrunch/events/payments";
import {
  exchangeSettled,
  returnReceived,
  returnRejected,
  returnRequested,
  returnSettled,
} from "@crowdcrunch/events/exchanges";
import { cancellationIsRefused, linesAreStopped, requestCancellation } from "./cancelling.ts";
import type { Cancellation, Effects, Order, Outcome, Refund } from "./order.ts";
import { isBeforeConfirmed, isTerminal, note, unsent } from "./order.ts";
import {
  paymentIsAuthorized,
  paymentIsDeclined,
  paymentNeedsAction,
  stockIsRejected,
  stockIsReserved,
} from "./paying.ts";
import { refundHasFailed, refundIsSettled } from "./refunding.ts";
import { linesAreDelivered, linesAreLost, linesAreShipped, paymentIsCaptured } from "./shipping.ts";

/** The replies that move an order. */
export const sagaEvents = [
  stockReserved,
  stockRejected,
  stockReleased,
  paymentAuthorized,
  paymentActionRequired,
  paymentDeclined,
  paymentUnresolved,
  paymentCaptured,
  captureFailed,
  paymentVoided,
  paymentDisputed,
  refundSettled,
  refundFailed,
  shipmentCreated,
  shipmentDispatched,
  shipmentCancelled,
  cancellationRefused,
  shipmentDelivered,
  shipmentLost,
  digitalDeliverySent,
  digitalDeliveryFailed,
  returnRequested,
  returnRejected,
  returnReceived,
  returnSettled,
  exchangeSettled,
] as const;

export type SagaEvent = EventOf<(typeof sagaEvents)[number]>;

/** Rows that an event names beside the order. */
export interface Beside {
  refund?: Refund | undefined;
  cancellation?: Cancellation | undefined;
}

/**
 * The process manager: a total function of the order's state and the event. Changes the order and collects what is to
 * be written; no I/O, clock or random beyond the ids it is given.
 */
export function decide(order: Order, event: SagaEvent, beside: Beside, effects: Effects): Outcome {
  switch (event.type) {
    case "inventory.stock-reserved.v1":
      return stockIsReserved(order, effects);
    case "inventory.stock-rejected.v1":
      return stockIsRejected(order, event, effects);
    case "inventory.stock-released.v1":
      if (order.status === "CANCELLED") order.awaitsStock = false;
      return "apply";
    case "payments.payment-authorized.v1":
      return paymentIsAuthorized(order, event.data.attempt, effects);
    case "payments.payment-action-required.v1":
      return paymentNeedsAction(order, event.data.attempt, event.data.url, effects);
    case "payments.payment-declined.v1":
      return paymentIsDeclined(order, event.data.attempt, event.data.code, effects);
    case "payments.payment-unresolved.v1":
      note(effects, order, "PAYMENT_UNRESOLVED", event.data.operation);
      return "apply";
    case "payments.payment-captured.v1":
      return paymentIsCaptured(order, event.data.amountMinor, event.time, effects);
    case "payments.capture-failed.v1":
      return captureHasFailed(order, event, effects);
    case "payments.payment-voided.v1":
      if (order.status !== "CANCELLED") return "ignore";
      order.awaitsVoid = false;
      order.paymentState = "VOIDED";
      note(effects, order, "PAYMENT_VOIDED");
      return "apply";
    case "payments.payment-disputed.v1":
      note(effects, order, "PAYMENT_DISPUTED", event.data.reason);
      effects.incidents.push({
        kind: "PAYMENT_DISPUTED",
        subject: event.data.paymentId,
        detail: `order ${order.number}: ${event.data.amountMinor} ${event.data.reason}`,
      });
      return "apply";
    case "payments.refund-settled.v1":
      return refundIsSettled(order, beside.refund, effects);
    case "payments.refund-failed.v1":
      return refundHasFailed(order, beside.refund, event.data.code, effects);
    case "fulfillment.shipment-created.v1":
      note(effects, order, "SHIPMENT_CREATED", event.data.trackingCode);
      return "apply";
    case "fulfillment.shipment-dispatched.v1":
      return linesAreShipped(order, event.data, effects);
    case "fulfillment.digital-delivery-sent.v1": {
      const outcome = linesAreShipped(order, event.data, effects);
      return outcome === "apply" ? linesAreDelivered(order, event.data, effects) : outcome;
    }
    case "fulfillment.shipment-delivered.v1":
      return linesAreDelivered(order, event.data, effects);
    case "fulfillment.shipment-lost.v1":
      return linesAreLost(order, event.data, effects);
    case "fulfillment.shipment-cancelled.v1":
      return beside.cancellation
        ? linesAreStopped(order, beside.cancellation, event.data.lines, event.time, effects)
        : "ignore";
    case "fulfillment.cancellation-refused.v1":
      return beside.cancellation
        ? cancellationIsRefused(order, beside.cancellation, event.data.lines, event.data.reason, effects)
        : "ignore";
    case "fulfillment.digital-delivery-failed.v1": {
      const openUnits = event.data.lines.reduce((sum, { quantity }) => sum + quantity, 0);
      const cancellation: Cancellation = {
        id: effects.newId(),
        orderId: order.id,
        reason: "DELIVERY_FAILED",
        status: "REQUESTED",
        openUnits,
      };
      return linesAreStopped(order, cancellation, event.data.lines, event.time, effects);
    }
    case "exchanges.return-requested.v1":
      note(effects, order, "RETURN_REQUESTED", event.data.number, event.data.actor);
      return "apply";
    case "exchanges.return-rejected.v1":
      note(effects, order, "RETURN_REJECTED", event.data.number, event.data.actor);
      return "apply";
    case "exchanges.return-received.v1":
      note(effects, order, "RETURN_RECEIVED", event.data.number, event.data.actor);
      return "apply";
    case "exchanges.return-settled.v1":
      note(effects, order, "RETURN_SETTLED", event.data.number);
      return "apply";
    case "exchanges.exchange-settled.v1":
      note(effects, order, "EXCHANGE_SETTLED", String(event.data.differenceMinor));
      return "apply";
  }
}

/** What was not sent stays here; what was sent without money is for staff. */
function captureHasFailed(order: Order, event: EventOf<typeof captureFailed>, effects: Effects): Outcome {
  const { amountMinor, code, paymentId } = event.data;
  note(effects, order, "CAPTURE_FAILED", code);
  effects.incidents.push({
    kind: "CAPTURE_FAILED",
    subject: paymentId,
    detail: `order ${order.number}: ${amountMinor} could not be captured: ${code}`,
  });
  const open = !isTerminal(order.status) && !isBeforeConfirmed(order.status);
  if (open && order.lines.some((line) => unsent(line) > 0)) requestCancellation(order, "CAPTURE_FAILED", effects);
  return "apply";
}
