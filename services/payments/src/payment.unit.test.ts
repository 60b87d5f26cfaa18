import { deepFreeze, expectSame, fate, step, storedState } from "@crowdcrunch/kit/testing/crashes";
import type { Fate, StoredState } from "@crowdcrunch/kit/testing/crashes";
import fc from "fast-check";
import { test } from "vitest";
import { obey } from "./instructions.ts";
import type { Instruction, WantedOperation } from "./instructions.ts";
import { foregoneOutcome } from "./payment.ts";
import type { DueOperation, Operation, Outcome, Payment } from "./payment.ts";
import { decide, isSettled } from "./transition.ts";

const now = new Date("2026-03-01T12:00:00Z");
const asked = 1_000;

/** What the tables hold of one payment. */
interface Stored {
  payment: Payment;
  operations: Operation[];
  /** The ledger's balances by account. */
  ledger: Record<string, number>;
  /** What others were told: `<event> <kind>/<sequence>/<attempt>`. */
  told: string[];
}

const opened: Stored = {
  payment: {
    ...{ id: "p", orderId: "o", customerId: "c", currency: "GBP", status: "PENDING", amountMinor: asked },
    ...{ authorizedMinor: 0, capturedMinor: 0, voidedMinor: 0, refundedMinor: 0, instructedMinor: 0 },
    ...{ capturableMinor: asked, refunds: 0, providerId: null, actionUrl: null, cardBrand: null, cardLast4: null },
    ...{ expiresAt: null, version: 0, erased: false },
  },
  operations: [],
  ledger: {},
  told: [],
};

const nameOf = ({ kind, sequence, attempt }: Pick<Operation, "kind" | "sequence" | "attempt">) =>
  `${kind}/${sequence}/${attempt}`;

/** As the store does: an operation of the same identity is the same. */
function add(stored: Stored, wanted: Omit<WantedOperation, "paymentId">, attempt = 1): void {
  const { kind, sequence, amountMinor } = wanted;
  if (stored.operations.some((operation) => nameOf(operation) === nameOf({ kind, sequence, attempt }))) return;
  stored.operations.push({
    ...{ id: stored.operations.length + 1, paymentId: "p", kind, sequence, attempt, amountMinor, status: "PENDING" },
    ...{ code: null, unknownSince: null, unresolvedTold: false, refund: null },
  });
}

/** The payment in plain numbers: what the card, the till and the shopper have. */
interface Model {
  authorized: number;
  captured: number;
  voided: number;
  refunded: number;
  /** What orders has told us to capture. */
  instructed: number;
  /** By name of the operation. */
  operations: Record<string, { amount: number; state: "open" | "action" | "succeeded" | "failed" }>;
}
type Real = StoredState<Stored>;

const isOver = (state: string) => state === "succeeded" || state === "failed";
const held = (model: Model) => model.authorized - model.captured - model.voided;

function compare(model: Model, { state: { payment, operations, ledger, told } }: Real): void {
  const { authorizedMinor, capturedMinor, voidedMinor, refundedMinor } = payment;
  expectSame(
    { authorized: authorizedMinor, captured: capturedMinor, voided: voidedMinor, refunded: refundedMinor },
    { authorized: model.authorized, captured: model.captured, voided: model.voided, refunded: model.refunded },
  );
  const states = {
    PENDING: "open",
    UNKNOWN: "open",
    ACTION_REQUIRED: "action",
    SUCCEEDED: "succeeded",
    FAILED: "failed",
  };
  expectSame(
    Object.fromEntries(
      operations.map((operation) => [
        nameOf(operation),
        { amount: operation.amountMinor, state: states[operation.status] },
      ]),
    ),
    model.operations,
  );
  expectSame(
    [model.captured + model.voided <= model.authorized, model.refunded <= model.captured, model.authorized <= asked],
    [true, true, true],
  );
  // Card and commitments mirror each other; the provider owes what was captured and not given back.
  const { CARD_HOLDS = 0, OPEN_COMMITMENTS = 0, PROVIDER_RECEIVABLE = 0, SALES = 0, REFUNDS = 0 } = ledger;
  expectSame(
    [CARD_HOLDS, 0 - OPEN_COMMITMENTS, PROVIDER_RECEIVABLE, 0 - SALES, REFUNDS],
    [held(model), held(model), model.captured - model.refunded, model.captured, model.refunded],
  );
  // An outcome is told once.
  expectSame(new Set(told).size, told.length);
}

