import { statement } from "@crowdcrunch/kit/database";
import type { Account, MoneyKind } from "./ledger.ts";
import type { OperationStatus, PaymentStatus } from "./payment.ts";

/** A payment as the graph shows it. */
export interface PaymentRow {
  id: string;
  orderId: string;
  customerId: string;
  currency: string;
  status: PaymentStatus;
  amountMinor: number;
  authorizedMinor: number;
  capturedMinor: number;
  voidedMinor: number;
  refundedMinor: number;
  actionUrl: string | null;
  cardBrand: string | null;
  cardLast4: string | null;
  expiresAt: Date | null;
  createdAt: Date;
}

export interface RefundRow {
  id: string;
  paymentId: string;
  orderId: string;
  customerId: string;
  amountMinor: number;
  currency: string;
  reason: string;
  status: "PENDING" | "SETTLED" | "FAILED";
  code: string | null;
  requestedAt: Date;
  settledAt: Date | null;
}

export interface OperationRow {
  paymentId: string;
  kind: MoneyKind;
  sequence: number;
  attempt: number;
  status: OperationStatus;
  amountMinor: number;
  currency: string;
  code: string | null;
  tries: number;
  createdAt: Date;
  settledAt: Date | null;
}

export interface EntryRow {
  transactionId: string;
  line: number;
  paymentId: string;
  kind: MoneyKind;
  account: Account;
  amountMinor: number;
  currency: string;
  postedAt: Date;
}

const payment = `id, order_id AS "orderId", customer_id AS "customerId", currency, status, amount_minor AS "amountMinor",
  authorized_minor AS "authorizedMinor", captured_minor AS "capturedMinor", voided_minor AS "voidedMinor",
  refunded_minor AS "refundedMinor", action_url AS "actionUrl", card_brand AS "cardBrand", card_last4 AS "cardLast4",
  expires_at AS "expiresAt", created_at AS "createdAt"`;
export const paymentsById = statement<PaymentRow>(
  "paymentsById",
  `SELECT ${payment} FROM payments WHERE id = ANY($1::uuid[])`,
);
export const paymentsOfOrders = statement<PaymentRow>(
  "paymentsOfOrders",
  `SELECT ${payment} FROM payments WHERE order_id = ANY($1::uuid[]) ORDER BY created_at, id`,
);

const refund = `id, payment_id AS "paymentId", order_id AS "orderId", customer_id AS "customerId", amount_minor AS "amountMinor", currency,
  reason, status, code, requested_at AS "requestedAt", settled_at AS "settledAt"`;
export const refundsById = statement<RefundRow>(
  "refundsById",
  `SELECT ${refund} FROM refunds WHERE id = ANY($1::uuid[])`,
);
export const refundsOfPayments = statement<RefundRow>(
  "refundsOfPayments",
  `SELECT ${refund} FROM refunds WHERE payment_id = ANY($1::uuid[]) ORDER BY requested_at, id`,
);
export const refundsOfOrders = statement<RefundRow>(
  "refundsOfOrders",
  `SELECT ${refund} FROM refunds WHERE order_id = ANY($1::uuid[])`,
);

export const operationsOfPayments = statement<OperationRow>(
  "operationsOfPayments",
  `SELECT o.payment_id AS "paymentId", o.kind, o.sequence, o.attempt, o.status, o.amount_minor AS "amountMinor", p.currency, o.code, o.tries,
     o.created_at AS "createdAt", o.settled_at AS "settledAt"
   FROM operations o JOIN payments p ON p.id = o.payment_id WHERE o.payment_id = ANY($1::uuid[]) ORDER BY o.id`,
);

/** Entries behind a transaction and line, in the order of their posting. */
export const pageOfLedger = statement<EntryRow>(
  "pageOfLedger",
  `SELECT e.transaction_id AS "transactionId", e.line, t.payment_id AS "paymentId", t.kind, e.account, e.amount_minor AS "amountMinor",
     e.currency, t.posted_at AS "postedAt"
   FROM ledger_entries e JOIN ledger_transactions t ON t.id = e.transaction_id
   WHERE ($1::text IS NULL OR e.account = $1) AND (e.transaction_id, e.line) > ($2::uuid, $3::int)
   ORDER BY e.transaction_id, e.line LIMIT $4`,
);
