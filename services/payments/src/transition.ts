import { entriesOf } from "./ledger.ts";
import type { MoneyKind, Posting } from "./ledger.ts";
import type { Operation, Outcome, Payment } from "./payment.ts";

/** What others are told, and staff. */
export type Announcement =
  | { event: "authorized" | "action-required" | "captured" | "voided" | "refund-settled"; amountMinor: number }
  | { event: "declined" | "capture-failed" | "refund-failed" | "void-failed"; amountMinor: number; code: string }
  | { event: "unresolved"; since: Date };

export type Decision =
  /** Known already: a repeat, or overtaken. */
  | { kind: "ignored" }
  /** Cannot be true of this operation; nothing is changed. */
  | { kind: "rejected"; why: string }
  | {
      kind: "applied";
      payment: Payment;
      /** The operation, and others that ended with it. */
      operations: Operation[];
      postings: Posting[];
      announcement?: Announcement;
    };

type Changes = Omit<Extract<Decision, { kind: "applied" }>, "kind" | "operations"> & { alsoSettled?: Operation[] };

/** How long an outcome may be unknown before others are told, in ms. */
const unresolvedAfterMs = 10_000;

export function isSettled({ status }: Pick<Operation, "status">): boolean {
  return status === "SUCCEEDED" || status === "FAILED";
}

/**
 * The one transition of an operation, for reply, look-up and callback alike. `open` are the payment's operations that
 * are not settled; `now` is the database's time.
 */
export function decide(
  payment: Payment,
  operation: Operation,
  open: Operation[],
  outcome: Outcome,
  now: Date,
): Decision {
  if (isSettled(operation)) {
    const contradicts = outcome.kind === (operation.status === "SUCCEEDED" ? "failed" : "succeeded");
    return contradicts ? { kind: "rejected", why: `it has ${operation.status} before` } : { kind: "ignored" };
  }
  switch (outcome.kind) {
    case "unknown":
      return unknown(payment, operation, now);
    case "action-required":
      return actionRequired(payment, operation, outcome);
    case "failed":
      return settled(operation, "FAILED", outcome.code, failed(payment, operation, outcome.code));
    case "succeeded": {
      const changes = succeeded(payment, operation, open, outcome);
      if ("why" in changes) return { kind: "rejected", why: changes.why };
      return settled({ ...operation, amountMinor: outcome.amountMinor }, "SUCCEEDED", null, changes);
    }
  }
}

function settled(
  operation: Operation,
  status: "SUCCEEDED" | "FAILED",
  code: string | null,
  changes: Changes,
): Decision {
  const { alsoSettled = [], ...rest } = changes;
  return { kind: "applied", operations: [{ ...operation, status, code, unknownSince: null }, ...alsoSettled], ...rest };
}

function unknown(payment: Payment, operation: Operation, now: Date): Decision {
  // The provider has answered once: the shopper decides, and a callback will tell.
  if (operation.status === "ACTION_REQUIRED") return { kind: "ignored" };
  const since = operation.unknownSince ?? now;
  const tell = !operation.unresolvedTold && now.getTime() - since.getTime() > unresolvedAfterMs;
  return {
    kind: "applied",
    payment,
    operations: [
      { ...operation, status: "UNKNOWN", unknownSince: since, unresolvedTold: operation.unresolvedTold || tell },
    ],
    postings: [],
    ...(tell ? { announcement: { event: "unresolved", since } } : {}),
  };
}

function actionRequired(
  payment: Payment,
  operation: Operation,
  outcome: Extract<Outcome, { kind: "action-required" }>,
): Decision {
  if (operation.kind !== "AUTHORIZE") return { kind: "rejected", why: `a ${operation.kind} needs no action` };
  if (outcome.amountMinor !== operation.amountMinor)
    return { kind: "rejected", why: otherAmount(operation, outcome.amountMinor) };
  if (operation.status === "ACTION_REQUIRED") return { kind: "ignored" };
  // Else what is held would look as if it were not.
  if (payment.authorizedMinor > 0) return { kind: "rejected", why: "another card was authorized before" };
  return {
    kind: "applied",
    payment: { ...payment, status: "ACTION_REQUIRED", providerId: outcome.providerId, actionUrl: outcome.url },
    operations: [{ ...operation, status: "ACTION_REQUIRED", unknownSince: null }],
    postings: [],
    announcement: { event: "action-required", amountMinor: operation.amountMinor },
  };
}

