import type { FaultState } from "@crowdcrunch/kit/faults";
import { until } from "@crowdcrunch/kit/testing/service";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createWorld } from "./world.ts";
import type { World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld({ FAULT_INJECTION: "true" });
});
afterAll(() => world?.stop());
afterEach(async () => {
  await setInPayments();
  await setInProvider();
});

const fields = "point action passes fired";
async function setInPayments(...faults: object[]): Promise<void> {
  const mutation = `mutation ($faults: [FaultInput!]!) { paymentsSetFaults(faults: $faults) { ${fields} } }`;
  const token = await world.payments.signToken({ roles: ["ADMIN"] });
  const { errors } = await world.payments.graph(mutation, { faults }, { token });
  expect(errors).toBeUndefined();
}
async function firedInPayments(): Promise<number> {
  const token = await world.payments.signToken({ roles: ["ADMIN"] });
  const { data } = await world.payments.graph(`{ paymentsFaults { ${fields} } }`, {}, { token });
  return (data.paymentsFaults as FaultState[]).reduce((sum, { fired }) => sum + fired, 0);
}
async function setInProvider(...faults: object[]): Promise<void> {
  expect(await world.provider.call("PUT", "/faults", { faults })).toMatchObject({ status: 200 });
}
async function firedInProvider(): Promise<number> {
  const { body } = await world.provider.call("GET", "/faults");
  return (body["faults"] as FaultState[]).reduce((sum, { fired }) => sum + fired, 0);
}

/** A payment is asked for while a fault is set; resolves once it is authorised, to how payments and provider saw it. */
async function authorise() {
  const order = world.order();
  const seen = new Set<string>();
  const look = async () => {
    const statuses = "SELECT status FROM operations WHERE payment_id = $1";
    for (const { status } of (await world.payments.admin.query(statuses, [order.paymentId])).rows) seen.add(status);
  };
  await order.tell(order.events.requested("tok_ok"));
  await until(async () => {
    await look();
    return (await order.answers()).some(({ name }) => name === "payment-authorized");
  }, "the authorisation");
  const book = "SELECT count(*)::int AS charges FROM operations WHERE idempotency_key LIKE $1 || ':%'";
  const { charges } = (await world.provider.book.query(book, [order.paymentId])).rows[0];
  const names = (await order.answers()).map(({ name }) => name);
  return { order, charges, names, wasUnknown: seen.has("UNKNOWN") };
}
const oneCharge = { charges: 1, names: ["payment-authorized"] };

describe("a call to the provider", () => {
  test.each(["provider.before-call", "provider.during-call", "provider.after-call"])(
    "that is lost at %s is looked up: one charge, one answer",
    async (point) => {
      await setInPayments({ point, action: "error", times: 1, match: "/^POST /v1/authorizations .*:AUTHORIZE:/" });
      expect(await authorise()).toMatchObject({ ...oneCharge, wasUnknown: true });
      expect(await firedInPayments()).toBe(1);
    },
  );
});

describe("a request at the provider", () => {
  test.each([
    ["provider-api.before-execute", "error"],
    ["provider-api.after-execute", "error"],
    ["provider-api.after-execute", "withhold"],
  ])("that meets %s:%s is looked up: one charge, one answer", async (point, action) => {
    await setInProvider({ point, action, times: 1, match: ":AUTHORIZE:" });
    expect(await authorise()).toMatchObject({ ...oneCharge, wasUnknown: true });
    expect(await firedInProvider()).toBe(1);
  });
});

describe("a further callback", () => {
  test.each([{ action: "before" }, { action: "twice" }, { action: "late", delayMs: 100 }])(
    "$action makes no second transition",
    async (fault) => {
      await setInProvider({ point: "provider-api.callback", times: 1, match: ":AUTHORIZE:", ...fault });
      const { order, ...rest } = await authorise();
      expect(rest).toMatchObject(oneCharge);
      expect(await firedInProvider()).toBe(1);
      // Late enough for the late one.
      await new Promise((resolve) => setTimeout(resolve, 400));
      expect((await order.answers()).map(({ name }) => name)).toEqual(oneCharge.names);
    },
  );

  test.each(["forged", "other-amount"])("%s is refused", async (action) => {
    await setInProvider({ point: "provider-api.callback", action, times: 1, match: ":AUTHORIZE:" });
    const { order, ...rest } = await authorise();
    expect(rest).toMatchObject(oneCharge);
    expect(await firedInProvider()).toBe(1);
    expect((await order.answers())[0]?.data).toMatchObject({ amountMinor: 2_500 });
    const held = await world.payments.admin.query("SELECT amount_minor FROM operations WHERE payment_id = $1", [
      order.paymentId,
    ]);
    expect(held.rows).toEqual([{ amount_minor: 2_500 }]);
  });
});
