import { customerErased } from "@crowdcrunch/events/customers";
import { returnInspected } from "@crowdcrunch/events/exchanges";
import { cancellationRefused, shipmentCancelled } from "@crowdcrunch/events/fulfillment";
import { stockReleased } from "@crowdcrunch/events/inventory";
import {
  cancellationRequested,
  orderCancelled,
  orderCompleted,
  orderConfirmed,
  orderPlaced,
  orderProgressed,
  orderReassigned,
  orderRefunded,
  orderShipped,
  paymentRequested,
  refundRequested,
} from "@crowdcrunch/events/orders";
import { paymentActionRequired, paymentVoided, refundSettled } from "@crowdcrunch/events/payments";
import { guestClaimed } from "@crowdcrunch/events/users";
import { recordLog } from "@crowdcrunch/kit/testing/log-lines";
import type { TestService } from "@crowdcrunch/kit/testing/service";
import { until } from "@crowdcrunch/kit/testing/service";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { address, book, look, mug, newId, openOrders, place, product, reach, replies } from "./world.ts";

const { log, lines: logged } = recordLog();
let service: TestService;
let ada: string;
let adaId: string;
let staff: string;

beforeAll(async () => {
  service = await openOrders({ PAYMENT_DEADLINE_SECONDS: "3600", EXPIRY_INTERVAL_MS: "50" }, log);
  adaId = newId();
  ada = await service.signToken({ sub: adaId, roles: ["SHOPPER"] });
  staff = await service.signToken({ sub: newId(), roles: ["STAFF"] });
});
afterAll(() => service?.stop());

async function paymentOf(orderId: string, attempt = 1) {
  const events = await service.emitted(paymentRequested);
  const event = events.find(({ data }) => data.orderId === orderId && data.attempt === attempt);
  if (!event) throw new Error("no payment was requested");
  return event.data;
}

/** An order at CONFIRMED, with the replies that others would go on with. */
async function confirmed(changes: Record<string, unknown> = {}) {
  const { order } = await place(service, ada, changes);
  const reply = replies(order, adaId);
  await service.deliver(reply.reserved());
  const payment = await paymentOf(order.id);
  await service.deliver(reply.authorized(payment.paymentId, payment.amountMinor));
  return { order, reply, payment };
}

const cancelMutation = `mutation ($input: CancelOrderInput!) { cancelOrder(input: $input) { __typename ... on CancellationAccepted { done order { status } } ... on Problem { message } } }`;
const cancel = async (number: string, token = ada) =>
  (await service.graph(cancelMutation, { input: { number, idempotencyKey: newId() } }, { token })).data?.cancelOrder;

