import { describe, expect, test } from "vitest";
import { entriesOf } from "./ledger.ts";
import { foregoneOutcome } from "./payment.ts";
import type { DueOperation, Operation, Outcome, Payment } from "./payment.ts";
import { decide } from "./transition.ts";
import type { Decision } from "./transition.ts";

const now = new Date("2026-03-01T12:00:00Z");
const authorization = { providerId: "auth_1", expiresAt: now, card: { brand: "visa", last4: "4242" } };

function newPayment(changes: Partial<Payment> = {}): Payment {
  return {
    id: "p",
    orderId: "o",
    customerId: "c",
    currency: "GBP",
    status: "PENDING",
    amountMinor: 1_000,
    authorizedMinor: 0,
    capturedMinor: 0,
    voidedMinor: 0,
    refundedMinor: 0,
    instructedMinor: 0,
    capturableMinor: 1_000,
    refunds: 0,
    providerId: null,
    actionUrl: null,
    cardBrand: null,
    cardLast4: null,
    expiresAt: null,
    version: 0,
    erased: false,
    ...changes,
  };
}

function newOperation(kind: Operation["kind"], changes: Partial<Operation> = {}): Operation {
  return {
    id: 1,
    paymentId: "p",
    kind,
    sequence: 1,
    attempt: 1,
    amountMinor: kind === "VOID" ? 0 : 1_000,
    status: "PENDING",
    code: null,
    unknownSince: null,
    unresolvedTold: false,
    refund: null,
    ...changes,
  };
}

function applied(decision: Decision): Extract<Decision, { kind: "applied" }> {
  if (decision.kind !== "applied") throw new Error(`${decision.kind} where something should have changed`);
  return decision;
}

const held = newPayment({ status: "AUTHORIZED", authorizedMinor: 1_000 });

describe("an outcome", () => {
  test("with another amount is rejected, whoever reports it", () => {
    const outcome: Outcome = { kind: "succeeded", amountMinor: 999, authorization };
    for (const kind of ["AUTHORIZE", "CAPTURE", "REFUND"] as const) {
      const payment = kind === "AUTHORIZE" ? newPayment() : { ...held, capturedMinor: kind === "REFUND" ? 1_000 : 0 };
      expect(decide(payment, newOperation(kind), [], outcome, now).kind).toBe("rejected");
    }
  });

  test("that is known is ignored, and one that contradicts it is rejected", () => {
    const done = newOperation("AUTHORIZE", { status: "SUCCEEDED" });
    expect(decide(held, done, [], { kind: "succeeded", amountMinor: 1_000 }, now).kind).toBe("ignored");
    expect(decide(held, done, [], { kind: "unknown", reason: "time-out" }, now).kind).toBe("ignored");
    expect(decide(held, done, [], { kind: "failed", code: "CARD_DECLINED" }, now).kind).toBe("rejected");
  });

  test("that stays unknown is told once, after ten seconds", () => {
    const outcome: Outcome = { kind: "unknown", reason: "time-out" };
    const at = (seconds: number) => new Date(now.getTime() + seconds * 1_000);
    const first = applied(decide(newPayment(), newOperation("AUTHORIZE"), [], outcome, now));
    expect(first).toMatchObject({ operations: [{ status: "UNKNOWN", unknownSince: now }] });
    expect(first.announcement).toBeUndefined();
    const [unknown] = first.operations as [Operation];
    const later = applied(decide(newPayment(), unknown, [], outcome, at(11)));
    expect(later.announcement).toEqual({ event: "unresolved", since: now });
    expect(applied(decide(newPayment(), later.operations[0]!, [], outcome, at(30))).announcement).toBeUndefined();
  });

  test("that wants the shopper for another card does not hide what is held", () => {
    const outcome: Outcome = { kind: "action-required", amountMinor: 1_000, providerId: "a", url: "http://bank" };
    expect(decide(held, newOperation("AUTHORIZE", { sequence: 2 }), [], outcome, now).kind).toBe("rejected");
  });

  test("unknown does not undo what waits for the shopper", () => {
    const waiting = newOperation("AUTHORIZE", { status: "ACTION_REQUIRED" });
    expect(decide(newPayment(), waiting, [], { kind: "unknown", reason: "time-out" }, now).kind).toBe("ignored");
  });
});

