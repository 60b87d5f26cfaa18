import { randomUUID } from "node:crypto";
import type { EventContract } from "@crowdcrunch/events/contract";
import { customerErased } from "@crowdcrunch/events/customers";
import {
  returnApproved,
  returnInspected,
  returnReceived,
  returnRejected,
  returnRequested,
  returnSettled,
} from "@crowdcrunch/events/exchanges";
import { orderReassigned, orderRefundFailed } from "@crowdcrunch/events/orders";
import { testService } from "@crowdcrunch/kit/testing/service";
import type { TestService } from "@crowdcrunch/kit/testing/service";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exchanges } from "../src/service.ts";
import { call, confirmed, delivered, newOrder, orderSeenBy, refunded, returnFields } from "./world.ts";
import type { TestOrder } from "./world.ts";

let service: TestService;
let staff: string;
const staffId = randomUUID();

beforeAll(async () => {
  service = await testService(exchanges);
  staff = await service.signToken({ sub: staffId, roles: ["STAFF"] });
});
afterAll(() => service?.stop());

/** An order whose goods have arrived, and its owner's token. */
async function arrived(options: Parameters<typeof delivered>[1] = {}): Promise<{ order: TestOrder; owner: string }> {
  const order = newOrder();
  await service.deliver(confirmed(order), delivered(order, options));
  return { order, owner: await service.signToken({ sub: order.customerId }) };
}

function mugs(order: TestOrder, quantity: number, more: Record<string, unknown> = {}) {
  return { orderNumber: order.number, lines: [{ lineId: order.mug, quantity }], reason: "CHANGED_MIND", ...more };
}

async function about<Contract extends EventContract>(contract: Contract, order: TestOrder) {
  return (await service.emitted(contract)).filter(({ key }) => key === order.orderId);
}

async function returnableOf(order: TestOrder): Promise<Record<string, number>> {
  const { entity } = await orderSeenBy(service, staff, order);
  const lines = entity.returnable as { line: { id: string }; quantity: number }[];
  return Object.fromEntries(lines.map(({ line, quantity }) => [line.id, quantity]));
}

/** Requests, approves and receives mugs. */
async function receivedMugs(
  order: TestOrder,
  owner: string,
  quantity: number,
): Promise<{ id: string; number: string }> {
  const { return: opened } = await call(service, owner, "requestReturn", mugs(order, quantity));
  const { number } = opened;
  await call(service, staff, "approveReturn", { number });
  await call(service, staff, "receiveReturn", { number });
  return opened;
}

