import { deepFreeze, expectSame, fate, idsFrom, step as stepOf, storedState } from "@crowdcrunch/kit/testing/crashes";
import type { Fate } from "@crowdcrunch/kit/testing/crashes";
import fc from "fast-check";
import { test } from "vitest";
import { cancel, cancelAtOnce } from "./cancelling.ts";
import type { Effects, Order } from "./order.ts";
import { noEffects } from "./order.ts";
import { requestPayment, settleReplacement } from "./paying.ts";
import { place } from "./placing.ts";
import { creditLines, refundFromFunding, refundableMinor } from "./refunding.ts";
import type { SagaEvent } from "./saga.ts";
import { decide } from "./saga.ts";
import {
  asked,
  back,
  compare,
  end,
  former,
  giveBack,
  isEarly,
  isOver,
  pay,
  refundable,
  sum,
  toldOf,
  unsent,
} from "../test/order-model.ts";
import type { Model, Real, Stored } from "../test/order-model.ts";

const time = "2026-01-01T00:00:00.000Z";
const other = "00000000-0000-7000-8000-000000000002";

/** One transaction on the order. True where it applied, false where it is of no concern or refused, "wait" if too early. */
function act(real: Real, how: Fate, decision: (stored: Stored, effects: Effects) => unknown, known?: () => void) {
  const transaction = (stored: Stored) => {
    const effects = noEffects(idsFrom(stored.told.length + 1));
    const outcome = decision(stored, effects) ?? "apply";
    if (outcome !== "apply") expectSame(stored, real.state);
    const save = <Row extends { id: string }>(rows: Row[], changed: Row[]) => {
      const latest = new Map(changed.map((row) => [row.id, row]));
      return [...rows.filter(({ id }) => !latest.has(id)), ...latest.values()];
    };
    stored.refunds = save(stored.refunds, effects.refunds);
    stored.cancellations = save(stored.cancellations, effects.cancellations);
    stored.told.push(...effects.events.map(toldOf));
    const { newId: _, ...written } = effects;
    return { done: outcome === "wait" ? ("wait" as const) : outcome === "apply", written };
  };
  try {
    return real.transact(how, transaction, known).done;
  } catch (error) {
    // Expected refusals have a name in the graph; anything else is a mistake.
    if (!(error as { typename?: string }).typename) throw error;
    return false;
  }
}

/** An event of another service. `known` is given where the order itself knows a repetition, whatever event brings it. */
function tell(real: Real, how: Fate, type: string, data: Record<string, unknown>, known?: () => void) {
  const { id, customerId } = real.state.order;
  const event = deepFreeze({
    ...{ id: other, type, key: id, subject: id, sequence: 1, time },
    data: { orderId: id, customerId, version: 1, ...data },
  }) as unknown as SagaEvent;
  const decision = ({ order, refunds, cancellations }: Stored, effects: Effects) => {
    const refund = refunds.find((each) => each.id === data["refundId"]);
    const cancellation = cancellations.find((each) => each.id === data["cancellationId"]);
    return decide(order, event, { refund, cancellation }, effects);
  };
  return act(real, how, decision, known);
}
const again = () => {};

type Step = (model: Model, real: Real, given: { fate: Fate; pick: number }) => void;
const quantityOf = (model: Model, real: Real, pick: number, unitsOf: (line: Model["lines"][number]) => number) => {
  const index = pick % model.lines.length;
  const quantity = Math.min(1 + (pick % 7), unitsOf(model.lines[index]!));
  return { line: model.lines[index]!, quantity, lines: [{ lineId: real.state.order.lines[index]!.id, quantity }] };
};