describe("a purchase", () => {
  test("goes from PENDING to COMPLETED, and what is captured is exactly what was ordered", async () => {
    const { order, reply, payment } = await confirmed();
    expect(order.status).toBe("PENDING");
    expect(order.total.amountMinor).toBe(2 * 1250 + 395);
    expect(payment.amountMinor).toBe(2895);
    expect((await look(service, ada, order.number)).status).toBe("CONFIRMED");

    const [line] = order.lines;
    const one = [{ lineId: line.id, quantity: 1 }];
    await service.deliver(reply.dispatched(one));
    expect((await look(service, ada, order.number)).status).toBe("PARTIALLY_SHIPPED");
    await service.deliver(reply.dispatched(one), reply.delivered());
    const captures = (await service.emitted(orderShipped)).filter(({ data }) => data.orderId === order.id);
    expect(captures.map(({ data }) => data.captureMinor)).toEqual([1250 + 395, 1250]);
    expect(captures.map(({ data }) => data.completesShipping)).toEqual([false, true]);
    expect((await look(service, ada, order.number)).status).toBe("DELIVERED");
    await service.deliver(reply.captured(payment.paymentId, 1, 1645), reply.captured(payment.paymentId, 2, 1250));
    expect((await look(service, ada, order.number)).status).toBe("COMPLETED");
    expect((await service.emitted(orderCompleted)).filter(({ data }) => data.orderId === order.id)).toHaveLength(1);
  });

  test("sends digital goods without parcels and without shipping", async () => {
    const { order } = await place(service, ada, { lines: [{ skuId: book.skuId, quantity: 1 }], shipTo: null });
    const reply = replies(order, adaId);
    await service.deliver(reply.reserved());
    const payment = await paymentOf(order.id);
    expect(payment.amountMinor).toBe(899);
    await service.deliver(
      reply.authorized(payment.paymentId, 899),
      reply.sent(),
      reply.captured(payment.paymentId, 1, 899),
    );
    expect((await look(service, ada, order.number)).status).toBe("COMPLETED");
  });

  test("is done once, however often each event is delivered", async () => {
    const { order } = await place(service, ada);
    const reply = replies(order, adaId);
    const reserved = await service.deliver(reply.reserved());
    const payment = await paymentOf(order.id);
    const authorized = await service.deliver(reply.authorized(payment.paymentId, payment.amountMinor));
    for (let time = 0; time < 10; time++) await service.deliver(...reserved, ...authorized);
    expect((await service.emitted(paymentRequested)).filter(({ data }) => data.orderId === order.id)).toHaveLength(1);
    expect((await service.emitted(orderConfirmed)).filter(({ data }) => data.orderId === order.id)).toHaveLength(1);
  });

  test("is followed in the log by its number, and nothing about the shopper stands there", async () => {
    const { order } = await confirmed();
    const { timeline } = await look(service, ada, order.number);
    const lines = logged.filter((line) => line["order_number"] === order.number);
    expect(lines.map(({ msg }) => msg)).toEqual(timeline.map(({ what }: { what: string }) => what));
    expect(lines.every((line) => line["order_id"] === order.id)).toBe(true);
    const told = new Set(lines.flatMap(Object.keys));
    expect(told).toEqual(new Set(["level", "time", "service", "msg", "order_id", "order_number"]));
  });

  test("has versions 1 to n without a gap", async () => {
    const { order } = await confirmed();
    const versions = (await service.emitted())
      .filter((event) => event.subject === order.id)
      .map((event) => event.sequence);
    expect(versions).toEqual(versions.map((_, index) => index + 1));
    expect(versions.length).toBeGreaterThanOrEqual(3);
  });

  test("an early dispatch waits for the confirmation", async () => {
    const { order } = await place(service, ada);
    const reply = replies(order, adaId);
    await service.deliver(reply.reserved());
    const payment = await paymentOf(order.id);
    await service.deliver(reply.dispatched());
    expect((await look(service, ada, order.number)).status).toBe("AWAITING_PAYMENT");
    await service.deliver(reply.authorized(payment.paymentId, payment.amountMinor));
    await reach(service, ada, order.number, "SHIPPED");
  });
});

