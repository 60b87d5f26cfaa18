import type { EventToEmit } from "@crowdcrunch/events/contract";
import fc from "fast-check";
import { expect, test } from "vitest";
import { cancel, cancelAtOnce } from "./cancelling.ts";
import type { Cancellation, Effects, Order, Refund } from "./order.ts";
import { isTerminal, noEffects } from "./order.ts";
import { requestPayment } from "./paying.ts";
import { place } from "./placing.ts";
import { creditLines, refundFromFunding, refundableMinor } from "./refunding.ts";
import type { SagaEvent } from "./saga.ts";
import { decide } from "./saga.ts";

// The others as a simple model: each answers what it was asked, in any order, more than once, or late.

let counter = 0;
const newId = () => `00000000-0000-7000-8000-${String((counter += 1)).padStart(12, "0")}`;
const time = "2026-01-01T00:00:00.000Z";

interface World {
  order: Order;
  events: EventToEmit[];
  refunds: Map<string, Refund>;
  cancellations: Map<string, Cancellation>;
  authorizedMinor: number;
}

function open(quantities: { quantity: number; minor: number }[]): World {
  const effects = noEffects(newId);
  const lines = quantities.map(({ quantity, minor }, index) => ({
    skuId: newId(),
    productId: newId(),
    name: `item ${index}`,
    digital: false,
    priceVersion: 1,
    agreed: false,
    quantity,
    unitMinor: minor,
    taxMinor: 0,
    discountMinor: 0,
    paidMinor: minor * quantity,
  }));
  const itemsMinor = lines.reduce((sum, { paidMinor }) => sum + paidMinor, 0);
  const totals = { itemsMinor, taxMinor: 0, shippingMinor: 395, discountMinor: 0, totalMinor: itemsMinor + 395 };
  const order = place(
    {
      id: newId(),
      number: "N",
      kind: "SALE",
      customerId: newId(),
      email: null,
      currency: "GBP",
      shipTo: null,
      shippingMethod: "standard",
      couponCode: null,
      cartId: null,
      paymentToken: "tok",
      exchangeId: null,
      replacesOrderId: null,
      returnId: null,
      price: { lines, totals },
      actor: undefined,
    },
    effects,
  );
  const world: World = { order, events: [], refunds: new Map(), cancellations: new Map(), authorizedMinor: 0 };
  keep(world, effects);
  return world;
}

function keep(world: World, effects: Effects): void {
  world.events.push(...effects.events);
  for (const refund of effects.refunds) world.refunds.set(refund.id, refund);
  for (const cancellation of effects.cancellations) world.cancellations.set(cancellation.id, cancellation);
}

function tell(world: World, type: string, data: Record<string, unknown>): void {
  const { order } = world;
  const effects = noEffects(newId);
  const event = {
    id: newId(),
    type,
    key: order.id,
    subject: order.id,
    sequence: 1,
    time,
    data: { orderId: order.id, customerId: order.customerId, version: 1, ...data },
  } as unknown as SagaEvent;
  const before = structuredClone(order);
  const outcome = decide(
    order,
    event,
    {
      refund: world.refunds.get(String(data["refundId"])),
      cancellation: world.cancellations.get(String(data["cancellationId"])),
    },
    effects,
  );
  if (outcome !== "apply") expect(order).toEqual(before);
  keep(world, effects);
}