describe("a void", () => {
  test("that releases what the shopper completed just before books both", () => {
    const waiting = newOperation("AUTHORIZE", { status: "ACTION_REQUIRED" });
    const operation = newOperation("VOID", { id: 2 });
    const payment = newPayment({ status: "ACTION_REQUIRED", actionUrl: "http://bank" });
    const {
      payment: after,
      operations,
      postings,
    } = applied(decide(payment, operation, [waiting, operation], { kind: "succeeded", amountMinor: 1_000 }, now));
    expect(after).toMatchObject({ status: "VOIDED", authorizedMinor: 1_000, voidedMinor: 1_000, actionUrl: null });
    expect(operations.map(({ kind, status }) => [kind, status])).toEqual([
      ["VOID", "SUCCEEDED"],
      ["AUTHORIZE", "SUCCEEDED"],
    ]);
    expect(postings.map(({ kind }) => kind)).toEqual(["AUTHORIZE", "VOID"]);
  });

  test("of what was never completed ends the authorization too", () => {
    const waiting = newOperation("AUTHORIZE", { status: "ACTION_REQUIRED" });
    const { operations, postings, announcement } = applied(
      decide(
        newPayment({ status: "ACTION_REQUIRED" }),
        newOperation("VOID", { id: 2 }),
        [waiting],
        { kind: "succeeded", amountMinor: 0 },
        now,
      ),
    );
    expect(operations[1]).toMatchObject({ status: "FAILED", code: "VOIDED" });
    expect(postings).toEqual([]);
    expect(announcement).toEqual({ event: "voided", amountMinor: 0 });
  });
});

describe("what is certain without the provider", () => {
  const due = (kind: DueOperation["kind"], changes: Partial<DueOperation> = {}): DueOperation => ({
    ...{
      paymentId: "p",
      kind,
      sequence: 1,
      attempt: 1,
      amountMinor: 400,
      token: null,
      tries: 1,
      orderId: "o",
      orderNumber: "N",
      currency: "GBP",
    },
    ...{
      providerId: "auth_1",
      authorizedMinor: 1_000,
      capturedMinor: 0,
      voidedMinor: 0,
      refundedMinor: 0,
      capturableMinor: 1_000,
      actionOpen: false,
    },
    ...changes,
  });
  test.each([
    ["a second hold is refused", due("AUTHORIZE"), { kind: "failed", code: "ALREADY_AUTHORIZED" }],
    [
      "a card while the shopper decides on another",
      due("AUTHORIZE", { authorizedMinor: 0, actionOpen: true }),
      { kind: "failed", code: "ANOTHER_ATTEMPT_OPEN" },
    ],
    ["a first card is not", due("AUTHORIZE", { authorizedMinor: 0 }), undefined],
    ["a capture of what is not held", due("CAPTURE", { voidedMinor: 700 }), { kind: "failed", code: "NOT_AUTHORIZED" }],
    [
      "a capture beyond what was not cancelled",
      due("CAPTURE", { capturableMinor: 300 }),
      { kind: "failed", code: "NOT_CAPTURABLE" },
    ],
    ["a void of nothing", due("VOID", { authorizedMinor: 0 }), { kind: "succeeded", amountMinor: 0 }],
    [
      "a void while the shopper decides must be asked",
      due("VOID", { authorizedMinor: 0, actionOpen: true }),
      undefined,
    ],
    [
      "a refund of what was not captured",
      due("REFUND", { capturedMinor: 300 }),
      { kind: "failed", code: "EXCEEDS_CAPTURED" },
    ],
  ])("%s", (_, operation, expected) => expect(foregoneOutcome(operation)).toEqual(expected));
});

test("nothing is posted where nothing moved", () => expect(entriesOf("VOID", 0)).toEqual([]));
