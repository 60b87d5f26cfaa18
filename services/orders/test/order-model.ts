import type { EventToEmit } from "@crowdcrunch/events/contract";
import { expectSame } from "@crowdcrunch/kit/testing/crashes";
import type { StoredState } from "@crowdcrunch/kit/testing/crashes";
import type { Cancellation, Order, Refund } from "../src/order.ts";
import { refundableMinor } from "../src/refunding.ts";

// An order as units and sums, for the test of its state machine: who reads this sees what an order is to come to.

/** The payment that the credit of a replacement comes from. */
export const former = "00000000-0000-7000-8000-000000000001";

/** What the tables hold of one order, and all that was told of it. */
export interface Stored {
  order: Order;
  refunds: Refund[];
  cancellations: Cancellation[];
  told: Told[];
}

/** An event that was told, with what is looked at. */
export interface Told {
  name: string;
  sequence: number;
  captureMinor: number;
  amountMinor: number;
  capturableMinor: number;
  paymentId: string;
  whole: boolean;
}

export function toldOf({ type, sequence, data }: EventToEmit): Told {
  const { captureMinor, amountMinor, capturableMinor, paymentId, whole } = data as Told;
  return { name: type.split(".")[1]!, sequence, captureMinor, amountMinor, capturableMinor, paymentId, whole };
}

export type Real = StoredState<Stored>;

/** The order in plain numbers. */
export interface Model {
  phase: "placed" | "returning" | "paying" | "open" | "rejected" | "cancelled" | "completed";
  lines: {
    ordered: number;
    paid: number;
    digital: boolean;
    shipped: number;
    arrived: number;
    cancelled: number;
    returned: number;
  }[];
  shipping: number;
  due: number;
  captured: number;
  /** What was asked back: of its own payment, and of the credit that it had from a former one. */
  ownBack: number;
  credit: number;
  refunded: number;
  attempt: number;
  isDeclined: boolean;
  /** The most that may ever be captured, as payments was told. */
  ceiling: number;
  /** Of a cancelled order: payments and inventory have not answered yet. */
  awaitsVoid: boolean;
  awaitsStock: boolean;
}

export const sum = (numbers: number[]) => numbers.reduce((total, each) => total + each, 0);
export const unsent = ({ ordered, shipped, cancelled }: Model["lines"][number]) => ordered - shipped - cancelled;
const worthOf = (paid: number, units: number, of: number) => Math.floor((paid * units) / of);
/** What left is worth, to the penny and in whatever portions it left, is to be captured; of it no more than is due. */
export const asked = ({ lines, shipping, due }: Model) => {
  const goods = sum(lines.map(({ paid, shipped, ordered }) => worthOf(paid, shipped, ordered)));
  return Math.min(due, goods + (lines.some(({ digital, shipped }) => !digital && shipped > 0) ? shipping : 0));
};
export const refundable = (model: Model) => asked(model) - model.ownBack + model.credit;
export const back = ({ lines }: Model) =>
  sum(lines.map(({ paid, returned, ordered }) => worthOf(paid, returned, ordered)));

function statusOf({ phase, lines }: Model, { paymentState }: Order): string {
  if (phase === "placed") return "PENDING";
  if (phase === "returning") return "AWAITING_RETURN";
  if (phase === "paying") return paymentState === "ACTION_REQUIRED" ? "PAYMENT_ACTION_REQUIRED" : "AWAITING_PAYMENT";
  if (phase !== "open") return phase.toUpperCase();
  const wanted = lines.filter(({ ordered, cancelled }) => ordered > cancelled);
  if (wanted.some(({ arrived }) => arrived > 0)) {
    const all = wanted.every(({ arrived, ordered, cancelled }) => arrived === ordered - cancelled);
    return all ? "DELIVERED" : "PARTIALLY_DELIVERED";
  }
  if (wanted.every((line) => unsent(line) === 0)) return "SHIPPED";
  return wanted.some(({ shipped }) => shipped > 0) ? "PARTIALLY_SHIPPED" : "CONFIRMED";
}

export function compare(model: Model, { state: { order, refunds, told } }: Real): void {
  // An open order ends as soon as all of it is there and paid for.
  const due = asked(model);
  if (model.phase === "open" && statusOf(model, order) === "DELIVERED" && model.captured === due)
    model.phase = "completed";
  const units = order.lines.map((line) => [line.shipped, line.delivered + line.lost, line.cancelled, line.returned]);
  expectSame(
    units,
    model.lines.map((line) => [line.shipped, line.arrived, line.cancelled, line.returned]),
  );
  expectSame(
    [order.status, order.awaitsVoid, order.awaitsStock],
    [statusOf(model, order), model.awaitsVoid, model.awaitsStock],
  );
  expectSame(
    [order.dueMinor, order.captureAskedMinor, order.capturedMinor, order.refundedMinor, refundableMinor(order)],
    [model.due, due, model.captured, model.refunded, model.phase === "paying" ? model.credit : refundable(model)],
  );
  const tellers = (name: string) => told.filter((each) => each.name === name);
  expectSame(sum(tellers("order-shipped").map(({ captureMinor }) => captureMinor)), due);
  const asking = tellers("refund-requested");
  expectSame(sum(asking.map(({ amountMinor }) => amountMinor)), sum(refunds.map(({ amountMinor }) => amountMinor)));
  expectSame(
    sum(asking.filter(({ paymentId }) => paymentId !== former).map(({ amountMinor }) => amountMinor)),
    model.ownBack,
  );
  expectSame(
    due <= model.ceiling && model.ownBack <= due && model.refunded <= sum(asking.map((each) => each.amountMinor)),
    true,
  );
  expectSame(
    told.map(({ sequence }) => sequence),
    told.map((_, index) => index + 1),
  );
  const ends = ["order-rejected", "order-completed"].flatMap(tellers).length;
  expectSame(ends + tellers("order-cancelled").filter(({ whole }) => whole).length, isOver(model) ? 1 : 0);
}
export const isOver = ({ phase }: Model) => ["rejected", "cancelled", "completed"].includes(phase);
export const isEarly = ({ phase }: Model) => ["placed", "returning", "paying"].includes(phase);

export function pay(model: Model): void {
  model.phase = model.due === 0 ? "open" : "paying";
  if (model.due > 0) model.attempt += 1;
}

export function end(model: Model): void {
  Object.assign(model, { phase: "cancelled", awaitsStock: true, awaitsVoid: model.attempt > 0 });
  for (const line of model.lines) line.cancelled = line.ordered;
  // What a replacement had from a former payment goes back at once.
  model.credit = 0;
}

/** Takes an amount from what can go back: of the own payment first. */
export function giveBack(model: Model, amount: number): void {
  const own = Math.min(amount, asked(model) - model.ownBack);
  model.ownBack += own;
  model.credit -= amount - own;
}