/** One of the things that can happen; `pick` chooses among an order's lines and units. */
function step(world: World, action: number, pick: number): void {
  const { order } = world;
  const line = order.lines[pick % order.lines.length]!;
  const paymentId = order.paymentId ?? newId();
  const effects = noEffects(newId);
  const units = 1 + (pick % line.quantity);
  const lines = [{ lineId: line.id, quantity: units }];
  const fits =
    units <= line.quantity - line.shipped - line.cancelled &&
    ["CONFIRMED", "PARTIALLY_SHIPPED", "PARTIALLY_DELIVERED"].includes(order.status);
  const arrives = units <= line.shipped - line.delivered - line.lost;
  switch (action) {
    case 0:
      return tell(world, "inventory.stock-reserved.v1", { reservations: [] });
    case 1:
      return tell(world, "inventory.stock-rejected.v1", {
        lines: [{ lineId: line.id, requested: line.quantity, available: 0 }],
      });
    case 2:
      world.authorizedMinor = Math.max(world.authorizedMinor, order.paymentAttempt > 0 ? order.dueMinor : 0);
      return tell(world, "payments.payment-authorized.v1", {
        paymentId,
        attempt: order.paymentAttempt,
        amountMinor: order.dueMinor,
        currency: "GBP",
        expiresAt: time,
      });
    case 3:
      return tell(world, "payments.payment-declined.v1", {
        paymentId,
        attempt: Math.max(1, order.paymentAttempt - (pick % 2)),
        code: "CARD_DECLINED",
        retryable: false,
      });
    case 4:
      return fits
        ? tell(world, "fulfillment.shipment-dispatched.v1", { shipmentId: newId(), trackingCode: "T", lines, at: time })
        : undefined;
    case 5:
      return arrives
        ? tell(world, "fulfillment.shipment-delivered.v1", { shipmentId: newId(), lines, at: time })
        : undefined;
    case 6:
      return arrives
        ? tell(world, "fulfillment.shipment-lost.v1", { shipmentId: newId(), lines, at: time })
        : undefined;
    case 7: {
      const open = [...world.cancellations.values()].find(({ status }) => status === "REQUESTED");
      if (open && fits) tell(world, "fulfillment.shipment-cancelled.v1", { cancellationId: open.id, lines });
      return;
    }
    case 8:
      try {
        cancel(order, { actor: { id: newId(), role: "SHOPPER" }, reason: "SHOPPER", pending: false }, effects);
      } catch {
        return;
      }
      return keep(world, effects);
    case 9:
      if (order.captureAskedMinor > order.capturedMinor)
        tell(world, "payments.payment-captured.v1", {
          paymentId,
          captureSequence: 1,
          amountMinor: order.captureAskedMinor - order.capturedMinor,
          currency: "GBP",
        });
      return;
    case 10: {
      const asked = [...world.refunds.values()].find(({ status }) => status === "REQUESTED");
      if (asked)
        tell(world, "payments.refund-settled.v1", {
          paymentId,
          refundId: asked.id,
          amountMinor: asked.amountMinor,
          currency: "GBP",
        });
      return;
    }
    case 11:
      if (!["PENDING", "AWAITING_PAYMENT", "PAYMENT_ACTION_REQUIRED"].includes(order.status)) return;
      cancelAtOnce(order, "DEADLINE", effects);
      return keep(world, effects);
    case 12:
      if (order.status !== "AWAITING_PAYMENT" || order.paymentState !== "DECLINED") return;
      requestPayment(order, "tok_2", effects);
      return keep(world, effects);
    case 13: {
      if (line.shipped - line.returned < units) return;
      const amountMinor = creditLines(order, lines);
      refundFromFunding(
        order,
        { amountMinor: Math.min(amountMinor, refundableMinor(order)), reason: "RETURN", returnId: null, lines },
        effects,
      );
      return keep(world, effects);
    }
  }
}

function holds(world: World): void {
  const { order, events } = world;
  expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => index + 1));
  const asked = (type: string, property: string) =>
    events
      .filter((event) => event.type === type)
      .reduce((sum, event) => sum + Number((event.data as Record<string, unknown>)[property]), 0);
  expect(order.captureAskedMinor).toBe(asked("orders.order-shipped.v1", "captureMinor"));
  expect(order.captureAskedMinor).toBeLessThanOrEqual(order.dueMinor);
  expect(asked("orders.refund-requested.v1", "amountMinor")).toBeLessThanOrEqual(order.captureAskedMinor);
  expect(order.refundedMinor).toBeLessThanOrEqual(order.captureAskedMinor);
  for (const line of order.lines) {
    expect(line.shipped + line.cancelled).toBeLessThanOrEqual(line.quantity);
    expect(line.delivered + line.lost).toBeLessThanOrEqual(line.shipped);
    expect(line.returned).toBeLessThanOrEqual(line.shipped);
    expect(line.refundedMinor).toBeLessThanOrEqual(line.paidMinor);
  }
  const ends = events.filter(
    (event) =>
      ["orders.order-confirmed.v1", "orders.order-rejected.v1"].includes(event.type) ||
      (event.type === "orders.order-cancelled.v1" && (event.data as { beforeConfirmed: boolean }).beforeConfirmed),
  );
  expect(ends.length).toBeLessThanOrEqual(1);
  if (order.status === "CONFIRMED") expect(world.authorizedMinor).toBe(order.dueMinor);
  if (order.status === "COMPLETED") expect(order.capturedMinor).toBe(order.captureAskedMinor);
  // All units sent, none cancelled: exactly the total is captured, whatever the portions.
  if (order.lines.every((line) => line.shipped === line.quantity))
    expect(order.captureAskedMinor).toBe(order.totals.totalMinor);
}

test("any order of replies, repeats and decisions keeps money and units together", () => {
  const lines = fc.array(
    fc.record({ quantity: fc.integer({ min: 1, max: 7 }), minor: fc.integer({ min: 0, max: 99_999 }) }),
    { minLength: 1, maxLength: 4 },
  );
  const actions = fc.array(fc.tuple(fc.integer({ min: 0, max: 13 }), fc.nat(1000)), { maxLength: 60 });
  // Most sequences begin as a purchase does; the rest may begin anyhow.
  const beginning = fc.constantFrom([], [0], [0, 2], [0, 2], [0, 3, 12, 2]);
  fc.assert(
    fc.property(lines, beginning, actions, (ordered, first, rest) => {
      const world = open(ordered);
      for (const action of first) step(world, action, 0);
      for (const [action, pick] of rest) {
        const ended = isTerminal(world.order.status) && world.order.status;
        step(world, action, pick);
        holds(world);
        if (ended) expect(world.order.status).toBe(ended);
      }
    }),
    { numRuns: 3_000 },
  );
});
