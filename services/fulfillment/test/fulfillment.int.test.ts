import { randomUUID } from "node:crypto";
import type { EventContract } from "@crowdcrunch/events/contract";
import { customerErased } from "@crowdcrunch/events/customers";
import { returnApproved } from "@crowdcrunch/events/exchanges";
import {
  cancellationRefused,
  shipmentCancelled,
  shipmentCreated,
  shipmentDelivered,
  shipmentDispatched,
  shipmentLost,
} from "@crowdcrunch/events/fulfillment";
import { cancellationRequested, orderReassigned } from "@crowdcrunch/events/orders";
import { until } from "@crowdcrunch/kit/testing/service";
import type { GraphAnswer, TestService } from "@crowdcrunch/kit/testing/service";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { act, confirmed, newOrder, openFulfillment, sent } from "./world.ts";
import type { TestOrder } from "./world.ts";

let service: TestService;
let staff: string;
const staffId = randomUUID();

beforeAll(async () => {
  ({ service } = await openFulfillment());
  staff = await service.signToken({ sub: staffId, roles: ["STAFF"] });
});
afterAll(() => service?.stop());

async function parcelOf(order: TestOrder) {
  const { entity } = await sent(service, order, staff);
  return entity.shipments[0] as { id: string; trackingCode: string };
}

function cancellation(order: TestOrder, lines: { lineId: string; quantity: number }[], sequence = 4) {
  const { orderId, customerId } = order;
  const data = { orderId, customerId, version: sequence, cancellationId: randomUUID(), lines };
  return cancellationRequested.create(data, { sequence });
}

async function emittedFor<Contract extends EventContract>(contract: Contract, order: TestOrder) {
  return (await service.emitted(contract)).filter(({ key }) => key === order.orderId);
}

describe("a confirmed order", () => {
  test("becomes one parcel, and one only when it is told ten times over", async () => {
    const orders = Array.from({ length: 20 }, newOrder);
    const records = await service.deliver(...orders.map((order) => confirmed(order)));
    for (let time = 0; time < 10; time++) await service.deliver(...(records as never[]));
    for (const order of orders) {
      const { entity } = await sent(service, order, staff);
      expect(entity.shipments).toHaveLength(1);
      expect(entity.shipments[0]).toMatchObject({
        status: "TO_PACK",
        shipTo: { name: "Ada Byron" },
        order: { id: order.orderId },
      });
      expect(entity.shipments[0].lines.map((line: { quantity: number }) => line.quantity).sort()).toEqual([2, 5]);
      const [created, ...more] = await emittedFor(shipmentCreated, order);
      expect(more).toEqual([]);
      expect(created).toMatchObject({ sequence: 1, data: { trackingCode: entity.shipments[0].trackingCode } });
    }
  });

  test("is repeated under another event's id without effect", async () => {
    const order = newOrder();
    await service.deliver(confirmed(order));
    await service.deliver(confirmed(order));
    expect((await sent(service, order, staff)).entity.shipments).toHaveLength(1);
    expect(await emittedFor(shipmentCreated, order)).toHaveLength(1);
  });
});

