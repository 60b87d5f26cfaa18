import type { OperationIdentity, Outcome } from "./payment.ts";

export interface AuthorizationRequest {
  idempotencyKey: string;
  /** The order's id: comes back with every outcome. */
  orderId: string;
  /** What the shopper reads on the statement. */
  orderNumber: string;
  amountMinor: number;
  currency: string;
  /** What the provider gave for a card. */
  token: string;
  /** Where the shopper goes after an action of the card's bank. */
  returnUrl: string;
}

/** An outcome with what it must agree with. */
export interface Report {
  idempotencyKey: string;
  orderId: string;
  currency: string;
  outcome: Outcome;
}

/** A dispute that the card's owner opened. */
export interface Dispute {
  idempotencyKey: string;
  orderId: string;
  currency: string;
  amountMinor: number;
  reason: string;
}

export type Callback = { sentAt: Date } & (
  | { kind: "report"; report: Report }
  | { kind: "dispute"; dispute: Dispute }
  | { kind: "other" }
);

/**
 * A payment provider. Operations are idempotent by key and never throw: what cannot be known (a time-out, a lost
 * connection, a 5xx) is the outcome `unknown`, to be looked up by its key before it is sent again.
 */
export interface PaymentProvider {
  authorize(request: AuthorizationRequest): Promise<Report>;
  capture(request: MoneyRequest): Promise<Report>;
  /** Releases what is held and not captured; the outcome's amount says how much that was. */
  void(request: HoldRequest): Promise<Report>;
  refund(request: MoneyRequest): Promise<Report>;
  /** The outcome of an earlier request; undefined if the provider has never seen the key. */
  lookUp(request: HoldRequest): Promise<Report | undefined>;
  /** Reads a callback. Undefined if the signature is not the provider's. */
  verifyCallback(headers: Record<string, string | string[] | undefined>, body: string): Callback | undefined;
  close(): Promise<void>;
}

export interface HoldRequest {
  idempotencyKey: string;
  orderId: string;
  currency: string;
  /** The provider's name for the authorization; null if it was never told to us. */
  providerId: string | null;
}

export interface MoneyRequest extends HoldRequest {
  amountMinor: number;
}

const kinds = new Set(["AUTHORIZE", "CAPTURE", "VOID", "REFUND"]);

/** The key under which the provider knows an operation. */
export function idempotencyKey({ paymentId, kind, sequence, attempt }: OperationIdentity): string {
  return `${paymentId}:${kind}:${sequence}:${attempt}`;
}

/** The operation of a key; undefined if the key is not one of ours. */
export function operationOfKey(key: string): OperationIdentity | undefined {
  const [paymentId, kind, sequence, attempt, ...rest] = key.split(":");
  if (!paymentId || !/^[0-9a-f-]{36}$/.test(paymentId) || !kind || !kinds.has(kind) || rest.length > 0)
    return undefined;
  if (!/^\d{1,6}$/.test(sequence ?? "") || !/^\d{1,6}$/.test(attempt ?? "")) return undefined;
  return { paymentId, kind: kind as OperationIdentity["kind"], sequence: Number(sequence), attempt: Number(attempt) };
}
