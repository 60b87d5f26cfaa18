import { randomUUID } from "node:crypto";
import type { EventContract } from "@crowdcrunch/events/contract";
import {
  exchangeSettled,
  replacementRequested,
  replacementWithdrawn,
  returnApproved,
  returnInspected,
  returnSettled,
} from "@crowdcrunch/events/exchanges";
import { orderCancelled, orderCompleted, orderRejected } from "@crowdcrunch/events/orders";
import { testService } from "@crowdcrunch/kit/testing/service";
import type { TestService } from "@crowdcrunch/kit/testing/service";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exchanges } from "../src/service.ts";
import { call, confirmed, delivered, newOrder, orderSeenBy, placed, refunded } from "./world.ts";
import type { TestOrder } from "./world.ts";

let service: TestService;
let staff: string;

beforeAll(async () => {
  service = await testService(exchanges);
  staff = await service.signToken({ roles: ["STAFF"] });
});
afterAll(() => service?.stop());

interface Child {
  orderId: string;
  customerId: string;
  exchangeId: string;
  number: string;
}

/** Two mugs for two others, approved. */
async function agreed() {
  const order = newOrder();
  await service.deliver(confirmed(order), delivered(order));
  const owner = await service.signToken({ sub: order.customerId });
  const answer = await call(service, owner, "requestExchange", demand(order));
  const { id: exchangeId, return: opened } = answer.exchange;
  const { id: returnId, number } = opened as { id: string; number: string };
  await call(service, staff, "approveReturn", { number });
  const child: Child = { orderId: randomUUID(), customerId: order.customerId, exchangeId, number: "CHILD" };
  const inspect = (disposition: string) =>
    call(service, staff, "inspectReturn", { number, lines: [{ lineId: order.mug, quantity: 2, disposition }] });
  return { order, owner, exchangeId, returnId, number, child, inspect };
}

function demand(order: TestOrder, more: Record<string, unknown> = {}) {
  return {
    orderNumber: order.number,
    lines: [{ lineId: order.mug, quantity: 2 }],
    replacements: [{ skuId: randomUUID(), quantity: 2, replacesLineId: order.mug }],
    reason: "WRONG_ITEM",
    paymentToken: "tok_ok",
    ...more,
  };
}

function rejected({ orderId, customerId, exchangeId, number }: Child) {
  const data = { orderId, customerId, version: 2, number, exchangeId, reason: "OUT_OF_STOCK", lines: [] };
  return orderRejected.create(data, { sequence: 2 });
}

function cancelled({ orderId, customerId, exchangeId, number }: Child, whole: boolean) {
  const lines = [{ lineId: randomUUID(), skuId: randomUUID(), name: "Red mug", quantity: 1 }];
  const about = { cancellationId: randomUUID(), lines, whole, beforeConfirmed: false, reason: "SHOPPER" };
  return orderCancelled.create(
    { orderId, customerId, version: 3, number, exchangeId, ...about, capturableMinor: 0, currency: "GBP" },
    { sequence: 3 },
  );
}

function completed({ orderId, customerId, exchangeId }: Child) {
  const at = new Date().toISOString();
  return orderCompleted.create({ orderId, customerId, version: 8, exchangeId, at }, { sequence: 8 });
}

async function about<Contract extends EventContract>(contract: Contract, order: TestOrder) {
  return (await service.emitted(contract)).filter(({ key }) => key === order.orderId);
}

async function seen(order: TestOrder) {
  const { entity } = await orderSeenBy(service, staff, order);
  return entity.returns[0];
}

