import { randomUUID } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { digitalDeliveryFailed, digitalDeliverySent, shipmentCancelled } from "@crowdcrunch/events/fulfillment";
import { cancellationRequested, orderRefunded } from "@crowdcrunch/events/orders";
import { until } from "@crowdcrunch/kit/testing/service";
import type { TestService } from "@crowdcrunch/kit/testing/service";
import { afterEach, describe, expect, test } from "vitest";
import { confirmed, mails, newOrder, openFulfillment, sent } from "./world.ts";
import type { TestOrder } from "./world.ts";

let service: TestService;
let spool: string;
afterEach(() => service?.stop());

async function open(env: Record<string, string> = {}, options: { blocked?: boolean } = {}): Promise<string> {
  ({ service, spool } = await openFulfillment(env, options));
  return service.signToken({ roles: ["STAFF"] });
}

async function deliveryOf(order: TestOrder, token: string) {
  return (await sent(service, order, token)).entity?.digitalDeliveries?.[0];
}

/** Buys the atlas, waits for its mail and gives the link in it. */
async function buy(order: TestOrder, token: string): Promise<string> {
  await service.deliver(confirmed(order, { physical: false, digital: true }));
  await until(async () => (await deliveryOf(order, token))?.status === "SENT", "the mail");
  const mail = (await mails(spool)).find((text) => text.includes(order.number))!;
  return /http:\/\/shop\.example(\/downloads\/[\w-]+)/.exec(mail)![1]!;
}

function refund(order: TestOrder, quantity: number) {
  const { orderId, customerId, number } = order;
  const lines = quantity > 0 ? [{ lineId: order.atlas, skuId: randomUUID(), name: "Atlas of Rivers", quantity }] : [];
  const money = { refundId: randomUUID(), amountMinor: 1000, currency: "GBP", reason: "GOODWILL" };
  return orderRefunded.create({ orderId, customerId, version: 9, number, lines, ...money }, { sequence: 9 });
}

describe("digital goods", () => {
  test("are mailed once, with a link that gives the licence", async () => {
    const staff = await open();
    const order = newOrder();
    const path = await buy(order, staff);
    expect(await deliveryOf(order, staff)).toMatchObject({
      status: "SENT",
      lines: [{ name: "Atlas of Rivers", quantity: 1, downloadsLeft: 10, revoked: false }],
    });
    const [event, ...more] = await service.emitted(digitalDeliverySent);
    expect(more).toEqual([]);
    expect(event).toMatchObject({
      sequence: 1,
      data: { orderId: order.orderId, lines: [{ lineId: order.atlas, quantity: 1 }] },
    });
    expect(await mails(spool)).toHaveLength(1);

    const response = await fetch(service.url + path);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-disposition")).toBe('attachment; filename="atlas-of-rivers.txt"');
    expect(response.headers.get("cache-control")).toBe("no-store");
    const text = await response.text();
    expect(text).toContain("Atlas of Rivers");
    expect(text).toContain(order.number);
    expect(text).toMatch(/Licence key {2}[0-9A-Z]{5}(-[0-9A-Z]{5}){3}\n/);
    expect(await (await fetch(service.url + path)).text()).toBe(text);
    expect((await deliveryOf(order, staff)).lines[0].downloadsLeft).toBe(8);
  });

  test("that are told ten times over are mailed once, and taken ten times at once no more often than allowed", async () => {
    const staff = await open({ DOWNLOADS_PER_LINK: "3" });
    const order = newOrder();
    const [record] = await service.deliver(confirmed(order, { physical: false, digital: true }));
    for (let time = 0; time < 10; time++) await service.deliver(record as never);
    await until(async () => (await deliveryOf(order, staff)).status === "SENT", "the mail");
    expect(await service.emitted(digitalDeliverySent)).toHaveLength(1);
    const [, path] = /http:\/\/shop\.example(\/downloads\/[\w-]+)/.exec((await mails(spool))[0]!)!;
    const statuses = await Promise.all(
      Array.from({ length: 10 }, async () => (await fetch(service.url + path)).status),
    );
    expect(statuses.sort()).toEqual([200, 200, 200, 410, 410, 410, 410, 410, 410, 410]);
    expect((await deliveryOf(order, staff)).lines[0].downloadsLeft).toBe(0);
  });

  test("come beside a parcel where the order has both", async () => {
    const staff = await open();
    const order = newOrder();
    await service.deliver(confirmed(order, { digital: true }));
    await until(async () => (await deliveryOf(order, staff))?.status === "SENT", "the mail");
    const { entity } = await sent(service, order, staff);
    expect(entity.shipments[0].lines).toHaveLength(2);
    expect((await service.emitted(digitalDeliverySent))[0]).toMatchObject({ sequence: 2 });
  });
});