describe("a return", () => {
  test("goes from the request to the refund; the events name who acted", async () => {
    const { order, owner } = await arrived();
    const lines = [
      { lineId: order.mug, quantity: 3 },
      { lineId: order.bowl, quantity: 1 },
    ];
    const opened = await call(service, owner, "requestReturn", mugs(order, 1, { lines, comment: "Too blue." }));
    expect(opened).toMatchObject({
      __typename: "ReturnRequested",
      return: {
        status: "REQUESTED",
        number: expect.stringMatching(/^R-[0-9A-HJKMNP-TV-Z]{10}$/),
        comment: "Too blue.",
      },
    });
    const { id: returnId, number } = opened.return;
    expect(await returnableOf(order)).toEqual({ [order.mug]: 2, [order.bowl]: 1 });

    const approved = await call(service, staff, "approveReturn", { number: number.toLowerCase() });
    expect(approved).toMatchObject({ __typename: "ReturnApproved", return: { status: "APPROVED" } });
    // One of the mugs was not in the parcel.
    const came = [
      { lineId: order.mug, quantity: 2 },
      { lineId: order.bowl, quantity: 1 },
    ];
    expect(await call(service, staff, "receiveReturn", { number, lines: came })).toMatchObject({
      return: { status: "RECEIVED" },
    });
    expect(await returnableOf(order)).toEqual({ [order.mug]: 3, [order.bowl]: 1 });
    const findings = [
      { lineId: order.mug, quantity: 1, disposition: "RESTOCK" },
      { lineId: order.mug, quantity: 1, disposition: "REFUSED" },
      { lineId: order.bowl, quantity: 1, disposition: "WRITE_OFF" },
    ];
    const inspected = await call(service, staff, "inspectReturn", { number, lines: findings });
    // A fifth of 50.00 and half of 9.99.
    expect(inspected.return).toMatchObject({ status: "SETTLING", credit: { amountMinor: 1499 } });
    const quantities = inspected.return.lines.map((line: Record<string, unknown>) => {
      return [line["quantity"], line["receivedQuantity"], line["acceptedQuantity"], line["refusedQuantity"]];
    });
    expect(quantities.sort()).toEqual([
      [1, 1, 1, 0],
      [3, 2, 1, 1],
    ]);
    expect(await returnableOf(order)).toEqual({ [order.mug]: 4, [order.bowl]: 1 });

    await service.deliver(refunded(order, { returnId, amountMinor: 1499 }));
    const { entity } = await orderSeenBy(service, owner, order);
    expect(entity.returns).toMatchObject([{ status: "SETTLED", refunded: { amountMinor: 1499, currency: "GBP" } }]);

    const actor = { id: staffId, role: "STAFF" };
    const shopper = { id: order.customerId, role: "SHOPPER" };
    const told = [
      ...(await about(returnRequested, order)),
      ...(await about(returnApproved, order)),
      ...(await about(returnReceived, order)),
      ...(await about(returnInspected, order)),
      ...(await about(returnSettled, order)),
    ];
    expect(told.map(({ subject, sequence }) => [subject, sequence])).toEqual(
      [1, 2, 3, 4, 5].map((sequence) => [returnId, sequence]),
    );
    expect(told.map(({ data }) => ("actor" in data ? data.actor : undefined))).toEqual([
      shopper,
      actor,
      actor,
      actor,
      undefined,
    ]);
    expect(told[3]!.data).toMatchObject({ lines: findings });
    expect(told[3]!.data).not.toHaveProperty("exchangeId");
    expect(told[4]!.data).toMatchObject({ refundedMinor: 1499, currency: "GBP" });
  });

  test("of which every unit is refused ends at once, without money, and may be tried again", async () => {
    const { order, owner } = await arrived();
    const { number } = await receivedMugs(order, owner, 2);
    const lines = [{ lineId: order.mug, quantity: 2, disposition: "REFUSED" }];
    expect(await call(service, staff, "inspectReturn", { number, lines })).toMatchObject({
      return: { status: "SETTLED", refunded: { amountMinor: 0 }, credit: { amountMinor: 0 } },
    });
    expect(await about(returnSettled, order)).toMatchObject([{ data: { refundedMinor: 0 } }]);
    expect((await returnableOf(order))[order.mug]).toBe(5);
  });

  test("whose refund fails stays open with an incident, and settles once it went through", async () => {
    const { order, owner } = await arrived();
    const { id: returnId, number } = await receivedMugs(order, owner, 1);
    await call(service, staff, "inspectReturn", {
      number,
      lines: [{ lineId: order.mug, quantity: 1, disposition: "RESTOCK" }],
    });
    const { orderId, customerId } = order;
    const refund = { refundId: randomUUID(), returnId, amountMinor: 1000, currency: "GBP", code: "ACCOUNT_CLOSED" };
    await service.deliver(orderRefundFailed.create({ orderId, customerId, version: 8, ...refund }, { sequence: 8 }));
    expect((await orderSeenBy(service, owner, order)).entity.returns[0].status).toBe("SETTLING");
    const { data } = await service.graph("{ exchangesIncidents { nodes { kind subject } } }", {}, { token: staff });
    expect(data.exchangesIncidents.nodes).toContainEqual({ kind: "RETURN_REFUND_FAILED", subject: returnId });
    await service.deliver(refunded(order, { returnId, amountMinor: 1000 }));
    expect((await orderSeenBy(service, owner, order)).entity.returns[0].status).toBe("SETTLED");
  });

  test("that is rejected frees its units", async () => {
    const { order, owner } = await arrived();
    const { return: opened } = await call(service, owner, "requestReturn", mugs(order, 5));
    const { number } = opened;
    expect((await returnableOf(order))[order.mug]).toBe(0);
    const rejected = await call(service, staff, "rejectReturn", { number, reason: "NOT_RETURNABLE" });
    expect(rejected).toMatchObject({ __typename: "ReturnRejected", return: { status: "REJECTED" } });
    expect((await returnableOf(order))[order.mug]).toBe(5);
    expect(await about(returnRejected, order)).toMatchObject([{ data: { reason: "NOT_RETURNABLE" } }]);
    for (const mutation of ["approveReturn", "receiveReturn"] as const) {
      expect(await call(service, staff, mutation, { number })).toMatchObject({
        __typename: "NotPossible",
        state: "REJECTED",
      });
    }
  });

  test("is settled once, though everything is told ten times over", async () => {
    const order = newOrder();
    const owner = await service.signToken({ sub: order.customerId });
    const known = await service.deliver(confirmed(order), delivered(order));
    for (let time = 0; time < 10; time++) await service.deliver(...(known as never[]));
    expect(await returnableOf(order)).toEqual({ [order.mug]: 5, [order.bowl]: 2 });
    const { id: returnId, number } = await receivedMugs(order, owner, 1);
    await call(service, staff, "inspectReturn", {
      number,
      lines: [{ lineId: order.mug, quantity: 1, disposition: "RESTOCK" }],
    });
    const [refund] = await service.deliver(refunded(order, { returnId, amountMinor: 1000 }));
    for (let time = 0; time < 10; time++) await service.deliver(refund as never);
    expect(await about(returnSettled, order)).toHaveLength(1);
    const { entity } = await orderSeenBy(service, owner, order);
    expect(entity.returns[0].refunded.amountMinor).toBe(1000);
  });
});