describe("an exchange", () => {
  test("orders the replacement when it is approved and settles when that has arrived", async () => {
    const { order, exchangeId, returnId, number, child, inspect } = await agreed();
    expect(await about(replacementRequested, order)).toMatchObject([
      {
        subject: exchangeId,
        sequence: 1,
        data: {
          exchangeId,
          returnId,
          lines: [{ quantity: 2, replacesLineId: order.mug }],
          returnedLines: [{ lineId: order.mug, quantity: 2 }],
          creditMinor: 2000,
          paymentToken: "tok_ok",
        },
      },
    ]);
    const { rows } = await service.admin.query("SELECT payment_token FROM exchanges WHERE id = $1", [exchangeId]);
    expect(rows).toEqual([{ payment_token: null }]);

    await call(service, staff, "receiveReturn", { number });
    expect(await inspect("RESTOCK")).toMatchObject({ __typename: "NotPossible", state: "REPLACEMENT_PENDING" });
    await service.deliver(placed({ ...child, totalMinor: 1500 }));
    expect(await inspect("RESTOCK")).toMatchObject({ return: { status: "SETTLING" } });
    expect((await about(returnInspected, order))[0]!.data).toMatchObject({ exchangeId });

    const ids = { returnId, exchangeId };
    await service.deliver(refunded(child, { ...ids, amountMinor: 500, reason: "DIFFERENCE" }));
    expect(await seen(order)).toMatchObject({ status: "SETTLING", refunded: { amountMinor: 500 } });
    const [end] = await service.deliver(completed(child));
    for (let time = 0; time < 10; time++) await service.deliver(end as never);
    expect(await seen(order)).toMatchObject({
      status: "SETTLED",
      exchange: { status: "SETTLED", replacement: { id: child.orderId }, difference: { amountMinor: -500 } },
    });
    expect(await about(exchangeSettled, order)).toMatchObject([
      { sequence: 2, data: { replacementOrderId: child.orderId, differenceMinor: -500, currency: "GBP" } },
    ]);
    expect(await about(returnSettled, order)).toMatchObject([{ data: { refundedMinor: 500 } }]);
  });

  test("whose replacement is out of stock becomes a return with a refund", async () => {
    const { order, returnId, number, child, inspect } = await agreed();
    await service.deliver(placed({ ...child, totalMinor: 2000 }), rejected(child));
    expect(await seen(order)).toMatchObject({
      status: "APPROVED",
      exchange: { status: "FAILED", failure: "OUT_OF_STOCK" },
    });
    await call(service, staff, "receiveReturn", { number });
    await inspect("RESTOCK");
    expect((await about(returnInspected, order))[0]!.data).not.toHaveProperty("exchangeId");
    await service.deliver(refunded(order, { returnId, amountMinor: 2000 }));
    expect(await seen(order)).toMatchObject({ status: "SETTLED", refunded: { amountMinor: 2000 } });
    await service.deliver(completed(child));
    expect(await about(exchangeSettled, order)).toEqual([]);
  });

  test("whose replacement is cancelled after the inspection ends with the refund on the replacement's key", async () => {
    const { order, returnId, exchangeId, number, child, inspect } = await agreed();
    await service.deliver(placed({ ...child, totalMinor: 2000 }));
    await call(service, staff, "receiveReturn", { number });
    await inspect("RESTOCK");
    await service.deliver(cancelled(child, false));
    expect(await seen(order)).toMatchObject({ exchange: { status: "REPLACING" } });
    await service.deliver(cancelled(child, true), refunded(child, { returnId, exchangeId, amountMinor: 2000 }));
    expect(await seen(order)).toMatchObject({ status: "SETTLED", exchange: { status: "FAILED", failure: "SHOPPER" } });
    expect(await about(returnSettled, order)).toHaveLength(1);
  });

  test("is called off when nothing is accepted, or when the goods never came", async () => {
    const refused = await agreed();
    await service.deliver(placed({ ...refused.child, totalMinor: 2000 }));
    await call(service, staff, "receiveReturn", { number: refused.number });
    expect(await refused.inspect("REFUSED")).toMatchObject({
      return: { status: "SETTLED", exchange: { status: "FAILED" } },
    });
    expect(await about(replacementWithdrawn, refused.order)).toMatchObject([{ data: { reason: "NOTHING_ACCEPTED" } }]);

    const missing = await agreed();
    await call(service, staff, "rejectReturn", { number: missing.number, reason: "NOT_RECEIVED" });
    expect(await about(replacementWithdrawn, missing.order)).toMatchObject([{ sequence: 2 }]);
    await service.deliver(cancelled(missing.child, true));
    expect(await seen(missing.order)).toMatchObject({ status: "REJECTED", exchange: { status: "REJECTED" } });
  });

  test("that is not agreed to orders nothing", async () => {
    const order = newOrder();
    await service.deliver(confirmed(order), delivered(order));
    const owner = await service.signToken({ sub: order.customerId });
    const { exchange } = await call(service, owner, "requestExchange", demand(order));
    await call(service, staff, "rejectReturn", { number: exchange.return.number, reason: "OTHER" });
    expect(await about(replacementRequested, order)).toEqual([]);
    expect(await about(replacementWithdrawn, order)).toEqual([]);
  });

  test.each([
    ["no replacement", { replacements: [] }, { field: "replacements" }],
    ["a malformed article", { replacements: [{ skuId: "x", quantity: 1 }] }, { field: "replacements[0].skuId" }],
    ["none of it", { replacements: [{ skuId: randomUUID(), quantity: 0 }] }, { field: "replacements[0].quantity" }],
    [
      "a line that stays",
      { replacements: [{ skuId: randomUUID(), quantity: 1, replacesLineId: randomUUID() }] },
      { field: "replacements[0].replacesLineId" },
    ],
    ["an empty token", { paymentToken: "" }, { field: "paymentToken" }],
    ["an unknown order", { orderNumber: "NOSUCH" }, { __typename: "NotFound" }],
  ])("cannot be requested with %s", async (_, change, expected) => {
    const order = newOrder();
    await service.deliver(confirmed(order), delivered(order));
    const owner = await service.signToken({ sub: order.customerId });
    expect(await call(service, owner, "requestExchange", demand(order, change))).toMatchObject(expected);
    expect((await orderSeenBy(service, owner, order)).entity).toMatchObject({ returns: [], exchanges: [] });
  });
});

test("returns are approved by themselves where the shop says so, and name no actor", async () => {
  const trusting = await testService(exchanges, { env: { RETURN_AUTO_APPROVE: "true" } });
  try {
    const order = newOrder();
    await trusting.deliver(confirmed(order), delivered(order));
    const owner = await trusting.signToken({ sub: order.customerId });
    const { exchange } = await call(trusting, owner, "requestExchange", demand(order));
    expect(exchange).toMatchObject({ status: "REPLACING", return: { status: "APPROVED" } });
    const [approved] = await trusting.emitted(returnApproved);
    expect(approved!.data).not.toHaveProperty("actor");
    expect(await trusting.emitted(replacementRequested)).toHaveLength(1);
  } finally {
    await trusting.stop();
  }
});