describe("money", () => {
  test("another card may be tried after a decline; the first card's late answer changes nothing", async () => {
    const { order } = await place(service, ada, { paymentMethod: { token: "tok_declined" } });
    const reply = replies(order, adaId);
    await service.deliver(reply.reserved());
    const first = await paymentOf(order.id);
    await service.deliver(reply.declined(first.paymentId));
    const declined = await look(service, ada, order.number);
    expect(declined.paymentState).toBe("DECLINED");
    const [progress, ...more] = (await service.emitted(orderProgressed)).filter(({ key }) => key === order.id);
    expect(progress?.data.what).toEqual(["PAYMENT_DECLINED"]);
    expect(progress?.sequence).toBe(declined.version);
    expect(more).toEqual([]);
    const mutation = `mutation ($input: PayOrderInput!) { payOrder(input: $input) { __typename ... on PaymentStarted { order { status paymentState } } ... on Problem { message } } }`;
    const variables = { input: { number: order.number, idempotencyKey: newId(), paymentMethod: { token: "tok_ok" } } };
    const paid = await service.graph(mutation, variables, { token: ada });
    expect(paid.data.payOrder).toMatchObject({ __typename: "PaymentStarted", order: { paymentState: "REQUESTED" } });
    expect((await service.graph(mutation, variables, { token: ada })).data.payOrder.__typename).toBe("PaymentStarted");
    const again = await service.graph(
      mutation,
      { input: { ...variables.input, idempotencyKey: newId() } },
      { token: ada },
    );
    expect(again.data.payOrder.__typename).toBe("NotPossible");
    const second = await paymentOf(order.id, 2);
    expect(second.paymentId).toBe(first.paymentId);
    await service.deliver(reply.declined(first.paymentId, 1));
    expect((await look(service, ada, order.number)).paymentState).toBe("REQUESTED");
    await service.deliver(reply.authorized(second.paymentId, second.amountMinor, 2));
    expect((await look(service, ada, order.number)).status).toBe("CONFIRMED");
  });

  test("the bank may want the shopper", async () => {
    const { order } = await place(service, ada);
    const reply = replies(order, adaId);
    await service.deliver(reply.reserved());
    const payment = await paymentOf(order.id);
    await service.deliver(
      reply.make(paymentActionRequired, { paymentId: payment.paymentId, attempt: 1, url: "https://bank.example/1" }),
    );
    expect(await look(service, ada, order.number)).toMatchObject({
      status: "PAYMENT_ACTION_REQUIRED",
      paymentUrl: "https://bank.example/1",
    });
    await service.deliver(reply.authorized(payment.paymentId, payment.amountMinor));
    expect(await look(service, ada, order.number)).toMatchObject({ status: "CONFIRMED", paymentUrl: null });
  });

  test("a return is refunded at the price paid, by goodwill no more than is left", async () => {
    const { order, reply, payment } = await confirmed();
    await service.deliver(reply.dispatched(), reply.delivered(), reply.captured(payment.paymentId, 1, 2895));
    const lineId = order.lines[0].id;
    const returnId = newId();
    await service.deliver(
      returnInspected.create(
        {
          orderId: order.id,
          customerId: adaId,
          version: 1,
          returnId,
          number: "R1",
          lines: [{ lineId, skuId: mug.skuId, quantity: 1, disposition: "RESTOCK" }],
        },
        { sequence: 1 },
      ),
    );
    const refund = (await service.emitted(refundRequested)).find(({ data }) => data.returnId === returnId);
    expect(refund?.data).toMatchObject({ amountMinor: 1250, paymentId: payment.paymentId, reason: "RETURN" });
    await service.deliver(
      reply.make(refundSettled, {
        paymentId: payment.paymentId,
        refundId: refund!.data.refundId,
        amountMinor: 1250,
        currency: "GBP",
      }),
    );
    expect(
      (await service.emitted(orderRefunded)).find(({ data }) => data.returnId === returnId)?.data.amountMinor,
    ).toBe(1250);

    const mutation = `mutation ($input: RefundOrderInput!) { refundOrder(input: $input) { __typename ... on Problem { message } } }`;
    const goodwill = (amountMinor: number, token = staff) =>
      service.graph(mutation, { input: { number: order.number, idempotencyKey: newId(), amountMinor } }, { token });
    expect((await goodwill(100, ada)).errors?.[0]?.extensions.code).toBe("FORBIDDEN");
    expect((await goodwill(1646)).data.refundOrder.__typename).toBe("InvalidInput");
    expect((await goodwill(-1)).data.refundOrder.__typename).toBe("InvalidInput");
    expect((await goodwill(1645)).data.refundOrder.__typename).toBe("RefundStarted");
    expect((await goodwill(1)).data.refundOrder.__typename).toBe("InvalidInput");
  });
});