describe("what may be requested", () => {
  test("what has arrived, within the window; staff also later", async () => {
    const { order, owner } = await arrived({ mugs: 2, bowls: 0 });
    expect(await returnableOf(order)).toEqual({ [order.mug]: 2 });
    expect(await call(service, owner, "requestReturn", mugs(order, 3))).toMatchObject({ __typename: "NotReturnable" });
    const late = await arrived({ daysAgo: 31 });
    expect((await returnableOf(late.order))[late.order.mug]).toBe(0);
    expect(await call(service, late.owner, "requestReturn", mugs(late.order, 1))).toMatchObject({
      __typename: "NotReturnable",
    });
    expect(await call(service, staff, "requestReturn", mugs(late.order, 1))).toMatchObject({
      __typename: "ReturnRequested",
    });
  });

  test("no unit twice, however many ask for it at once", async () => {
    const { order, owner } = await arrived();
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => call(service, owner, "requestReturn", mugs(order, 2))),
    );
    const names = answers.map(({ __typename }) => __typename);
    expect(names.filter((name) => name === "ReturnRequested")).toHaveLength(2);
    expect(names.filter((name) => name === "NotReturnable")).toHaveLength(10);
    expect(await about(returnRequested, order)).toHaveLength(2);
  });

  test("once for a key; another body is refused", async () => {
    const { order, owner } = await arrived();
    const input = { ...mugs(order, 1), idempotencyKey: randomUUID() };
    const answers = await Promise.all(Array.from({ length: 5 }, () => call(service, owner, "requestReturn", input)));
    expect(new Set(answers.map((answer) => answer.return.id)).size).toBe(1);
    const other = { ...mugs(order, 2), idempotencyKey: input.idempotencyKey };
    expect(await call(service, owner, "requestReturn", other)).toMatchObject({ __typename: "KeyReused" });
  });

  test("once for an external reference of an order, by staff alone", async () => {
    const { order, owner } = await arrived();
    const other = await arrived();
    const externalReference = `C${randomUUID().slice(0, 6)}`;
    const lines = [
      { lineId: order.mug, quantity: 2 },
      { lineId: order.bowl, quantity: 1 },
    ];
    const input = { ...mugs(order, 1), lines, externalReference };
    expect(await call(service, owner, "requestReturn", input)).toMatchObject({ field: "externalReference" });
    const answers = await Promise.all(Array.from({ length: 4 }, () => call(service, staff, "requestReturn", input)));
    expect(new Set(answers.map((answer) => answer.return.id)).size).toBe(1);
    const differing = { ...input, lines: [lines[0]] };
    expect(await call(service, staff, "requestReturn", differing)).toMatchObject({ field: "externalReference" });
    await call(service, staff, "requestReturn", mugs(other.order, 1, { externalReference }));
    const { data } = await service.graph(
      "query ($reference: String) { returns(externalReference: $reference) { nodes { order { id } } } }",
      { reference: externalReference },
      { token: staff },
    );
    expect(data.returns.nodes).toEqual([{ order: { id: order.orderId } }, { order: { id: other.order.orderId } }]);
  });

  test.each([
    ["no line", { lines: [] }, { field: "lines" }],
    ["a foreign line", { lineId: randomUUID() }, { field: "lines[0].lineId" }],
    ["a malformed line", { lineId: "mug" }, { field: "lines[0].lineId" }],
    ["a download", { lineId: "atlas" }, { field: "lines[0].lineId" }],
    ["nothing", { quantity: 0 }, { field: "lines[0].quantity" }],
    ["a negative quantity", { quantity: -1 }, { field: "lines[0].quantity" }],
    ["a huge quantity", { quantity: 2_147_483_647 }, { field: "lines[0].quantity" }],
    ["a fraction", { quantity: 1.5 }, { errors: ["BAD_USER_INPUT"] }],
    ["an unknown order", { orderNumber: "NOSUCH" }, { __typename: "NotFound" }],
    ["an unknown reason", { reason: "BORED" }, { errors: ["BAD_USER_INPUT"] }],
    ["an endless comment", { comment: "x".repeat(2_001) }, { field: "comment" }],
    ["a key that is none", { idempotencyKey: "1" }, { field: "idempotencyKey" }],
  ])("not %s", async (_, change: Record<string, unknown>, expected) => {
    const { order, owner } = await arrived();
    const { lineId, quantity = 1, ...rest } = change;
    const line = { lineId: lineId === "atlas" ? order.atlas : (lineId ?? order.mug), quantity };
    const answer = await call(service, owner, "requestReturn", { ...mugs(order, 1), lines: [line], ...rest });
    expect(answer).toMatchObject(expected);
    expect(await about(returnRequested, order)).toEqual([]);
  });
});