const instruction = fc.record({
  what: fc.constantFrom("ship", "ship", "ship", "refund", "refund", "cancel", "complete"),
  sequence: fc.integer({ min: 1, max: 4 }),
  amount: fc.integer({ min: 1, max: 500 }),
});

const told = step("told", fc.record({ instruction, fate }), (model: Model, real: Real, given) => {
  const { what, sequence } = given.instruction;
  const amount = ["ship", "refund"].includes(what) ? given.instruction.amount : 0;
  const { refunds } = real.state.payment;
  const [type, data, name] = {
    ship: ["order-shipped", { captureMinor: amount, captureSequence: sequence }, `CAPTURE/${sequence}/1`],
    refund: ["refund-requested", { refundId: "r", amountMinor: amount, reason: "RETURN" }, `REFUND/${refunds + 1}/1`],
    cancel: ["order-cancelled", { whole: true, capturableMinor: 0 }, "VOID/1/1"],
    complete: ["order-completed", {}, "VOID/1/1"],
  }[what as "ship"] as [string, object, string];
  const event = deepFreeze({
    type: `orders.${type}.v1`,
    data: { orderId: "o", customerId: "c", currency: "GBP", ...data },
  }) as unknown as Instruction;
  const wanted = real.transact(given.fate, (stored) => {
    const { payment, operation } = obey(deepFreeze(stored.payment), event);
    stored.payment = payment;
    if (operation) add(stored, operation);
    return operation;
  });
  model.instructed += what === "ship" ? amount : 0;
  // Of a completed order only what nobody will capture is given up.
  const remains = model.authorized - model.voided > model.instructed;
  expectSame(wanted !== undefined, what !== "complete" || remains);
  if (wanted) model.operations[name] ??= { amount, state: "open" };
  compare(model, real);
});

function pay(model: Model, real: Real, given: { sequence: number; fate: Fate }): void {
  const { sequence } = given;
  real.transact(
    given.fate,
    (stored) => add(stored, { kind: "AUTHORIZE", sequence, amountMinor: asked }),
    () => {},
  );
  model.operations[`AUTHORIZE/${sequence}/1`] ??= { amount: asked, state: "open" };
  compare(model, real);
}
const card = step("card", fc.record({ sequence: fc.integer({ min: 1, max: 3 }), fate }), pay);

/** Staff try again what the provider refused. */
const retry = step("retry", fc.record({ pick: fc.nat(20), fate }), (model: Model, real: Real, given) => {
  const failed = real.state.operations.filter(({ kind, status }) => status === "FAILED" && kind !== "AUTHORIZE");
  const operation = failed[given.pick % Math.max(1, failed.length)];
  if (!operation || failed.some((other) => nameOf(other) === nameOf({ ...operation, attempt: operation.attempt + 1 })))
    return;
  const attempt = operation.attempt + 1;
  real.transact(
    given.fate,
    (stored) => add(stored, operation, attempt),
    () => {},
  );
  model.operations[nameOf({ ...operation, attempt })] ??= { amount: operation.amountMinor, state: "open" };
  compare(model, real);
});

const outcome = fc.record({
  kind: fc.constantFrom("succeeded", "succeeded", "succeeded", "succeeded", "failed", "action-required", "unknown"),
  /** Now and then the provider tells another amount than was asked. */
  off: fc.constantFrom(0, 0, 0, 0, 1),
  /** In seconds after the payment was opened. */
  at: fc.integer({ min: 0, max: 60 }),
});

/** What is to come of it by the plain numbers: changes the model; false where it may change nothing. */
function settle(model: Model, name: string, { kind, amount }: { kind: string; amount: number }): boolean {
  const operation = model.operations[name]!;
  if (isOver(operation.state) || (kind === "unknown" && operation.state === "action")) return false;
  const [what] = name.split("/");
  if (kind === "unknown") return true;
  if (kind === "action-required") {
    if (what !== "AUTHORIZE" || amount !== operation.amount || operation.state === "action" || model.authorized > 0)
      return false;
    operation.state = "action";
    return true;
  }
  if (kind === "failed") {
    operation.state = "failed";
    return true;
  }
  const waiting = Object.entries(model.operations).find(
    ([other, { state }]) => other.startsWith("AUTH") && state === "action",
  );
  // A void may tell first that the shopper had completed what waited for him.
  const completed = what === "VOID" && waiting && model.authorized === 0 && amount === waiting[1].amount;
  const room = {
    AUTHORIZE: model.authorized === 0 && amount === asked,
    CAPTURE: amount === operation.amount && amount <= held(model),
    REFUND: amount === operation.amount && amount <= model.captured - model.refunded,
    VOID: amount <= held(model) || completed,
  }[what!];
  if (!room) return false;
  if (what === "VOID" && waiting) waiting[1].state = completed ? "succeeded" : "failed";
  if (what === "AUTHORIZE" || completed) model.authorized += amount;
  if (what === "CAPTURE") model.captured += amount;
  if (what === "REFUND") model.refunded += amount;
  if (what === "VOID") model.voided += amount;
  Object.assign(operation, { state: "succeeded", amount });
  return true;
}