describe("the end before the end", () => {
  test("too little stock rejects the order and says what is there", async () => {
    const { order } = await place(service, ada);
    await service.deliver(replies(order, adaId).rejected(1));
    const seen = await look(service, ada, order.number);
    expect(seen.status).toBe("REJECTED");
    expect(seen.timeline.at(-1)).toMatchObject({ what: "REJECTED", detail: "Blue mug: 2 wanted, 1 there" });
    expect((await cancel(order.number)).__typename).toBe("NotPossible");
  });

  test("PENDING is cancelled at once; stock and money that come later change nothing", async () => {
    const { order } = await place(service, ada);
    expect(await cancel(order.number)).toMatchObject({ done: true, order: { status: "CANCELLED" } });
    await service.deliver(replies(order, adaId).reserved());
    expect((await look(service, ada, order.number)).status).toBe("CANCELLED");
    expect((await service.emitted(paymentRequested)).some(({ data }) => data.orderId === order.id)).toBe(false);
  });

  test("AWAITING_PAYMENT is cancelled and open until stock and money are back", async () => {
    const { order } = await place(service, ada);
    const reply = replies(order, adaId);
    await service.deliver(reply.reserved());
    const payment = await paymentOf(order.id);
    expect(await cancel(order.number)).toMatchObject({ done: true });
    await service.deliver(reply.authorized(payment.paymentId, payment.amountMinor));
    expect((await look(service, ada, order.number)).status).toBe("CANCELLED");
    const open = async () =>
      (await service.admin.query("SELECT awaits_stock, awaits_void FROM orders WHERE id = $1", [order.id])).rows[0];
    expect(await open()).toEqual({ awaits_stock: true, awaits_void: true });
    const cancelled = (await service.emitted(orderCancelled)).find(({ data }) => data.orderId === order.id)!;
    expect(cancelled.data).toMatchObject({ whole: true, beforeConfirmed: true, capturableMinor: 0 });
    await service.deliver(
      reply.make(stockReleased, { cancellationId: cancelled.data.cancellationId, lines: [] }),
      reply.make(paymentVoided, { paymentId: payment.paymentId, amountMinor: payment.amountMinor, currency: "GBP" }),
    );
    expect(await open()).toEqual({ awaits_stock: false, awaits_void: false });
  });

  test("after CONFIRMED fulfillment decides, line by line", async () => {
    const { order, reply } = await confirmed({
      lines: [
        { skuId: mug.skuId, quantity: 1 },
        { skuId: mug.skuId, quantity: 3 },
      ],
    });
    const [first, second] = order.lines;
    expect(await cancel(order.number)).toMatchObject({ done: false, order: { status: "CONFIRMED" } });
    expect((await cancel(order.number)).__typename).toBe("NotPossible");
    const asked = (await service.emitted(cancellationRequested)).find(({ data }) => data.orderId === order.id)!;
    await service.deliver(
      reply.make(shipmentCancelled, {
        cancellationId: asked.data.cancellationId,
        lines: [{ lineId: first.id, quantity: 1 }],
      }),
      reply.make(cancellationRefused, {
        cancellationId: asked.data.cancellationId,
        lines: [{ lineId: second.id, quantity: 3 }],
        reason: "DISPATCHED",
      }),
    );
    const cancelled = (await service.emitted(orderCancelled)).find(({ data }) => data.orderId === order.id)!;
    // The goods came to 50.00, from which on shipping is free.
    expect(cancelled.data).toMatchObject({ whole: false, capturableMinor: 3 * 1250 });
    expect((await look(service, ada, order.number)).status).toBe("CONFIRMED");
    await service.deliver(reply.dispatched([{ lineId: second.id, quantity: 3 }]));
    expect((await look(service, ada, order.number)).status).toBe("SHIPPED");
    expect((await cancel(order.number)).__typename).toBe("TooLate");
  });

  test("the deadline ends what was not paid; a payment that comes later loses", async () => {
    const { order } = await place(service, ada);
    const reply = replies(order, adaId);
    await service.deliver(reply.reserved());
    const payment = await paymentOf(order.id);
    await service.admin.query("UPDATE deadlines SET at = now() - interval '1 second' WHERE order_id = $1", [order.id]);
    await reach(service, ada, order.number, "CANCELLED");
    await service.deliver(reply.authorized(payment.paymentId, payment.amountMinor));
    expect((await look(service, ada, order.number)).timeline.at(-1)).toMatchObject({
      what: "CANCELLED",
      detail: "DEADLINE",
    });
  });

  test("an authorization waits for the expiry that holds the order's row, and loses", async () => {
    const { order } = await place(service, ada);
    const reply = replies(order, adaId);
    await service.deliver(reply.reserved());
    const payment = await paymentOf(order.id);
    const expiry = await service.admin.connect();
    await expiry.query("BEGIN");
    await expiry.query("UPDATE orders SET status = 'CANCELLED' WHERE id = $1", [order.id]);
    const delivered = service.deliver(reply.authorized(payment.paymentId, payment.amountMinor));
    await until(
      async () =>
        (
          await service.admin.query(
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
          )
        ).rowCount! > 0,
      "an authorization that waits",
    );
    await expiry.query("COMMIT");
    expiry.release();
    await delivered;
    expect((await look(service, ada, order.number)).status).toBe("CANCELLED");
    expect((await service.emitted(orderConfirmed)).filter(({ data }) => data.orderId === order.id)).toEqual([]);
  });

  test("expiry and authorization race: one wins, whichever it is", async () => {
    const placed = await Promise.all(Array.from({ length: 12 }, () => place(service, ada)));
    const orders = placed.map(({ order }) => ({ order, reply: replies(order, adaId) }));
    await service.deliver(...orders.map(({ reply }) => reply.reserved()));
    const payments = await Promise.all(orders.map(({ order }) => paymentOf(order.id)));
    const ids = orders.map(({ order }) => order.id);
    await Promise.all([
      service.admin.query("UPDATE deadlines SET at = now() WHERE order_id = ANY($1)", [ids]),
      service.deliver(
        ...orders.map(({ reply }, index) => reply.authorized(payments[index]!.paymentId, payments[index]!.amountMinor)),
      ),
    ]);
    await until(
      async () =>
        (
          await service.admin.query(
            "SELECT FROM orders WHERE id = ANY($1) AND status NOT IN ('CONFIRMED', 'CANCELLED')",
            [ids],
          )
        ).rowCount === 0,
      "an end for all",
    );
    for (const { order } of orders) {
      const ends = (await service.emitted()).filter(
        (event) =>
          event.subject === order.id && (event.type === orderConfirmed.type || event.type === orderCancelled.type),
      );
      expect(ends).toHaveLength(1);
    }
  });
});