describe("an inspection", () => {
  test.each([
    ["fewer units than came", [{ quantity: 1, disposition: "RESTOCK" }]],
    ["more units than came", [{ quantity: 3, disposition: "RESTOCK" }]],
    ["a disposition twice", [1, 1].map((quantity) => ({ quantity, disposition: "RESTOCK" }))],
    ["nothing", []],
    ["negative units", [3, -1].map((quantity, index) => ({ quantity, disposition: ["RESTOCK", "REFUSED"][index] }))],
  ])("of %s is refused, and nothing is done", async (_, findings) => {
    const { order, owner } = await arrived();
    const { number } = await receivedMugs(order, owner, 2);
    const lines = findings.map((finding) => ({ lineId: order.mug, ...finding }));
    expect(await call(service, staff, "inspectReturn", { number, lines })).toMatchObject({
      __typename: "InvalidInput",
    });
    expect(await about(returnInspected, order)).toEqual([]);
  });

  test("twice at once is made once", async () => {
    const { order, owner } = await arrived();
    const { number } = await receivedMugs(order, owner, 2);
    const lines = [{ lineId: order.mug, quantity: 2, disposition: "RESTOCK" }];
    const answers = await Promise.all([1, 2, 3].map(() => call(service, staff, "inspectReturn", { number, lines })));
    expect(answers.map(({ __typename }) => __typename).sort()).toEqual([
      "NotPossible",
      "NotPossible",
      "ReturnInspected",
    ]);
    expect(await about(returnInspected, order)).toHaveLength(1);
  });
});