describe("staff", () => {
  test("dispatch in parts, deliver one part and lose the other; the events name who acted", async () => {
    const order = newOrder();
    await service.deliver(confirmed(order));
    const { id } = await parcelOf(order);
    const first = await act(service, staff, "dispatchShipment", {
      shipmentId: id,
      lines: [{ lineId: order.mug, quantity: 3 }],
    });
    expect(first).toMatchObject({
      __typename: "ShipmentDispatched",
      shipment: { status: "DISPATCHED", lines: [{ line: { id: order.mug }, quantity: 3 }] },
      remaining: { id },
    });
    const second = await act(service, staff, "dispatchShipment", { shipmentId: id });
    expect(second).toMatchObject({ shipment: { id, status: "DISPATCHED" }, remaining: null });
    expect(first.shipment.trackingCode).not.toBe(second.shipment.trackingCode);

    const delivered = await act(service, staff, "recordDelivery", { shipmentId: first.shipment.id });
    expect(delivered).toMatchObject({ __typename: "DeliveryRecorded", shipment: { status: "DELIVERED" } });
    const lost = await act(service, staff, "reportLost", { shipmentId: id });
    expect(lost).toMatchObject({ __typename: "LossReported", shipment: { status: "LOST" } });

    const actor = { id: staffId, role: "STAFF" };
    const dispatched = await emittedFor(shipmentDispatched, order);
    expect(dispatched.map(({ sequence, data }) => [sequence, data.actor, data.lines])).toEqual([
      [2, actor, [{ lineId: order.mug, quantity: 3 }]],
      [
        3,
        actor,
        expect.arrayContaining([
          { lineId: order.mug, quantity: 2 },
          { lineId: order.bowl, quantity: 2 },
        ]),
      ],
    ]);
    expect(await emittedFor(shipmentDelivered, order)).toMatchObject([{ sequence: 4, data: { actor } }]);
    expect(await emittedFor(shipmentLost, order)).toMatchObject([{ sequence: 5, data: { actor, shipmentId: id } }]);
  });

  test("get the same answer for the same key, and a problem for another body", async () => {
    const order = newOrder();
    await service.deliver(confirmed(order));
    const { id } = await parcelOf(order);
    const input = { idempotencyKey: randomUUID(), shipmentId: id, lines: [{ lineId: order.mug, quantity: 1 }] };
    const answers = await Promise.all(Array.from({ length: 5 }, () => act(service, staff, "dispatchShipment", input)));
    expect(new Set(answers.map(({ shipment }) => shipment.id)).size).toBe(1);
    expect(await emittedFor(shipmentDispatched, order)).toHaveLength(1);
    const other = { ...input, lines: [{ lineId: order.mug, quantity: 2 }] };
    expect(await act(service, staff, "dispatchShipment", other)).toMatchObject({ __typename: "KeyReused" });
  });

  test("are told what is not possible in a parcel's state", async () => {
    const order = newOrder();
    await service.deliver(confirmed(order));
    const { id } = await parcelOf(order);
    const early = await act(service, staff, "recordDelivery", { shipmentId: id });
    expect(early).toMatchObject({ __typename: "NotPossible", state: "TO_PACK" });
    await act(service, staff, "dispatchShipment", { shipmentId: id });
    await act(service, staff, "recordDelivery", { shipmentId: id });
    for (const mutation of ["dispatchShipment", "recordDelivery", "reportLost"] as const) {
      const late = await act(service, staff, mutation, { shipmentId: id });
      expect(late).toMatchObject({ __typename: "NotPossible", state: "DELIVERED" });
    }
  });

  test.each([
    ["a malformed id", { shipmentId: "7" }, { __typename: "InvalidInput", field: "shipmentId" }],
    ["an unknown id", { shipmentId: randomUUID() }, { __typename: "NotFound" }],
    ["no unit", { lines: [] }, { __typename: "InvalidInput", field: "lines" }],
    ["a foreign line", { lines: [{ lineId: randomUUID(), quantity: 1 }] }, { field: "lines[0].lineId" }],
    ["a malformed line", { lines: [{ lineId: "x", quantity: 1 }] }, { field: "lines[0].lineId" }],
    ["nothing of a line", { mugs: 0 }, { field: "lines[0].quantity" }],
    ["a negative quantity", { mugs: -1 }, { field: "lines[0].quantity" }],
    ["more than there is", { mugs: 6 }, { field: "lines[0].quantity" }],
    ["a key that is none", { idempotencyKey: "once" }, { field: "idempotencyKey" }],
  ])(
    "cannot dispatch with %s, and nothing is done",
    async (_, { mugs, ...input }: Record<string, unknown>, expected) => {
      const order = newOrder();
      await service.deliver(confirmed(order));
      const { id } = await parcelOf(order);
      const lines = mugs === undefined ? {} : { lines: [{ lineId: order.mug, quantity: mugs }] };
      expect(await act(service, staff, "dispatchShipment", { shipmentId: id, ...lines, ...input })).toMatchObject(
        expected,
      );
      expect(await emittedFor(shipmentDispatched, order)).toEqual([]);
    },
  );

  test("see the parcels to pack, page by page, oldest first", async () => {
    const orders = [newOrder(), newOrder(), newOrder()];
    await service.deliver(...orders.map((order) => confirmed(order)));
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const { data }: GraphAnswer = await service.graph(
        `query ($after: String) { shipments(status: TO_PACK, first: 7, after: $after) {
           nodes { id status order { id } } pageInfo { hasNextPage endCursor } } }`,
        { after },
        { token: staff },
      );
      expect(data.shipments.nodes.every(({ status }: { status: string }) => status === "TO_PACK")).toBe(true);
      seen.push(...data.shipments.nodes.map((node: { order: { id: string } }) => node.order.id));
      after = data.shipments.pageInfo.hasNextPage ? data.shipments.pageInfo.endCursor : null;
    } while (after !== null);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toEqual(expect.arrayContaining(orders.map(({ orderId }) => orderId)));
    const tooMany = await service.graph("{ shipments(first: 101) { nodes { id } } }", {}, { token: staff });
    expect(tooMany.errors?.[0]?.extensions.code).toBe("BAD_USER_INPUT");
  });
});