describe("what is refused, with nothing half done", () => {
  const refused: [string, Record<string, unknown>, string][] = [
    [
      "a negative quantity (Vvveb CVE-2026-44826)",
      { lines: [{ skuId: mug.skuId, quantity: -1 }] },
      "lines[0].quantity",
    ],
    ["a quantity of zero", { lines: [{ skuId: mug.skuId, quantity: 0 }] }, "lines[0].quantity"],
    ["a huge quantity", { lines: [{ skuId: mug.skuId, quantity: 100_001 }] }, "lines[0].quantity"],
    ["no line", { lines: [] }, "lines"],
    ["1,001 lines", { lines: Array.from({ length: 1001 }, () => ({ skuId: mug.skuId, quantity: 1 })) }, "lines"],
    ["a malformed id", { lines: [{ skuId: "mug", quantity: 1 }] }, "lines[0].skuId"],
    ["a malformed key", { idempotencyKey: "once" }, "idempotencyKey"],
    ["an address without a country", { shipTo: { ...address, countryCode: "" } }, "shipTo.countryCode"],
    ["goods to send without an address", { shipTo: null }, "shipTo"],
    ["an unknown currency (GHSA-wm63-7627-ch33)", { currency: "XTS" }, "currency"],
    ["an unknown shipping method", { shippingMethod: "pigeon" }, "shippingMethod"],
    ["a malformed e-mail address", { email: "ada" }, "email"],
    ["nothing to pay with", { paymentMethod: null }, "paymentMethod"],
    [
      "a total beyond what can be counted",
      { lines: Array.from({ length: 1000 }, () => ({ skuId: newId(), quantity: 1 })) },
      "",
    ],
  ];
  test.each(refused.slice(0, -1))("%s", async (_, changes, field) => {
    const before = (await service.admin.query("SELECT count(*) FROM orders")).rows[0].count;
    expect(await place(service, ada, changes)).toMatchObject({ __typename: "InvalidInput", field });
    expect((await service.admin.query("SELECT count(*) FROM orders")).rows[0].count).toBe(before);
  });

  test("a fractional quantity, by GraphQL itself", async () => {
    await expect(place(service, ada, { lines: [{ skuId: mug.skuId, quantity: 1.5 }] })).rejects.toThrow(
      /Int cannot represent non-integer/,
    );
  });

  test("a total that would overflow", async () => {
    const lines = Array.from({ length: 3 }, () => ({
      skuId: mug.skuId,
      quantity: 100_000,
      agreedUnitMinor: Number.MAX_SAFE_INTEGER,
    }));
    expect(await place(service, staff, { lines })).toMatchObject({ __typename: "InvalidInput", field: "lines" });
  });

  test("an unknown article", async () => {
    const skuId = newId();
    expect(await place(service, ada, { lines: [{ skuId, quantity: 1 }] })).toMatchObject({
      __typename: "UnknownSku",
      skuId,
    });
  });

  test("a price that has changed, and one that is not known yet", async () => {
    const lamp = { skuId: newId(), productId: newId(), minor: 4000 };
    await service.deliver(product(lamp, "Lamp", 1, false), product({ ...lamp, minor: 4400 }, "Lamp", 2, false));
    const line = (priceVersion: number) => ({ lines: [{ skuId: lamp.skuId, quantity: 1, priceVersion }] });
    expect(await place(service, ada, line(1))).toMatchObject({
      __typename: "PriceChanged",
      quote: { total: { amountMinor: 4795 }, lines: [{ priceVersion: 2 }] },
    });
    expect(await place(service, ada, { ...line(2), expectedTotalMinor: 4794 })).toMatchObject({
      __typename: "PriceChanged",
    });
    expect(await place(service, ada, { ...line(2), expectedTotalMinor: 4795 })).toMatchObject({
      __typename: "OrderPlaced",
    });
    await expect(place(service, ada, line(3))).rejects.toThrow(/CATALOGUE_BEHIND/);
  });

  test("a price that is older than one that came before it", async () => {
    const lamp = { skuId: newId(), productId: newId(), minor: 4000 };
    const changes = [3, 1, 2].map((version) => product({ ...lamp, minor: 4000 + version }, "Lamp", version, false));
    await service.deliver(...changes);
    const lines = [{ skuId: lamp.skuId, quantity: 1, priceVersion: 2 }];
    expect(await place(service, ada, { lines })).toMatchObject({ quote: { lines: [{ priceVersion: 3 }] } });
  });

  test("agreed prices from a shopper", async () => {
    expect(await place(service, ada, { lines: [{ skuId: mug.skuId, quantity: 1, agreedUnitMinor: 1 }] })).toMatchObject(
      { __typename: "Forbidden" },
    );
    expect(await place(service, ada, { customerId: newId() })).toMatchObject({ __typename: "Forbidden" });
  });
});

