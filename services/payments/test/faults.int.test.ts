import { afterEach, expect, test } from "vitest";
import { until } from "@crowdcrunch/kit/testing/service";
import { createWorld } from "./world.ts";
import type { World } from "./world.ts";

let world: World;
afterEach(() => world?.stop());

test("callbacks that overtake or race the reply make one transition (Saleor #12652)", async () => {
  world = await createWorld({ PROVIDER_CALLBACKS: "all", PROVIDER_LATENCY_MS: "60" });
  const orders = Array.from({ length: 20 }, () => world.order());
  await world.payments.deliver(...orders.map((order) => order.events.requested("tok_ok")));
  await world.payments.deliver(...orders.map((order) => order.events.shipped(2_500)));
  const delivered = () => world.provider.book.query("SELECT FROM callbacks WHERE delivered_at IS NOT NULL");
  await until(async () => (await delivered()).rowCount === 40, "40 callbacks delivered");
  for (const order of orders) {
    await order.answered("payment-captured");
    expect((await order.answers()).map(({ name }) => name)).toEqual(["payment-authorized", "payment-captured"]);
  }
});

test("while the provider cannot be reached the outcome is unknown, which is told once; then it is settled", async () => {
  world = await createWorld({ PROVIDER_TIMEOUT_MS: "200" });
  world.provider.pause();
  const order = world.order();
  await order.tell(order.events.requested("tok_ok"));
  await until(
    async () => (await world.payments.admin.query("SELECT FROM operations WHERE status = 'UNKNOWN'")).rowCount === 1,
    "an unknown outcome",
  );
  await world.payments.admin.query("UPDATE operations SET unknown_since = now() - interval '11 seconds'");
  expect(await order.answered("payment-unresolved")).toMatchObject({
    operation: "AUTHORIZE",
    paymentId: order.paymentId,
  });
  world.provider.resume();
  await order.answered("payment-authorized");
  expect((await order.answers()).map(({ name, sequence }) => [name, sequence])).toEqual([
    ["payment-unresolved", 1],
    ["payment-authorized", 2],
  ]);
});

test("what a crash left behind is looked up and goes on when its lease ends", async () => {
  world = await createWorld();
  const order = world.order();
  await order.tell(order.events.requested("tok_ok"));
  await order.answered("payment-authorized");
  // As if the service had been killed after the provider's reply and before the outcome was stored.
  await world.payments.admin.query(
    `INSERT INTO operations (payment_id, kind, sequence, amount_minor, tries, next_try_at) VALUES ('${order.paymentId}', 'CAPTURE', 1, 1000, 1, now())`,
  );
  const [{ id }] = (await world.provider.book.query("SELECT id FROM authorizations")).rows as [{ id: string }];
  await world.provider.call("POST", `/v1/authorizations/${id}/captures`, {
    idempotencyKey: `${order.paymentId}:CAPTURE:1:1`,
    amountMinor: 1_000,
  });
  expect(await order.answered("payment-captured")).toMatchObject({ amountMinor: 1_000 });
  expect((await world.provider.book.query("SELECT captured_minor FROM authorizations")).rows).toEqual([
    { captured_minor: 1_000 },
  ]);
});

test("what a process had taken up is taken over as soon as it has ended, and not before", async () => {
  world = await createWorld();
  const order = world.order();
  await order.tell(order.events.requested("tok_ok"));
  await order.answered("payment-authorized");
  const { admin, db } = world.payments;
  // Another replica: a session that holds its number's lock, and has a capture for ten more minutes.
  const replica = await db.connect();
  await replica.query("SELECT pg_advisory_lock(4005, 77)");
  await admin.query(
    `INSERT INTO operations (payment_id, kind, sequence, amount_minor, tries, next_try_at, taken_by)
     VALUES ('${order.paymentId}', 'CAPTURE', 1, 1000, 1, now() + interval '10 minutes', 77)`,
  );
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  const taken = await admin.query("SELECT tries, taken_by FROM operations WHERE kind = 'CAPTURE'");
  expect(taken.rows).toEqual([{ tries: 1, taken_by: 77 }]);
  replica.release(true);
  expect(await order.answered("payment-captured")).toMatchObject({ amountMinor: 1_000 });
});

test("who takes an operation up is there, and loses nothing when its presence breaks off", async () => {
  world = await createWorld({ PROVIDER_TIMEOUT_MS: "5000" });
  const { admin } = world.payments;
  world.provider.pause();
  const order = world.order();
  await order.tell(order.events.requested("tok_ok"));
  const present = `SELECT l.pid FROM operations o JOIN pg_locks l ON l.locktype = 'advisory' AND l.classid = 4005 AND l.objid = o.taken_by`;
  await until(async () => (await admin.query(present)).rowCount === 1, "an operation of somebody who is there");
  await admin.query(`SELECT pg_terminate_backend(pid) FROM (${present}) gone`);
  // Taken over by the same process, which asks first whether the provider knows the key.
  await until(
    async () => (await admin.query("SELECT FROM operations WHERE tries = 2")).rowCount === 1,
    "a second look",
  );
  world.provider.resume();
  await order.answered("payment-authorized");
  expect((await world.provider.book.query("SELECT FROM authorizations")).rowCount).toBe(1);
  expect((await order.answers()).map(({ name }) => name)).toEqual(["payment-authorized"]);
  await until(
    async () =>
      (await admin.query("SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 4005")).rowCount === 1,
    "its presence",
  );
});