describe("a cancellation", () => {
  test("stops what is to pack and refuses what has left, unit by unit", async () => {
    const order = newOrder();
    await service.deliver(confirmed(order));
    const { id } = await parcelOf(order);
    await act(service, staff, "dispatchShipment", { shipmentId: id, lines: [{ lineId: order.mug, quantity: 2 }] });
    const [request] = await service.deliver(
      cancellation(order, [
        { lineId: order.mug, quantity: 5 },
        { lineId: order.bowl, quantity: 2 },
      ]),
    );
    const { cancellationId } = request!.data as { cancellationId: string };
    expect((await emittedFor(shipmentCancelled, order)).map(({ data }) => data)).toMatchObject([
      {
        cancellationId,
        lines: [
          { lineId: order.mug, quantity: 3 },
          { lineId: order.bowl, quantity: 2 },
        ],
      },
    ]);
    expect((await emittedFor(cancellationRefused, order)).map(({ data }) => data)).toMatchObject([
      { cancellationId, reason: "DISPATCHED", lines: [{ lineId: order.mug, quantity: 2 }] },
    ]);
    const { entity } = await sent(service, order, staff);
    expect(entity.shipments.map(({ status }: { status: string }) => status).sort()).toEqual([
      "CANCELLED",
      "DISPATCHED",
    ]);
  });

  test("that comes before its order waits for it", async () => {
    const order = newOrder();
    await service.deliver(cancellation(order, [{ lineId: order.mug, quantity: 5 }]));
    await service.deliver(confirmed(order));
    await until(async () => (await emittedFor(shipmentCancelled, order)).length === 1, "the cancellation");
    expect((await emittedFor(shipmentCancelled, order))[0]).toMatchObject({ sequence: 2 });
  });

  test("racing dispatch: each parcel either leaves or is stopped, never both", async () => {
    const orders = Array.from({ length: 25 }, newOrder);
    await service.deliver(...orders.map((order) => confirmed(order)));
    const parcels = await Promise.all(orders.map(parcelOf));
    const whole = (order: TestOrder) => [
      { lineId: order.mug, quantity: 5 },
      { lineId: order.bowl, quantity: 2 },
    ];
    const [answers] = await Promise.all([
      Promise.all(parcels.map(({ id }) => act(service, staff, "dispatchShipment", { shipmentId: id }))),
      service.deliver(...orders.map((order) => cancellation(order, whole(order)))),
    ]);
    for (const [index, order] of orders.entries()) {
      const left = await emittedFor(shipmentDispatched, order);
      const stopped = await emittedFor(shipmentCancelled, order);
      const refused = await emittedFor(cancellationRefused, order);
      const isGone = answers[index].__typename === "ShipmentDispatched";
      if (!isGone) expect(answers[index]).toMatchObject({ __typename: "NotPossible", state: "CANCELLED" });
      expect([left.length, stopped.length, refused.length]).toEqual(isGone ? [1, 0, 1] : [0, 1, 0]);
    }
  });
});

