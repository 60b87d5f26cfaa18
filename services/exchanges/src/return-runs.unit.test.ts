import { expectSame, fate, idsFrom, step, storedState } from "@crowdcrunch/kit/testing/crashes";
import type { Fate, StoredState } from "@crowdcrunch/kit/testing/crashes";
import fc from "fast-check";
import { test } from "vitest";
import { inspect, receive } from "./inspecting.ts";
import type { Finding } from "./inspecting.ts";
import { approve, checkDemand, reject, request } from "./requesting.ts";
import type { Effects, Order, Return } from "./return.ts";
import { exchangeOf, noEffects } from "./return.ts";
import {
  refundHasFailed,
  refundIsSettled,
  replacementHasFailed,
  replacementIsCompleted,
  replacementIsPlaced,
} from "./settling.ts";

const at = new Date("2026-03-01T12:00:00Z");
const uuid = (n: number) => `00000000-0000-7000-8000-${String(n).padStart(12, "0")}`;
const bought = [
  { lineId: uuid(1), quantity: 7, paidMinor: 1_000 },
  { lineId: uuid(2), quantity: 3, paidMinor: 299 },
];

/** The order with its returns, and what was told of them: `<event> <version of the return or exchange>`. */
interface Stored {
  order: Order;
  told: { subject: string; type: string; sequence: number; data: unknown }[];
}

const initial: Stored = {
  order: {
    ...{ orderId: uuid(100), customerId: uuid(101), number: "7K3QDX2M9A", currency: "GBP", returns: [], exchanges: [] },
    lines: bought.map((line) => ({
      ...line,
      ...{ skuId: uuid(9), name: "Mug", delivered: line.quantity, deliveredAt: at, pending: 0, returned: 0 },
    })),
  },
  told: [],
};

/** A return in plain numbers: units by line, and what became of each. */
interface Sent {
  phase: "asked" | "agreed" | "refused" | "here" | "paying" | "over";
  expected: number[];
  came: number[];
  fates: { RESTOCK: number[]; WRITE_OFF: number[]; REFUSED: number[] };
  refunded: number;
  credit: number;
  replacement: "none" | "wanted" | "ordered" | "placed" | "failed" | "arrived" | "refused";
}
interface Model {
  returns: Sent[];
}
type Real = StoredState<Stored>;

const isOpen = ({ phase }: Sent) => ["asked", "agreed", "here"].includes(phase);
const accepted = (sent: Sent, line: number) => sent.fates.RESTOCK[line]! + sent.fates.WRITE_OFF[line]!;
const sum = (numbers: number[]) => numbers.reduce((total, each) => total + each, 0);
/** Units of a line that are on their way or here, and not decided. */
const pending = ({ returns }: Model, line: number) =>
  sum(returns.filter(isOpen).map(({ phase, expected, came }) => (phase === "here" ? came : expected)[line]!));
const takenBack = ({ returns }: Model, line: number) => sum(returns.map((sent) => accepted(sent, line)));
/** What all units that were taken back are worth, to the penny: no return alone, but all together. */
const worth = (model: Model) =>
  sum(bought.map(({ paidMinor, quantity }, line) => Math.floor((paidMinor * takenBack(model, line)) / quantity)));

function compare(model: Model, { state: { order, told } }: Real): void {
  const statuses = {
    ...{ REQUESTED: "asked", APPROVED: "agreed", REJECTED: "refused" },
    ...{ RECEIVED: "here", SETTLING: "paying", SETTLED: "over" },
  };
  expectSame(
    order.returns.map(({ status, lines, refundedMinor, creditMinor }) => [
      statuses[status],
      bought.map(({ lineId }) => {
        const { restocked, writtenOff, refused } = lines.find((line) => line.lineId === lineId) ?? unnamed;
        return [restocked, writtenOff, refused];
      }),
      refundedMinor,
      creditMinor ?? 0,
    ]),
    model.returns.map(({ phase, fates, refunded, credit }) => [
      phase,
      bought.map((_, line) => [fates.RESTOCK[line]!, fates.WRITE_OFF[line]!, fates.REFUSED[line]!]),
      refunded,
      credit,
    ]),
  );
  expectSame(
    order.lines.map((line) => [line.pending, line.returned]),
    bought.map((_, line) => [pending(model, line), takenBack(model, line)]),
  );
  expectSame(sum(order.returns.map(({ creditMinor }) => creditMinor ?? 0)), worth(model));
  const replacements = {
    ...{ REQUESTED: "wanted", REPLACING: "ordered", SETTLED: "arrived" },
    ...{ FAILED: "failed", REJECTED: "refused" },
  };
  expectSame(
    order.exchanges.map(({ status, replacementOrderId }) =>
      status === "REPLACING" && replacementOrderId ? "placed" : replacements[status],
    ),
    model.returns.map(({ replacement }) => replacement).filter((replacement) => replacement !== "none"),
  );
  for (const { id, version } of [...order.returns, ...order.exchanges]) {
    const own = told.filter(({ subject }) => subject === id);
    expectSame(
      own.map(({ sequence }) => sequence),
      Array.from({ length: version }, (_, index) => index + 1),
    );
  }
  // The end of each return is told, once.
  const over = told.filter(({ type }) => type === "exchanges.return-settled.v1").map(({ subject }) => subject);
  expectSame(new Set(over).size, over.length);
  expectSame(over.length, model.returns.filter(({ phase }) => phase === "over").length);
}
const unnamed = { restocked: 0, writtenOff: 0, refused: 0 };

