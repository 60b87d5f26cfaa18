import type { MoneyKind } from "./ledger.ts";

// Terms. Payment: what one order (or a replacement's difference) is paid with. Operation: one thing asked of the
// provider; its identity is its idempotency key. Outcome: what is known about it, by reply, look-up or callback alike.

export type PaymentStatus = "PENDING" | "ACTION_REQUIRED" | "AUTHORIZED" | "DECLINED" | "VOIDED";
/** SUCCEEDED and FAILED are final. UNKNOWN is looked up before it is sent again. */
export type OperationStatus = "PENDING" | "UNKNOWN" | "ACTION_REQUIRED" | "SUCCEEDED" | "FAILED";

export interface Payment {
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
  /** What orders has told us to capture so far. */
  instructedMinor: number;
  /** The most that orders may ever tell us to capture. */
  capturableMinor: number;
  /** How many refunds were asked for. */
  refunds: number;
  providerId: string | null;
  actionUrl: string | null;
  cardBrand: string | null;
  cardLast4: string | null;
  expiresAt: Date | null;
  version: number;
  /** The customer asked to be forgotten. */
  erased: boolean;
}

export interface OperationIdentity {
  paymentId: string;
  kind: MoneyKind;
  /** Of an authorization: which card. Of a capture: as orders counts them. Else 1…n for the payment. */
  sequence: number;
  /** 2 and more: staff tried again what the provider had refused. */
  attempt: number;
}

export interface RefundOf {
  id: string;
  orderId: string;
  customerId: string;
  version: number;
}

export interface Operation extends OperationIdentity {
  id: number;
  amountMinor: number;
  status: OperationStatus;
  code: string | null;
  unknownSince: Date | null;
  /** payment-unresolved was emitted. */
  unresolvedTold: boolean;
  /** Of a refund. */
  refund: RefundOf | null;
}

/** What an authorization is at the provider. */
export interface Authorization {
  providerId: string;
  expiresAt: Date;
  card: { brand: string; last4: string };
}

export type Outcome =
  | { kind: "succeeded"; amountMinor: number; authorization?: Authorization }
  | { kind: "failed"; code: string }
  | { kind: "action-required"; amountMinor: number; providerId: string; url: string }
  | { kind: "unknown"; reason: string };

/** An operation that a worker has taken up, with what it needs to know of the payment. */
export interface DueOperation extends OperationIdentity {
  amountMinor: number;
  token: string | null;
  /** How often it was taken up, this time included. */
  tries: number;
  orderId: string;
  orderNumber: string;
  currency: string;
  providerId: string | null;
  authorizedMinor: number;
  capturedMinor: number;
  voidedMinor: number;
  refundedMinor: number;
  capturableMinor: number;
  /** Another authorization of the payment waits for the shopper. */
  actionOpen: boolean;
}

/** What is certain without asking the provider; undefined if it must be asked. */
export function foregoneOutcome(due: DueOperation): Outcome | undefined {
  const failed = (code: string): Outcome => ({ kind: "failed", code });
  switch (due.kind) {
    case "AUTHORIZE":
      if (due.authorizedMinor > 0) return failed("ALREADY_AUTHORIZED");
      return due.actionOpen ? failed("ANOTHER_ATTEMPT_OPEN") : undefined;
    case "CAPTURE":
      if (due.authorizedMinor - due.voidedMinor < due.capturedMinor + due.amountMinor) return failed("NOT_AUTHORIZED");
      return due.capturedMinor + due.amountMinor > due.capturableMinor ? failed("NOT_CAPTURABLE") : undefined;
    case "VOID":
      return due.authorizedMinor - due.capturedMinor - due.voidedMinor === 0 && !due.actionOpen
        ? { kind: "succeeded", amountMinor: 0 }
        : undefined;
    case "REFUND":
      return due.refundedMinor + due.amountMinor > due.capturedMinor ? failed("EXCEEDS_CAPTURED") : undefined;
  }
}