describe("a link", () => {
  test("is unknown when it is not ours, and gone when it has expired or was refunded", async () => {
    const staff = await open();
    const order = newOrder();
    const path = await buy(order, staff);
    const status = async (of: string) => (await fetch(service.url + of)).status;
    expect(await status("/downloads/nonsense")).toBe(404);
    expect(await status(`/downloads/${"A".repeat(43)}`)).toBe(404);
    expect(await status(path.slice(0, -2) + (path.endsWith("AA") ? "BA" : "AA"))).toBe(404);
    expect((await fetch(service.url + path, { method: "HEAD" })).status).toBe(404);
    expect((await deliveryOf(order, staff)).lines[0].downloadsLeft).toBe(10);

    await service.deliver(refund(order, 0));
    expect(await status(path)).toBe(200);
    await service.deliver(refund(order, 1));
    expect(await status(path)).toBe(410);
    expect((await deliveryOf(order, staff)).lines[0].revoked).toBe(true);

    const other = newOrder();
    const otherPath = await buy(other, staff);
    await service.admin.query("UPDATE downloads SET expires_at = now() - interval '1 second' WHERE line_id = $1", [
      other.atlas,
    ]);
    expect(await status(otherPath)).toBe(410);
  });
});

describe("a mail that cannot be sent", () => {
  test("is tried again, and goes once the way is free", async () => {
    const staff = await open({ DELIVERY_ATTEMPTS: "50" }, { blocked: true });
    const order = newOrder();
    await service.deliver(confirmed(order, { physical: false, digital: true }));
    const attempts = async () =>
      (await service.admin.query("SELECT attempts FROM digital_deliveries")).rows[0]?.attempts;
    await until(async () => (await attempts()) >= 2, "two attempts");
    expect(await service.emitted(digitalDeliverySent)).toEqual([]);
    await rm(spool);
    await mkdir(spool);
    await until(async () => (await deliveryOf(order, staff)).status === "SENT", "the mail");
    expect(await mails(spool)).toHaveLength(1);
  });

  test("fails for good after the last attempt, with an incident", async () => {
    const staff = await open({ DELIVERY_ATTEMPTS: "2" }, { blocked: true });
    const order = newOrder();
    await service.deliver(confirmed(order, { physical: false, digital: true }));
    await until(async () => (await deliveryOf(order, staff)).status === "FAILED", "the failure");
    const [event, ...more] = await service.emitted(digitalDeliveryFailed);
    expect(more).toEqual([]);
    expect(event).toMatchObject({
      sequence: 1,
      data: { code: "MAIL_FAILED", lines: [{ lineId: order.atlas, quantity: 1 }] },
    });
    const { data } = await service.graph("{ fulfillmentIncidents { nodes { kind } } }", {}, { token: staff });
    expect(data.fulfillmentIncidents.nodes).toEqual([{ kind: "DIGITAL_DELIVERY_FAILED" }]);
  });

  test("can be cancelled while it waits, and is not sent then", async () => {
    const staff = await open({ DELIVERY_RETRY_MS: "600000" }, { blocked: true });
    const order = newOrder();
    await service.deliver(confirmed(order, { physical: false, digital: true }));
    await until(async () => (await deliveryOf(order, staff)).status === "TO_SEND", "the first attempt's end");
    const { orderId, customerId } = order;
    const lines = [{ lineId: order.atlas, quantity: 1 }];
    const cancellationId = randomUUID();
    await service.deliver(
      cancellationRequested.create({ orderId, customerId, version: 4, cancellationId, lines }, { sequence: 4 }),
    );
    await until(async () => (await deliveryOf(order, staff)).status === "CANCELLED", "the cancellation");
    expect(await service.emitted(shipmentCancelled)).toMatchObject([{ sequence: 1, data: { lines } }]);
  });

  test("is taken over when the worker that claimed it is gone", async () => {
    const staff = await open();
    const order = newOrder();
    // As a worker leaves it that was killed between claim and outcome, its lease over.
    await service.admin.query(`INSERT INTO fulfillments VALUES ($1, $2, 'N1', 0)`, [order.orderId, order.customerId]);
    await service.admin.query(
      `WITH d AS (INSERT INTO digital_deliveries (id, order_id, status, email, attempts, next_attempt_at)
         VALUES ($1, $2, 'SENDING', 'ada@example.com', 1, now() - interval '1 second') RETURNING id)
       INSERT INTO downloads (id, delivery_id, line_id, sku_id, name, quantity, licence_key, downloads_left)
       VALUES ($3, $1, $4, $5, 'Atlas', 1, 'K', 1)`,
      [randomUUID(), order.orderId, randomUUID(), order.atlas, randomUUID()],
    );
    await until(async () => (await deliveryOf(order, staff)).status === "SENT", "the mail");
    expect(await service.emitted(digitalDeliverySent)).toHaveLength(1);
  });
});