type Act = (order: Order, own: Return, effects: Effects, newId: () => string) => unknown;

/**
 * Does it with one of the returns, under the order's lock. True where the machine let it be done. Refunds alone are
 * counted: they add up, and the inbox knows their events.
 */
function attempt(real: Real, given: { fate: Fate; index: number }, act: Act, isCounted = false): boolean {
  const transaction = ({ order, told }: Stored) => {
    const effects = noEffects();
    const outcome = act(order, order.returns[given.index]!, effects, idsFrom(order.returns.length + 1));
    told.push(...effects.events);
    return outcome !== "ignore" && outcome !== "wait";
  };
  try {
    return real.transact(given.fate, transaction, isCounted ? undefined : () => {});
  } catch (error) {
    // Expected refusals have a name in the graph; anything else is a mistake.
    if (!(error as { typename?: string }).typename) throw error;
    return false;
  }
}

const units = fc.tuple(fc.nat(4), fc.nat(3));
const named = (quantities: number[]) =>
  bought.map(({ lineId }, line) => ({ lineId, quantity: quantities[line]! })).filter(({ quantity }) => quantity > 0);

/** A step on one of the returns there are; the youngest most often. */
function onReturn<Input extends object>(
  name: string,
  input: fc.Arbitrary<Input>,
  run: (real: Real, sent: Sent, given: Input & { fate: Fate; index: number }, model: Model) => void,
) {
  return step(
    name,
    fc.record({ pick: fc.nat(30), fate, input }),
    (model: Model, real: Real, { pick, fate: how, input: given }) => {
      const count = model.returns.length;
      if (count === 0) return;
      const index = pick % 3 ? count - 1 : pick % count;
      run(real, model.returns[index]!, { ...given, fate: how, index }, model);
      compare(model, real);
    },
  );
}

const ask = step(
  "ask",
  fc.record({ units, isExchange: fc.boolean(), fate }),
  (model: Model, real: Real, { units: quantities, isExchange, fate: how }) => {
    const lines = named(quantities);
    const free = bought.map(({ quantity }, line) => quantity - pending(model, line) - takenBack(model, line));
    const fits = lines.length > 0 && free.every((quantity, line) => quantities[line]! <= quantity);
    // Its repetition is known by the idempotency key.
    const given = { fate: how === "repeats" ? ("commits" as const) : how, index: 0 };
    const done = attempt(real, given, (order, _, effects, newId) => {
      checkDemand(order, lines, { now: at, days: 30, staff: false });
      const replacements = [{ skuId: uuid(9), quantity: 1 }];
      const demand = { id: newId(), number: "R-1", lines, reason: "OTHER", comment: null, externalReference: null };
      const exchange = isExchange ? { exchange: { id: newId(), replacements, paymentToken: "tok" } } : {};
      request(order, { ...demand, ...exchange }, { at }, effects);
    });
    expectSame(done, fits);
    const fates = { RESTOCK: [0, 0], WRITE_OFF: [0, 0], REFUSED: [0, 0] };
    const replacement = isExchange ? "wanted" : "none";
    const nothing = { came: [0, 0], fates, refunded: 0, credit: 0 };
    if (done) model.returns.push({ phase: "asked", expected: quantities, ...nothing, replacement });
    compare(model, real);
  },
);

const agree = onReturn("agree", fc.constant({}), (real, sent, given) => {
  const done = attempt(real, given, (order, own, effects) => approve(order, own, { at }, effects));
  expectSame(done, sent.phase === "asked");
  if (!done) return;
  sent.phase = "agreed";
  if (sent.replacement === "wanted") sent.replacement = "ordered";
});

const refuse = onReturn("refuse", fc.constant({}), (real, sent, given) => {
  const why = { at, reason: "OTHER" };
  const done = attempt(real, given, (order, own, effects) => reject(order, own, why, effects));
  expectSame(done, sent.phase === "asked" || sent.phase === "agreed");
  if (!done) return;
  sent.phase = "refused";
  if (sent.replacement !== "none" && sent.replacement !== "failed") sent.replacement = "refused";
});