describe("who may", () => {
  test("the owner sees the parcel, by id and by tracking code; nobody else does", async () => {
    const order = newOrder();
    await service.deliver(confirmed(order));
    const { id, trackingCode } = await parcelOf(order);
    const shown = async (token: string | undefined) => {
      const { data, errors } = await service.graph(
        `query ($id: ID, $code: String) { byId: shipment(id: $id) { id } byCode: shipment(trackingCode: $code) { id } }`,
        { id, code: trackingCode.toLowerCase() },
        { token },
      );
      return { byId: data?.byId?.id, byCode: data?.byCode?.id, code: errors?.[0]?.extensions.code };
    };
    const { customerId: sub, orderId } = order;
    const all = { byId: id, byCode: id, code: undefined };
    expect(await shown(await service.signToken({ sub }))).toEqual(all);
    expect(await shown(await service.signToken({ sub, roles: ["GUEST"] }))).toEqual(all);
    expect(await shown(await service.signToken({ sub, roles: ["GUEST"], order: orderId }))).toEqual(all);
    expect(await shown(staff)).toEqual(all);
    const none = { byId: undefined, byCode: undefined };
    expect(await shown(await service.signToken())).toEqual({ ...none, code: undefined });
    expect(await shown(await service.signToken({ sub, roles: ["GUEST"], order: randomUUID() }))).toMatchObject(none);
    expect(await shown(undefined)).toMatchObject({ ...none, code: "UNAUTHENTICATED" });
    expect(await shown(await service.signToken({ sub, expiresInSeconds: -60 }))).toMatchObject(none);
    expect((await sent(service, order, await service.signToken())).entity).toBeNull();
    expect((await sent(service, order, undefined)).errors?.[0]?.extensions.code).toBe("UNAUTHENTICATED");
  });

  test("neither an id nor a code, or both, is bad input", async () => {
    for (const args of ["", `(id: "${randomUUID()}", trackingCode: "CC")`]) {
      const { errors } = await service.graph(`{ shipment${args} { id } }`, {}, { token: staff });
      expect(errors?.[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field: "id" });
    }
  });

  test("the owner is no staff", async () => {
    const order = newOrder();
    await service.deliver(confirmed(order));
    const { id } = await parcelOf(order);
    const owner = await service.signToken({ sub: order.customerId });
    for (const mutation of ["dispatchShipment", "recordDelivery", "reportLost"] as const) {
      expect(await act(service, owner, mutation, { shipmentId: id })).toEqual({ errors: ["FORBIDDEN"] });
      expect(await act(service, undefined, mutation, { shipmentId: id })).toEqual({ errors: ["UNAUTHENTICATED"] });
    }
    const list = await service.graph("{ shipments { nodes { id } } }", {}, { token: owner });
    expect(list.errors?.[0]?.extensions.code).toBe("FORBIDDEN");
  });

  test("a reassigned order belongs to the account", async () => {
    const order = newOrder();
    const customerId = randomUUID();
    await service.deliver(
      confirmed(order),
      orderReassigned.create(
        { orderId: order.orderId, customerId, previousCustomerId: order.customerId, version: 4 },
        { sequence: 4 },
      ),
    );
    expect((await sent(service, order, await service.signToken({ sub: order.customerId }))).entity).toBeNull();
    const account = await service.signToken({ sub: customerId });
    expect((await sent(service, order, account)).entity.shipments).toHaveLength(1);
  });
});

describe("an approved return", () => {
  test("has one label, which its owner sees", async () => {
    const order = newOrder();
    const returnId = randomUUID();
    const { orderId, customerId } = order;
    const line = { lineId: order.mug, skuId: randomUUID(), quantity: 1 };
    const approved = returnApproved.create(
      { orderId, customerId, version: 2, returnId, number: "R-1", lines: [line] },
      { sequence: 2 },
    );
    await service.deliver(confirmed(order));
    const [record] = await service.deliver(approved);
    await service.deliver(record as never, approved);
    const label = async (token: string) => {
      const { data } = await service.graph(
        `query ($of: [_Any!]!) { _entities(representations: $of) { ... on Return { label { code } } } }`,
        { of: [{ __typename: "Return", id: returnId }] },
        { token },
      );
      return data._entities[0]?.label.code;
    };
    const code = await label(await service.signToken({ sub: customerId }));
    expect(code).toMatch(/^INCC[0-9A-Z]{14}$/);
    expect(await label(staff)).toBe(code);
    expect(await label(await service.signToken())).toBeUndefined();
  });
});

describe("a person who asked to be forgotten", () => {
  test("leaves no address behind, neither then nor with an order that arrives late", async () => {
    const early = newOrder();
    const late = { ...newOrder(), customerId: early.customerId };
    await service.deliver(confirmed(early));
    const { customerId } = early;
    await service.deliver(customerErased.create({ customerId, at: new Date().toISOString() }, { sequence: 1 }));
    await service.deliver(confirmed(late, { digital: true }));
    for (const order of [early, late]) {
      expect((await sent(service, order, staff)).entity.shipments[0]).toMatchObject({ shipTo: null });
    }
    const { id } = await parcelOf(early);
    expect(await act(service, staff, "dispatchShipment", { shipmentId: id })).toMatchObject({
      __typename: "NotPossible",
      state: "ADDRESS_ERASED",
    });
    const { data } = await service.graph("{ fulfillmentIncidents { nodes { kind subject } } }", {}, { token: staff });
    expect(data.fulfillmentIncidents.nodes).toContainEqual({ kind: "ADDRESS_ERASED", subject: id });
    const { rows } = await service.admin.query(
      "SELECT ship_to, email FROM shipments JOIN digital_deliveries USING (order_id) WHERE order_id = $1",
      [late.orderId],
    );
    expect(rows).toEqual([{ ship_to: null, email: null }]);
  });
});