describe("the same key", () => {
  test("places one order, also when both come at once", async () => {
    const idempotencyKey = newId();
    const placed = await Promise.all(Array.from({ length: 8 }, () => place(service, ada, { idempotencyKey })));
    expect(new Set(placed.map(({ order }) => order.number)).size).toBe(1);
    expect((await service.emitted(orderPlaced)).filter(({ data }) => data.orderId === placed[0].order.id)).toHaveLength(
      1,
    );
  });

  test("with another body is an error and does nothing", async () => {
    const idempotencyKey = newId();
    await place(service, ada, { idempotencyKey });
    expect(await place(service, ada, { idempotencyKey, lines: [{ skuId: mug.skuId, quantity: 3 }] })).toMatchObject({
      __typename: "KeyReused",
    });
  });

  test("is used up for good, also once its stored answer is gone", async () => {
    const idempotencyKey = newId();
    const { order } = await place(service, ada, { idempotencyKey });
    await service.admin.query("DELETE FROM idempotency WHERE key = $1", [idempotencyKey]);
    expect(await place(service, ada, { idempotencyKey })).toMatchObject({ __typename: "KeyReused" });
    const placed = await service.admin.query("SELECT id FROM orders WHERE idempotency_key = $1", [idempotencyKey]);
    expect(placed.rows).toEqual([{ id: order.id }]);
  });

  test("of somebody else is another key", async () => {
    const idempotencyKey = newId();
    const eve = await service.signToken({ sub: newId(), roles: ["SHOPPER"] });
    const [mine, hers] = [await place(service, ada, { idempotencyKey }), await place(service, eve, { idempotencyKey })];
    expect(mine.order.number).not.toBe(hers.order.number);
  });
});