function failed(payment: Payment, operation: Operation, code: string): Changes {
  const { amountMinor } = operation;
  switch (operation.kind) {
    case "AUTHORIZE": {
      const undecided = payment.status === "PENDING" || payment.status === "ACTION_REQUIRED";
      return {
        payment: undecided ? { ...payment, status: "DECLINED", actionUrl: null } : payment,
        postings: [],
        announcement: { event: "declined", amountMinor, code },
      };
    }
    case "CAPTURE":
      return { payment, postings: [], announcement: { event: "capture-failed", amountMinor, code } };
    case "VOID":
      return { payment, postings: [], announcement: { event: "void-failed", amountMinor, code } };
    case "REFUND":
      return { payment, postings: [], announcement: { event: "refund-failed", amountMinor, code } };
  }
}

function succeeded(
  payment: Payment,
  operation: Operation,
  open: Operation[],
  outcome: Extract<Outcome, { kind: "succeeded" }>,
): Changes | { why: string } {
  const { amountMinor } = outcome;
  if (operation.kind !== "VOID" && amountMinor !== operation.amountMinor)
    return { why: otherAmount(operation, amountMinor) };
  switch (operation.kind) {
    case "AUTHORIZE": {
      if (payment.authorizedMinor > 0) return { why: "another card was authorized before" };
      const { providerId, expiresAt, card } = outcome.authorization ?? {};
      return {
        payment: {
          ...payment,
          status: "AUTHORIZED",
          authorizedMinor: amountMinor,
          actionUrl: null,
          providerId: providerId ?? payment.providerId,
          expiresAt: expiresAt ?? payment.expiresAt,
          cardBrand: payment.erased ? null : (card?.brand ?? null),
          cardLast4: payment.erased ? null : (card?.last4 ?? null),
        },
        postings: post(payment, "AUTHORIZE", operation.sequence, amountMinor),
        announcement: { event: "authorized", amountMinor },
      };
    }
    case "CAPTURE":
      if (held(payment) < amountMinor) return { why: "more than is held" };
      return {
        payment: { ...payment, capturedMinor: payment.capturedMinor + amountMinor },
        postings: post(payment, "CAPTURE", operation.sequence, amountMinor),
        announcement: { event: "captured", amountMinor },
      };
    case "VOID":
      return voided(payment, operation, open, amountMinor);
    case "REFUND":
      if (payment.refundedMinor + amountMinor > payment.capturedMinor) return { why: "more than was captured" };
      return {
        payment: { ...payment, refundedMinor: payment.refundedMinor + amountMinor },
        postings: post(payment, "REFUND", operation.sequence, amountMinor),
        announcement: { event: "refund-settled", amountMinor },
      };
  }
}

/** `releasedMinor` may tell of an authorization that the shopper completed just before and whose callback is on its way. */
function voided(
  payment: Payment,
  operation: Operation,
  open: Operation[],
  releasedMinor: number,
): Changes | { why: string } {
  const authorizing = open.find(({ kind, status }) => kind === "AUTHORIZE" && status === "ACTION_REQUIRED");
  const completed =
    authorizing !== undefined && payment.authorizedMinor === 0 && releasedMinor === authorizing.amountMinor;
  const authorizedMinor = completed ? releasedMinor : payment.authorizedMinor;
  if (releasedMinor > authorizedMinor - payment.capturedMinor - payment.voidedMinor)
    return { why: "more than is held" };
  return {
    payment: {
      ...payment,
      status: payment.capturedMinor === 0 ? "VOIDED" : payment.status,
      authorizedMinor,
      voidedMinor: payment.voidedMinor + releasedMinor,
      actionUrl: null,
    },
    alsoSettled: authorizing
      ? [{ ...authorizing, status: completed ? "SUCCEEDED" : "FAILED", code: completed ? null : "VOIDED" }]
      : [],
    postings: [
      ...(completed ? post(payment, "AUTHORIZE", authorizing.sequence, releasedMinor) : []),
      ...post(payment, "VOID", operation.sequence, releasedMinor),
    ],
    announcement: { event: "voided", amountMinor: releasedMinor },
  };
}

function held(payment: Payment): number {
  return payment.authorizedMinor - payment.capturedMinor - payment.voidedMinor;
}

function post(payment: Payment, kind: MoneyKind, sequence: number, amountMinor: number): Posting[] {
  const entries = entriesOf(kind, amountMinor);
  return entries.length === 0 ? [] : [{ paymentId: payment.id, kind, sequence, currency: payment.currency, entries }];
}

function otherAmount(operation: Operation, amountMinor: number): string {
  return `it is about ${amountMinor}, and ${operation.amountMinor} was asked`;
}