describe("who may", () => {
  test("the owner asks and sees; nobody else does", async () => {
    const { order, owner } = await arrived();
    const stranger = await service.signToken();
    const guestOfOther = await service.signToken({ sub: order.customerId, roles: ["GUEST"], order: randomUUID() });
    expect(await call(service, stranger, "requestReturn", mugs(order, 1))).toMatchObject({ __typename: "NotFound" });
    expect(await call(service, guestOfOther, "requestReturn", mugs(order, 1))).toMatchObject({
      __typename: "Forbidden",
    });
    expect(await call(service, undefined, "requestReturn", mugs(order, 1))).toEqual({ errors: ["UNAUTHENTICATED"] });
    expect(await about(returnRequested, order)).toEqual([]);

    const guest = await service.signToken({ sub: order.customerId, roles: ["GUEST"], order: order.orderId });
    const { return: opened } = await call(service, guest, "requestReturn", mugs(order, 1));
    const seen = async (token: string | undefined) => {
      const { data } = await service.graph(
        `query ($id: ID, $number: String) { byId: return(id: $id) { id } byNumber: return(number: $number) { ${returnFields} } }`,
        { id: opened.id, number: opened.number },
        { token },
      );
      return [data?.byId?.id, data?.byNumber?.id];
    };
    for (const token of [owner, guest, staff]) expect(await seen(token)).toEqual([opened.id, opened.id]);
    const expired = await service.signToken({ sub: order.customerId, expiresInSeconds: -60 });
    for (const token of [stranger, guestOfOther, expired, undefined]) {
      expect(await seen(token)).toEqual([undefined, undefined]);
    }
    expect((await orderSeenBy(service, stranger, order)).entity).toBeNull();
    expect((await orderSeenBy(service, undefined, order)).errors?.[0]?.extensions.code).toBe("UNAUTHENTICATED");
  });

  test("staff alone decide", async () => {
    const { order, owner } = await arrived();
    const { return: opened } = await call(service, owner, "requestReturn", mugs(order, 1));
    const { number } = opened;
    const inputs = {
      approveReturn: { number },
      rejectReturn: { number, reason: "OTHER" },
      receiveReturn: { number },
      inspectReturn: { number, lines: [] },
    };
    for (const [mutation, input] of Object.entries(inputs) as [keyof typeof inputs, object][]) {
      expect(await call(service, owner, mutation, { ...input })).toEqual({ errors: ["FORBIDDEN"] });
      expect(await call(service, undefined, mutation, { ...input })).toEqual({ errors: ["UNAUTHENTICATED"] });
      expect(await call(service, staff, mutation, { ...input, number: "R-0000000000" })).toMatchObject({
        __typename: "NotFound",
      });
    }
    const list = await service.graph("{ returns { nodes { id } } }", {}, { token: owner });
    expect(list.errors?.[0]?.extensions.code).toBe("FORBIDDEN");
  });

  test("a reassigned order belongs to the account, with its returns", async () => {
    const { order, owner } = await arrived();
    await call(service, owner, "requestReturn", mugs(order, 1));
    const customerId = randomUUID();
    const { orderId, customerId: previousCustomerId } = order;
    await service.deliver(
      orderReassigned.create({ orderId, customerId, previousCustomerId, version: 7 }, { sequence: 7 }),
    );
    expect((await orderSeenBy(service, owner, order)).entity).toBeNull();
    const account = await service.signToken({ sub: customerId });
    expect((await orderSeenBy(service, account, order)).entity.returns).toHaveLength(1);
    expect(await call(service, account, "requestReturn", mugs(order, 1))).toMatchObject({
      __typename: "ReturnRequested",
    });
  });

  test("a person who asked to be forgotten leaves no words behind", async () => {
    const { order, owner } = await arrived();
    await call(service, owner, "requestReturn", mugs(order, 1, { comment: "I moved to 7 High Street." }));
    const { customerId } = order;
    await service.deliver(customerErased.create({ customerId, at: new Date().toISOString() }, { sequence: 1 }));
    await call(service, staff, "requestReturn", mugs(order, 1, { comment: "Ada called." }));
    const { rows } = await service.admin.query("SELECT comment FROM returns WHERE order_id = $1", [order.orderId]);
    expect(rows).toEqual([{ comment: null }, { comment: null }]);
  });
});

describe("the work list", () => {
  test("shows the returns of a status, page by page, oldest first", async () => {
    const orders = await Promise.all([arrived(), arrived(), arrived()]);
    const ids: string[] = [];
    for (const { order, owner } of orders)
      ids.push((await call(service, owner, "requestReturn", mugs(order, 1))).return.id);
    const seen: string[] = [];
    for (let after: string | null = null, more = true; more;) {
      const { data } = await service.graph(
        `query ($after: String) { returns(status: REQUESTED, first: 2, after: $after) {
           nodes { id status } pageInfo { hasNextPage endCursor } } }`,
        { after },
        { token: staff },
      );
      seen.push(...data.returns.nodes.map(({ id }: { id: string }) => id));
      after = data.returns.pageInfo.endCursor as string;
      more = data.returns.pageInfo.hasNextPage as boolean;
    }
    expect(seen).toEqual([...seen].sort());
    expect(seen.filter((id) => ids.includes(id))).toEqual(ids);
    for (const args of ["first: 0", "first: 101", 'after: "x"']) {
      const { errors } = await service.graph(`{ returns(${args}) { nodes { id } } }`, {}, { token: staff });
      expect(errors?.[0]?.extensions.code).toBe("BAD_USER_INPUT");
    }
  });
});