describe("coupons", () => {
  const createCoupon = `mutation ($input: CreateCouponInput!) { createCoupon(input: $input) { __typename ... on CouponCreated { coupon { code percent } } ... on Problem { message } } }`;

  test("take a share off, by largest remainder, and the last use goes to one order (Shopper CVE-2026-47741)", async () => {
    const made = await service.graph(
      createCoupon,
      { input: { code: "tenoff", percent: 10, usesAtMost: 1 } },
      { token: staff },
    );
    expect(made.data.createCoupon).toMatchObject({ __typename: "CouponCreated", coupon: { code: "TENOFF" } });
    expect(
      (await service.graph(createCoupon, { input: { code: "TENOFF", percent: 5 } }, { token: staff })).data.createCoupon
        .__typename,
    ).toBe("CouponExists");
    expect(
      (
        await service.graph(
          createCoupon,
          { input: { code: "BOTH", percent: 5, amountMinor: 1, currency: "GBP" } },
          { token: staff },
        )
      ).data.createCoupon.__typename,
    ).toBe("InvalidInput");
    const placed = await Promise.all(Array.from({ length: 10 }, () => place(service, ada, { couponCode: "TENOFF" })));
    expect(placed.filter(({ __typename }) => __typename === "OrderPlaced")).toHaveLength(1);
    expect(
      placed.filter(({ __typename, reason }) => __typename === "CouponRejected" && reason === "USED_UP"),
    ).toHaveLength(9);
    const won = placed.find(({ order }) => order).order;
    expect(won.total.amountMinor).toBe(2250 + 395);
    await cancel(won.number);
    expect(await place(service, ada, { couponCode: "TENOFF" })).toMatchObject({ __typename: "OrderPlaced" });
  });

  test("that nobody made are refused", async () => {
    expect(await place(service, ada, { couponCode: "WISH" })).toMatchObject({
      __typename: "CouponRejected",
      reason: "UNKNOWN",
    });
  });
});