const steps: Record<string, Step> = {
  reserved(model, real, { fate: how }) {
    const done = tell(real, how, "inventory.stock-reserved.v1", { reservations: [] }, again);
    expectSame(done, model.phase === "placed");
    if (!done) return;
    if (real.state.order.kind === "REPLACEMENT") model.phase = "returning";
    else pay(model);
  },
  rejected(model, real, { fate: how }) {
    const lines = [{ lineId: real.state.order.lines[0]!.id, requested: 1, available: 0 }];
    const done = tell(real, how, "inventory.stock-rejected.v1", { lines }, again);
    expectSame(done, model.phase === "placed");
    if (done) model.phase = "rejected";
  },
  credited(model, real, { fate: how, pick }) {
    if (model.phase !== "returning") return;
    const credit = { paymentId: former, deadlineAt: new Date(time) };
    act(real, how, ({ order }, effects) => settleReplacement(order, pick * 300, credit, effects));
    const total = model.due;
    model.due = model.ceiling = Math.max(0, total - pick * 300);
    model.credit = Math.min(total, pick * 300);
    pay(model);
  },
  outcome(model, real, { fate: how, pick }) {
    const kind = ["authorized", "authorized", "declined", "action-required"][pick % 4]!;
    // Now and then that of a former card.
    const attempt = model.attempt - (pick % 5 === 0 ? 1 : 0);
    const about = {
      paymentId: other,
      attempt,
      amountMinor: model.due,
      currency: "GBP",
      url: "http://bank",
      code: "NO",
    };
    const done = tell(real, how, `payments.payment-${kind}.v1`, about, again);
    expectSame(done, model.phase === "paying" && attempt === model.attempt);
    if (done) model.isDeclined = kind === "declined";
    if (done && kind === "authorized") model.phase = "open";
  },
  card(model, real, { fate: how }) {
    if (model.phase !== "paying" || !model.isDeclined) return;
    act(real, how, ({ order }, effects) => requestPayment(order, "tok_2", effects));
    Object.assign(model, { attempt: model.attempt + 1, isDeclined: false });
  },
  ship(model, real, { fate: how, pick }) {
    const { line, quantity, lines } = quantityOf(model, real, pick, unsent);
    if (quantity === 0) return;
    const type = line.digital ? "digital-delivery-sent" : "shipment-dispatched";
    const id = line.digital ? { deliveryId: other } : { shipmentId: other, trackingCode: "T" };
    const done = tell(real, how, `fulfillment.${type}.v1`, { ...id, lines, at: time });
    expectSame(done, isEarly(model) ? "wait" : model.phase === "open");
    if (done !== true) return;
    line.shipped += quantity;
    if (line.digital) line.arrived += quantity;
  },
  arrive(model, real, { fate: how, pick }) {
    const { line, quantity, lines } = quantityOf(model, real, pick, ({ ordered }) => ordered);
    const type = pick % 5 === 0 ? "lost" : "delivered";
    const done = tell(real, how, `fulfillment.shipment-${type}.v1`, { shipmentId: other, lines, at: time });
    const fits = quantity <= line.shipped - line.arrived;
    expectSame(done, fits || (isOver(model) ? false : "wait"));
    if (done === true) line.arrived += quantity;
  },
  cancel(model, real, { fate: how }) {
    const pending = real.state.cancellations.some(({ status }) => status === "REQUESTED");
    const by = { actor: { id: other, role: "SHOPPER" as const }, reason: "SHOPPER", pending };
    const done = act(real, how, ({ order }, effects) => cancel(order, by, effects));
    const stoppable = !pending && model.lines.some((line) => unsent(line) > 0);
    expectSame(done, isEarly(model) || (model.phase === "open" && stoppable));
    if (done && isEarly(model)) end(model);
  },
  deadline(model, real, { fate: how }) {
    if (!isEarly(model)) return;
    act(real, how, ({ order }, effects) => cancelAtOnce(order, "DEADLINE", effects));
    end(model);
  },
  stop(model, real, { fate: how, pick }) {
    const { cancellations } = real.state;
    const cancellation = cancellations.find(({ status }) => status === "REQUESTED" || isOver(model));
    const { line, quantity, lines } = quantityOf(model, real, pick, isOver(model) ? ({ ordered }) => ordered : unsent);
    if (!cancellation || quantity === 0) return;
    const about = { cancellationId: cancellation.id, lines, reason: "TOO_LATE" };
    const type = pick % 5 === 0 ? "cancellation-refused" : "shipment-cancelled";
    const done = tell(real, how, `fulfillment.${type}.v1`, about);
    expectSame(done, type === "cancellation-refused" || !isOver(model));
    if (!done || type === "cancellation-refused") return;
    line.cancelled += quantity;
    const { whole, capturableMinor } = real.state.told.findLast(({ name }) => name === "order-cancelled")!;
    expectSame(
      whole,
      model.lines.every(({ ordered, cancelled }) => ordered === cancelled),
    );
    model.ceiling = asked(model) + capturableMinor;
    if (whole) end(model);
  },
  ended(model, real, { fate: how, pick }) {
    const [about, isVoid] = [{ paymentId: other, amountMinor: 0, lines: [], cancellationId: other }, pick % 2 === 0];
    const done = tell(real, how, isVoid ? "payments.payment-voided.v1" : "inventory.stock-released.v1", about, again);
    const isCancelled = model.phase === "cancelled";
    expectSame(done, isCancelled || !isVoid);
    if (isCancelled) Object.assign(model, isVoid ? { awaitsVoid: false } : { awaitsStock: false });
  },
  captured(model, real, { fate: how }) {
    const amountMinor = asked(model) - model.captured;
    if (amountMinor === 0) return;
    const about = { paymentId: other, captureSequence: 1, amountMinor, currency: "GBP" };
    tell(real, how, "payments.payment-captured.v1", about);
    model.captured += amountMinor;
  },
  returned(model, real, { fate: how, pick }) {
    const { line, quantity, lines } = quantityOf(model, real, pick, ({ shipped, returned }) => shipped - returned);
    if (quantity === 0) return;
    const before = back(model);
    line.returned += quantity;
    const amount = Math.min(back(model) - before, refundable(model));
    act(real, how, ({ order }, effects) => {
      const amountMinor = Math.min(creditLines(order, lines), refundableMinor(order));
      refundFromFunding(order, { amountMinor, reason: "RETURN", returnId: null, lines }, effects);
    });
    giveBack(model, amount);
  },
  goodwill(model, real, { fate: how, pick }) {
    const amountMinor = Math.min(pick * 10, refundable(model));
    if (amountMinor === 0 || isEarly(model)) return;
    const demand = { amountMinor, reason: "GOODWILL", returnId: null, lines: [] };
    act(real, how, ({ order }, effects) => refundFromFunding(order, demand, effects));
    giveBack(model, amountMinor);
  },
  refund(model, real, { fate: how, pick }) {
    const { refunds } = real.state;
    const refund = refunds[pick % Math.max(1, refunds.length)];
    if (!refund) return;
    const { id: refundId, amountMinor, status } = refund;
    const fails = pick % 4 === 0;
    const about = { paymentId: other, refundId, amountMinor, currency: "GBP", code: "NO" };
    const done = tell(real, how, `payments.refund-${fails ? "failed" : "settled"}.v1`, about, again);
    expectSame(done, fails ? status === "REQUESTED" : status !== "SETTLED");
    if (done && !fails) model.refunded += amountMinor;
  },
};

