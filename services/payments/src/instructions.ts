import type { EventOf } from "@crowdcrunch/events/contract";
import type { orderCancelled, orderCompleted, orderShipped, refundRequested } from "@crowdcrunch/events/orders";
import { PermanentError } from "@crowdcrunch/kit/errors";
import type { MoneyKind } from "./ledger.ts";
import type { Payment } from "./payment.ts";

/** What orders tells us about a payment that was opened. */
export type Instruction = EventOf<
  typeof orderCancelled | typeof orderCompleted | typeof orderShipped | typeof refundRequested
>;

/** An operation to be done after those that the payment has. */
export interface WantedOperation {
  paymentId: string;
  kind: MoneyKind;
  sequence: number;
  amountMinor: number;
  refundId?: string;
}

export interface WantedRefund {
  id: string;
  paymentId: string;
  orderId: string;
  customerId: string;
  amountMinor: number;
  currency: string;
  reason: string;
}

export interface Obeyed {
  payment: Payment;
  operation?: WantedOperation;
  refund?: WantedRefund;
}

/** The payment that an instruction is about; undefined if it asks for nothing here. */
export function paymentOf({ type, data }: Instruction): string | undefined {
  return type === "orders.order-shipped.v1" && data.captureMinor === 0 ? undefined : data.paymentId;
}

/** What an instruction asks for. Throws a PermanentError for another currency. */
export function obey(payment: Payment, { type, data }: Instruction): Obeyed {
  if ("currency" in data && data.currency !== payment.currency) {
    throw new PermanentError(`payment ${payment.id} is in ${payment.currency}, the instruction in ${data.currency}`);
  }
  const paymentId = payment.id;
  switch (type) {
    case "orders.order-shipped.v1":
      return {
        payment: { ...payment, instructedMinor: payment.instructedMinor + data.captureMinor },
        operation: { paymentId, kind: "CAPTURE", sequence: data.captureSequence, amountMinor: data.captureMinor },
      };
    case "orders.order-cancelled.v1": {
      const lowered = { ...payment, capturableMinor: payment.instructedMinor + data.capturableMinor };
      return data.whole ? { payment: lowered, operation: voidOf(paymentId) } : { payment: lowered };
    }
    case "orders.order-completed.v1": {
      // All captures have been told by now; without a remainder there is nothing to give up.
      const remainder =
        payment.status === "AUTHORIZED" && payment.authorizedMinor - payment.voidedMinor > payment.instructedMinor;
      return remainder ? { payment, operation: voidOf(paymentId) } : { payment };
    }
    case "orders.refund-requested.v1": {
      const { refundId, orderId, customerId, amountMinor, currency, reason } = data;
      const sequence = payment.refunds + 1;
      return {
        payment: { ...payment, refunds: sequence },
        operation: { paymentId, kind: "REFUND", sequence, amountMinor, refundId },
        refund: { id: refundId, paymentId, orderId, customerId, amountMinor, currency, reason },
      };
    }
  }
}

/** A payment is voided once: as a whole when the order is cancelled, or what remains when it is completed. */
function voidOf(paymentId: string): WantedOperation {
  return { paymentId, kind: "VOID", sequence: 1, amountMinor: 0 };
}