describe("people", () => {
  test("a stranger cannot see, pay or cancel an order (Shopware CVE-2026-48016)", async () => {
    const { order } = await place(service, ada);
    const eve = await service.signToken({ sub: newId(), roles: ["SHOPPER"] });
    expect(await look(service, eve, order.number)).toBeNull();
    expect((await cancel(order.number, eve)).__typename).toBe("NotFound");
    const pay = `mutation ($input: PayOrderInput!) { payOrder(input: $input) { __typename } }`;
    const input = { idempotencyKey: newId(), number: order.number, paymentMethod: { token: "tok_ok" } };
    expect((await service.graph(pay, { input }, { token: eve })).data.payOrder.__typename).toBe("NotFound");
    expect((await service.graph(pay, { input })).errors?.[0]?.extensions.code).toBe("UNAUTHENTICATED");
    const entities = `query ($r: [_Any!]!) { _entities(representations: $r) { ... on Order { number } ... on OrderLine { name } } }`;
    const r = [
      { __typename: "Order", id: order.id },
      { __typename: "Order", number: order.number },
      { __typename: "OrderLine", id: order.lines[0].id },
    ];
    expect((await service.graph(entities, { r }, { token: eve })).data._entities).toEqual([null, null, null]);
    expect((await service.graph(entities, { r }, { token: ada })).data._entities).toEqual([
      { number: order.number },
      { number: order.number },
      { name: "Blue mug" },
    ]);
    expect((await service.graph(entities, { r })).errors?.[0]?.extensions.code).toBe("UNAUTHENTICATED");
  });

  test("a link's token sees its one order", async () => {
    const { order } = await place(service, ada);
    const { order: other } = await place(service, ada);
    const link = await service.signToken({ sub: adaId, roles: ["GUEST"], order: order.id });
    expect((await look(service, link, order.number)).id).toBe(order.id);
    expect(await look(service, link, other.number)).toBeNull();
    expect((await cancel(other.number, link)).__typename).toBe("Forbidden");
    expect(await place(service, link)).toMatchObject({ __typename: "Forbidden" });
  });

  test("a guest's orders follow to the account, and an erased customer's orders forget", async () => {
    const guestId = newId();
    const guest = await service.signToken({ sub: guestId, roles: ["GUEST"] });
    expect(await place(service, guest, { email: null })).toMatchObject({ __typename: "InvalidInput", field: "email" });
    const { order } = await place(service, guest);
    const userId = newId();
    await service.deliver(guestClaimed.create({ guestId, userId }, { sequence: 1 }));
    expect(await look(service, guest, order.number)).toBeNull();
    const account = await service.signToken({ sub: userId, roles: ["SHOPPER"] });
    expect((await look(service, account, order.number)).id).toBe(order.id);
    expect((await service.emitted(orderReassigned)).find(({ data }) => data.orderId === order.id)?.data).toMatchObject({
      customerId: userId,
      previousCustomerId: guestId,
    });
    await service.deliver(customerErased.create({ customerId: userId, at: new Date().toISOString() }, { sequence: 1 }));
    const kept = async (id: string) =>
      (await service.admin.query("SELECT email, ship_to FROM orders WHERE id = $1", [id])).rows[0];
    expect(await kept(order.id)).toEqual({ email: null, ship_to: null });
    const { order: late } = await place(service, account);
    expect(await kept(late.id)).toEqual({ email: null, ship_to: null });
  });

  test("staff find orders by status, number and e-mail; shoppers their own", async () => {
    const { order } = await place(service, staff, {
      email: "work@example.com",
      customerId: adaId,
      externalReference: "INV-1",
      lines: [{ skuId: mug.skuId, quantity: 1, agreedUnitMinor: 77 }],
      shippingMethod: "none",
    });
    expect(order.total.amountMinor).toBe(77);
    const find = `query ($status: OrderStatus, $email: String, $number: String) { orders(status: $status, email: $email, number: $number) { nodes { number status } } }`;
    for (const variables of [
      { number: "INV-1" },
      { email: "Work@Example.com" },
      { number: order.number, status: "PENDING" },
    ]) {
      expect((await service.graph(find, variables, { token: staff })).data.orders.nodes).toEqual([
        { number: order.number, status: "PENDING" },
      ]);
    }
    expect((await service.graph(find, {}, { token: ada })).errors?.[0]?.extensions.code).toBe("FORBIDDEN");
    const mine = `query ($after: String) { myOrders(first: 5, after: $after) { nodes { number } pageInfo { hasNextPage endCursor } } }`;
    const first = (await service.graph(mine, {}, { token: ada })).data.myOrders;
    const second = (await service.graph(mine, { after: first.pageInfo.endCursor }, { token: ada })).data.myOrders;
    expect(first.nodes[0].number).toBe(order.number);
    expect(new Set([...first.nodes, ...second.nodes].map((node) => node.number)).size).toBe(10);
  });
});
