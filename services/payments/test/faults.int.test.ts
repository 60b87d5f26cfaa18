import { afterEach, expect, test } from "vitest";
import { until } from "@crowdcrunch/kit/testing/service";
import { createWorld } from "./world.ts";
import type { World } from "./world.ts";

let world: World;
afterEach(() => world?.stop());

test("callbacks that overtake or race the reply make one transition", async () => {
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