const arrive = onReturn("arrive", fc.record({ units, all: fc.boolean() }), (real, sent, given) => {
  const lines = given.all ? null : named(given.units);
  const some = lines?.length !== 0 && sent.expected.every((quantity, line) => given.units[line]! <= quantity);
  const done = attempt(real, given, (order, own, effects) => receive(order, own, lines, { at }, effects));
  expectSame(done, sent.phase === "agreed" && (given.all || some));
  if (done) Object.assign(sent, { phase: "here", came: given.all ? sent.expected : given.units });
});

const dispositions = ["RESTOCK", "WRITE_OFF", "REFUSED"] as const;
const split = fc.array(fc.nat(2), { minLength: 7, maxLength: 7 });
const look = onReturn("look", fc.record({ split, short: fc.nat(9) }), (real, sent, given, model) => {
  const fates = { RESTOCK: [0, 0], WRITE_OFF: [0, 0], REFUSED: [0, 0] };
  for (const line of [0, 1])
    for (let unit = 0; unit < sent.came[line]!; unit++) fates[dispositions[given.split[unit]!]!][line]! += 1;
  const findings: Finding[] = dispositions.flatMap((disposition) =>
    named(fates[disposition]).map((part) => ({ ...part, disposition })),
  );
  // Now and then not every unit is accounted for.
  if (given.short === 0) findings.pop();
  const before = worth(model);
  const done = attempt(real, given, (order, own, effects) => inspect(order, own, findings, { at }, effects));
  expectSame(done, sent.phase === "here" && given.short > 0 && sent.replacement !== "ordered");
  if (!done) return;
  const nothing = sum(fates.RESTOCK) + sum(fates.WRITE_OFF) === 0;
  Object.assign(sent, { fates, phase: nothing ? "over" : "paying" });
  if (nothing && sent.replacement === "placed") sent.replacement = "failed";
  sent.credit = worth(model) - before;
});

const payment = fc.record({ parts: fc.constantFrom(1, 1, 2), reason: fc.constantFrom("RETURN", "DIFFERENCE") });
const pay = onReturn("pay", payment, (real, sent, given) => {
  const { parts, reason } = given;
  const refund = { refundId: uuid(7), amountMinor: Math.ceil(sent.credit / parts), reason, at };
  attempt(real, given, (order, own, effects) => refundIsSettled(order, own, refund, effects), true);
  sent.refunded += refund.amountMinor;
  const isReplacing = sent.replacement === "ordered" || sent.replacement === "placed";
  const ends = reason === "RETURN" || (!isReplacing && sent.refunded >= sent.credit);
  if (sent.phase === "paying" && ends) sent.phase = "over";
});

const cannotPay = onReturn("cannot pay", fc.constant({}), (real, sent, given) => {
  const failure = { amountMinor: 1, code: "DECLINED" };
  const done = attempt(real, given, (_, own, effects) => refundHasFailed(own, failure, effects));
  expectSame(done, sent.phase !== "over");
});

const fateOfReplacement = fc.record({ end: fc.constantFrom("placed", "placed", "failed", "completed") });
const replace = onReturn("replace", fateOfReplacement, (real, sent, given) => {
  const { end } = given;
  if (sent.replacement === "none") return;
  const done = attempt(real, given, (order, own, effects) => {
    const exchange = exchangeOf(order, own)!;
    if (end === "placed") return replacementIsPlaced(exchange, { orderId: uuid(700), totalMinor: 500 });
    if (end === "failed") return replacementHasFailed(order, exchange, { reason: "OUT_OF_STOCK", at }, effects);
    return replacementIsCompleted(order, exchange, at, effects);
  });
  const isReplacing = sent.replacement === "ordered" || sent.replacement === "placed";
  expectSame(done, end === "completed" ? sent.replacement === "placed" && sent.phase === "paying" : isReplacing);
  if (!done) return;
  sent.replacement = ({ placed: "placed", failed: "failed", completed: "arrived" } as const)[end as "placed"];
  const isPaidBack = end === "failed" && sent.phase === "paying" && sent.refunded >= sent.credit;
  if (end === "completed" || isPaidBack) sent.phase = "over";
});

test("whatever is asked, repeated and lost: units by fate, credit and refunds are those of the simple sum", () => {
  const steps = fc.commands([ask, agree, agree, refuse, arrive, arrive, look, look, pay, cannotPay, replace, replace], {
    maxCommands: 50,
    size: "max",
  });
  fc.assert(
    fc.property(steps, (taken) =>
      fc.modelRun(() => ({ model: { returns: [] as Sent[] }, real: storedState(initial) }), taken),
    ),
    { numRuns: 3_000 },
  );
}, 120_000);
