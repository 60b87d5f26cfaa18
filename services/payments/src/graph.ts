import type { PaymentRow, RefundRow } from "./graph-store.ts";

/** An order in this subgraph: whose it is, and its money. */
export interface GraphOrder {
  id: string;
  customerId: string;
  payments: PaymentRow[];
  refunds: RefundRow[];
}

export interface RetriedPayment {
  __typename: "PaymentOperationRetried";
  paymentId: string;
}

export function money(amountMinor: number, currency: string): { amountMinor: number; currency: string } {
  return { amountMinor, currency };
}

/** What was captured for an order; null where nothing was ever due. */
export function amountPaid({ payments }: GraphOrder) {
  const [first] = payments;
  return first
    ? money(
        payments.reduce((sum, payment) => sum + payment.capturedMinor, 0),
        first.currency,
      )
    : null;
}

/** What was given back for an order; null where there was neither a payment nor a refund. */
export function amountRefunded({ payments, refunds }: GraphOrder) {
  const currency = payments[0]?.currency ?? refunds[0]?.currency;
  const settled = refunds.filter(({ status }) => status === "SETTLED");
  return currency === undefined
    ? null
    : money(
        settled.reduce((sum, refund) => sum + refund.amountMinor, 0),
        currency,
      );
}