function due({ payment, operations }: Stored, operation: Operation): DueOperation {
  const actionOpen = operations.some(({ id, status }) => id !== operation.id && status === "ACTION_REQUIRED");
  return { ...payment, ...operation, token: null, tries: 1, orderNumber: "N", actionOpen };
}

interface Report {
  pick: number;
  outcome: { kind: string; off: number; at: number };
  fate: Fate;
}

/** A reply, look-up or callback, of any operation, at any time. */
function report(model: Model, real: Real, given: Report): void {
  const { operations } = real.state;
  // The worker asks for the oldest first; callbacks may tell of any.
  const oldest = given.pick % 2 ? operations.find((each) => !isSettled(each)) : undefined;
  const operation = oldest ?? operations[given.pick % Math.max(1, operations.length)];
  if (!operation) return;
  const { kind, off, at } = given.outcome;
  const whole = operation.kind === "VOID" ? Math.max(held(model), given.pick % 2 ? asked : 0) : operation.amountMinor;
  const amount = whole + off;
  // What is certain without the provider the worker never asks of it.
  const foregone = oldest && foregoneOutcome(due(real.state, oldest));
  const known = deepFreeze<Outcome>(
    foregone ??
      ({
        ...{ kind, amountMinor: amount, code: "DECLINED", reason: "time-out", providerId: "a", url: "http://bank" },
        authorization: { providerId: "a", expiresAt: now, card: { brand: "visa", last4: "4242" } },
      } as Outcome),
  );
  const applies = settle(model, nameOf(operation), {
    kind: known.kind,
    amount: foregone ? ("amountMinor" in foregone ? foregone.amountMinor : 0) : amount,
  });
  const settleStored = (stored: Stored) => {
    const [own] = stored.operations.filter(({ id }) => id === operation.id) as [Operation];
    const open = stored.operations.filter((other) => !isSettled(other));
    const time = new Date(now.getTime() + at * 1_000);
    const decision = decide(deepFreeze(stored.payment), deepFreeze(own), deepFreeze(open), known, time);
    if (decision.kind !== "applied") return false;
    stored.payment = decision.payment;
    const changed = new Map(decision.operations.map((each) => [each.id, each]));
    stored.operations = stored.operations.map((each) => changed.get(each.id) ?? each);
    for (const { account, amountMinor } of decision.postings.flatMap(({ entries }) => entries))
      stored.ledger[account] = (stored.ledger[account] ?? 0) + amountMinor;
    if (decision.announcement) stored.told.push(`${decision.announcement.event} ${nameOf(own)}`);
    return true;
  };
  // A repeated outcome changes nothing, whether it is noted as known or refused.
  expectSame(
    real.transact(given.fate, settleStored, () => {}),
    applies,
  );
  compare(model, real);
}
const reported = step("reported", fc.record({ pick: fc.nat(100), outcome, fate }), report);

test("whatever is asked, reported, repeated and lost: money held, captured and refunded is that of the simple sum", () => {
  const steps = fc.commands([told, told, card, retry, reported, reported, reported, reported], {
    maxCommands: 40,
    size: "max",
  });
  fc.assert(
    fc.property(fc.boolean(), steps, (isAuthorized, taken) => {
      const model: Model = { authorized: 0, captured: 0, voided: 0, refunded: 0, instructed: 0, operations: {} };
      const real = storedState(opened);
      if (isAuthorized) {
        pay(model, real, { sequence: 1, fate: "commits" });
        report(model, real, { pick: 0, outcome: { kind: "succeeded", off: 0, at: 0 }, fate: "commits" });
      }
      fc.modelRun(() => ({ model, real }), taken);
    }),
    { numRuns: 3_000 },
  );
}, 120_000);