type Ordered = { quantity: number; minor: number; discount: number; digital: boolean }[];

function open(ordered: Ordered, kind: Order["kind"]): { model: Model; real: Real } {
  const shipping = ordered.some(({ digital }) => !digital) ? 395 : 0;
  const lines = ordered.map(({ quantity, minor, discount, digital }) => ({
    ...{ skuId: other, productId: other, name: "item", digital, priceVersion: 1, agreed: false, quantity },
    ...{ unitMinor: minor, taxMinor: 0, discountMinor: 0, paidMinor: Math.max(0, minor * quantity - discount) },
  }));
  const itemsMinor = sum(lines.map(({ paidMinor }) => paidMinor));
  const due = itemsMinor + shipping;
  const totals = { itemsMinor, taxMinor: 0, shippingMinor: shipping, discountMinor: 0, totalMinor: due };
  const effects = noEffects(idsFrom(0));
  const order = place(
    {
      ...{ id: effects.newId(), number: "N", kind, customerId: other, email: null, currency: "GBP", shipTo: null },
      ...{ shippingMethod: "standard", couponCode: null, cartId: null, paymentToken: "tok", exchangeId: null },
      ...{ replacesOrderId: null, returnId: null, price: { lines, totals }, actor: undefined },
    },
    effects,
  );
  const counts = { shipped: 0, arrived: 0, cancelled: 0, returned: 0 };
  const model: Model = {
    ...{
      phase: "placed",
      shipping,
      due,
      captured: 0,
      ownBack: 0,
      credit: 0,
      refunded: 0,
      attempt: 0,
      isDeclined: false,
    },
    ...{ ceiling: due, awaitsVoid: false, awaitsStock: false },
    lines: lines.map(({ quantity, paidMinor, digital }) => ({
      ordered: quantity,
      paid: paidMinor,
      digital,
      ...counts,
    })),
  };
  return {
    model,
    real: storedState<Stored>({ order, refunds: [], cancellations: [], told: effects.events.map(toldOf) }),
  };
}

test("whatever is told, done, repeated and lost: an order's units and money are those of the simple sum", () => {
  const ordered = fc.array(
    fc.record({
      quantity: fc.integer({ min: 1, max: 7 }),
      minor: fc.nat(99_999),
      discount: fc.nat(50),
      digital: fc.constantFrom(false, false, true),
    }),
    { minLength: 1, maxLength: 4 },
  );
  const stepsOf = Object.entries(steps).map(([name, take]) =>
    stepOf(name, fc.record({ fate, pick: fc.nat(1_000) }), (model: Model, real: Real, given) => {
      take(model, real, given);
      compare(model, real);
    }),
  );
  // Most sequences begin as a purchase does; the rest may begin anyhow.
  const beginning = fc.constantFrom(
    [],
    ["reserved"],
    ["reserved", "credited", "outcome"],
    ["reserved", "credited", "outcome"],
  );
  const kind = fc.constantFrom("SALE", "SALE", "REPLACEMENT");
  fc.assert(
    fc.property(
      ordered,
      kind,
      beginning,
      fc.commands(stepsOf, { maxCommands: 40, size: "max" }),
      (lines, what, first, rest) => {
        const { model, real } = open(lines, what as Order["kind"]);
        for (const name of first) steps[name]!(model, real, { fate: "commits", pick: 1 });
        fc.modelRun(() => ({ model, real }), rest);
      },
    ),
    { numRuns: 3_000 },
  );
}, 120_000);
