import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { endStates, startLoad } from "./steady-load.ts";
import type { Load } from "./steady-load.ts";
import { startAgain } from "./whole-shop.ts";
import type { Shopper, WholeShop } from "./whole-shop.ts";

/** As many purchases are under way at any time. */
const shoppersAtOnce = 20;

/** Kills in the middle of many purchases, each where one purchase alone does not pass. Declares the tests. */
export function crashTests(open: () => WholeShop): void {
  let world: WholeShop;
  let shoppers: Shopper[];
  let load: Load;
  let incidentsBefore: number[];

  beforeAll(async () => {
    world = open();
    await startAgain(world, "fulfillment", {
      CARRIER_SIMULATOR: "true",
      CARRIER_DELAY_MS: "300",
      DELIVERY_LEASE_SECONDS: "3",
    });
    incidentsBefore = await incidents();
    const articles = await Promise.all([world.article(100_000), world.article(100_000), world.download()]);
    shoppers = await Promise.all(Array.from({ length: shoppersAtOnce }, () => world.shopper()));
    load = startLoad({ graph: world.graph, shoppers, articles });
  });
  afterAll(() => load?.end());

  /** Looks until it is so; the database may be away meanwhile. */
  async function until(what: string, isSo: () => Promise<boolean> | boolean, patienceMs = 30_000): Promise<void> {
    const giveUpAtMs = performance.now() + patienceMs;
    while (!(await Promise.resolve(isSo()).catch(() => false))) {
      if (performance.now() > giveUpAtMs) throw new Error(`${what} did not come within ${patienceMs / 1_000} s`);
      await sleep(5);
    }
  }

  async function count(sql: string, parameters: unknown[] = []): Promise<number> {
    return Number((await world.books.query(sql, parameters)).rows[0].count);
  }
  const incidents = () =>
    Promise.all(
      ["orders", "payments", "fulfillment", "inventory"].map((service) =>
        count(`SELECT count(*) FROM ${service}.incidents`),
      ),
    );
  const ordersAt = (status: string) =>
    count("SELECT count(*) FROM orders.orders WHERE status = $1 AND placed_by = ANY($2::uuid[])", [
      status,
      shoppers.map(({ id }) => id),
    ]);
  const parcelsAt = (status: string) => count("SELECT count(*) FROM fulfillment.shipments WHERE status = $1", [status]);
  const operationsDue = (kind: string) =>
    count("SELECT count(*) FROM payments.operations WHERE status = 'PENDING' AND kind = $1", [kind]);

  /** Who is killed, while what is under way. */
  const kills: [victim: string, step: string, isThere: () => Promise<boolean>][] = [
    ["orders", "a payment is awaited", async () => (await ordersAt("AWAITING_PAYMENT")) > 0],
    ["fulfillment", "a parcel is to be packed", async () => (await ordersAt("CONFIRMED")) > 0],
    ["inventory", "goods leave", async () => (await parcelsAt("DISPATCHED")) > 0],
    ["payments", "money is to be taken", async () => (await operationsDue("CAPTURE")) > 0],
    ["provider", "a hold is given up", async () => (await operationsDue("VOID")) > 0],
    ["gateway", "orders are placed", async () => true],
    ["postgres", "all of that is under way", async () => (await ordersAt("PENDING")) > 0],
  ];

  test.each(kills)("%s, while %s", async (victim, step, isThere) => {
    const { shop } = world;
    const acknowledgedBefore = load.acknowledged.length;
    await until("purchases under way", () => load.underWay() >= shoppersAtOnce);
    await until(`the moment when ${step}`, isThere);
    const restartsBefore = shop.restartsOf(victim);
    shop.kill(victim);
    await until(`${victim} again`, () => shop.restartsOf(victim) > restartsBefore);
    await shop.untilReady(30_000);
    await until("more purchases", () => load.acknowledged.length >= acknowledgedBefore + shoppersAtOnce);
  });

  test("every order that was acknowledged has ended, once, and as its shopper was told (Medusa #16825)", async () => {
    await load.end();
    const { acknowledged, failures } = load;
    expect(failures).toEqual([]);
    console.log(
      `crashes: ${kills.length} kills, ${acknowledged.length} orders acknowledged, ${load.repeats()} requests repeated`,
    );
    const { rows } = await world.books.query<{ number: string; key: string; status: string }>(
      "SELECT number, idempotency_key AS key, status FROM orders.orders WHERE placed_by = ANY($1::uuid[])",
      [shoppers.map(({ id }) => id)],
    );
    const byKey = new Map(rows.map((row) => [row.key, row]));
    expect(rows).toHaveLength(acknowledged.length);
    expect(acknowledged.filter(({ key, number }) => byKey.get(key)?.number !== number)).toEqual([]);
    expect(rows.filter(({ status }) => !endStates.includes(status))).toEqual([]);
    const cancelled = acknowledged.filter(({ wasCancelled }) => wasCancelled);
    expect(cancelled.filter(({ key }) => byKey.get(key)?.status !== "CANCELLED")).toEqual([]);
    expect(rows.filter(({ status }) => status === "REJECTED")).toEqual([]);
  });

  test("nothing was so bad that a person is needed", async () => {
    expect(await incidents()).toEqual(incidentsBefore);
  });
}
