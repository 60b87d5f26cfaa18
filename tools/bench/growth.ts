/** Growth: the same shop with 1,000 orders stored and with many more, one after the other. */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { operatorToken } from "../operator.ts";
import { Problem } from "../environment.ts";
import type { ShopPlace } from "../environment.ts";
import { kafka as broker } from "../kafka/shop-kafka.ts";
import { postgres } from "../processes.ts";
import { takeTemplates } from "./copies.ts";
import { sideBySide } from "./figures.ts";
import type { Pace } from "./figures.ts";
import type { MeasuredLog } from "./logs.ts";
import { openBenchShop, startPatienceMs } from "./place.ts";
import type { BenchShop } from "./place.ts";
import { purchase } from "./shopper.ts";
import { paceOf, shopFor, twoOf, warmUp } from "./stretch.ts";

export interface GrowthOptions {
  place: ShopPlace;
  log: MeasuredLog;
  seconds: number;
  repeats: number;
  shopperCounts: number[];
}

/** Bought through the graph, sent and delivered; the others are their copies. */
const boughtOrders = 1_000;
const buyers = 8;
const patienceMs = 120_000;

const dispatchShipment = `mutation Dispatch($input: DispatchShipmentInput!) { dispatchShipment(input: $input) { __typename } }`;
const recordDelivery = `mutation Deliver($input: ShipmentInput!) { recordDelivery(input: $input) { __typename } }`;

/** GROWTH=300000 as a number of orders. */
export function chosenOrders(value: string): number {
  const orders = Number(value);
  if (!(Number.isInteger(orders) && orders >= 2 * boughtOrders && orders <= 10_000_000))
    throw new Problem(`GROWTH is "${value}"; it must be a number of orders from ${2 * boughtOrders} on.`);
  return orders;
}

/** Resolves to what was measured. */
export async function measureGrowth(orders: number, options: GrowthOptions): Promise<object> {
  const { place, log } = options;
  const varDir = join(place.varDir, `growth-${log.name}`);
  const bench = await openBenchShop({ varDir, portOffset: place.portOffset, kafka: log.kafka });
  try {
    console.log(`Buying ${boughtOrders} orders and bringing them to their end …`);
    const told = await buyToTheEnd(bench);
    await bench.untilQuiet();
    const copies = await takeTemplates(bench.database);
    // Both are measured after a start, or the warmer processes would win.
    await endProcesses(bench);
    await tidy(bench);
    await startProcesses(bench);
    const few = await measure(bench, told, options);
    await bench.untilQuiet();

    await endProcesses(bench);
    const missing = Math.max(0, orders - (await storedOrders(bench)));
    console.log(`Copying the ${copies.orders} finished orders until ${orders} are stored …`);
    const beganMs = performance.now();
    await copies.make(Math.ceil(missing / copies.orders), (done) => {
      console.log(`  ${done * copies.orders} copies after ${((performance.now() - beganMs) / 1_000).toFixed(0)} s`);
    });
    await tidy(bench);
    await startProcesses(bench);
    const many = await measure(bench, told, options);
    await bench.untilQuiet();

    const [{ bytes }] = (
      await bench.database.query<{ bytes: number }>("SELECT pg_database_size(current_database())::float8 AS bytes")
    ).rows as [{ bytes: number }];
    console.table(sideBySide(["few", "many"], few.paces, many.paces));
    console.log(
      `few: ${few.from} orders stored at the beginning, ${few.to} at the end; many: ${many.from} and ${many.to}, in ${(bytes / 1e9).toFixed(2)} GB.`,
    );
    const auditMs = performance.now();
    const violations = await bench.audit(told, { quiet: false });
    const auditSeconds = (performance.now() - auditMs) / 1_000;
    console.log(
      `${violations === 0 ? "All invariants hold" : `${violations} invariants are violated`}; the audit took ${auditSeconds.toFixed(1)} s.`,
    );
    if (violations > 0) process.exitCode = 1;
    return { orders, few, many, databaseBytes: bytes, auditSeconds, violations };
  } finally {
    await bench.close();
  }
}

/** Resolves to the ids of orders that were bought and are COMPLETED. */
async function buyToTheEnd(bench: BenchShop): Promise<string[]> {
  const { graph, database, shop } = bench;
  const choose = twoOf(bench.skuIds, 1);
  const ids: string[] = [];
  const tokens = await bench.shoppers(buyers);
  await Promise.all(
    tokens.map(async (token, index) => {
      for (let bought = index; bought < boughtOrders; bought += buyers)
        ids.push((await purchase(graph, token, choose())).orderId);
    }),
  );
  await bench.untilQuiet();
  const staff = await operatorToken(shop.varDir);
  const sent = await database.query<{ id: string }>("SELECT id FROM fulfillment.shipments WHERE status = 'TO_PACK'");
  const shipments = sent.rows.map(({ id }) => id);
  await Promise.all(
    Array.from({ length: buyers }, async () => {
      for (let id = shipments.pop(); id !== undefined; id = shipments.pop()) {
        const input = () => ({ input: { idempotencyKey: randomUUID(), shipmentId: id } });
        await graph.ask(dispatchShipment, input(), staff);
        await graph.ask(recordDelivery, input(), staff);
      }
    }),
  );
  const open = "SELECT count(*)::int AS count FROM orders.orders WHERE status <> 'COMPLETED'";
  const giveUpAt = performance.now() + patienceMs;
  for (;;) {
    const [{ count }] = (await database.query<{ count: number }>(open)).rows as [{ count: number }];
    if (count === 0) return ids;
    if (performance.now() > giveUpAt) throw new Problem(`${count} orders did not come to their end.`);
    await sleep(300);
  }
}

interface Measured {
  /** Orders stored at the beginning and at the end. */
  from: number;
  to: number;
  /** By number of shoppers. */
  paces: Record<string, Pace>;
}

async function measure(
  bench: BenchShop,
  told: string[],
  { seconds, repeats, shopperCounts }: GrowthOptions,
): Promise<Measured> {
  const from = await storedOrders(bench);
  told.push(...(await warmUp(bench, seconds)));
  const runs: Record<string, Pace[]> = {};
  for (let repeat = 1; repeat <= repeats; repeat++) {
    for (const shoppers of shopperCounts) {
      const stretch = await shopFor(bench, { shoppers, seconds, seed: repeat * 1_000 + shoppers });
      told.push(...stretch.orderIds);
      (runs[shoppers] ??= []).push(stretch);
      console.log(
        `${repeat}/${repeats}: ${shoppers} shoppers, ${stretch.purchasesPerS.toFixed(1)} purchases/s with ${await storedOrders(bench)} orders`,
      );
    }
  }
  const paces = Object.fromEntries(Object.entries(runs).map(([shoppers, of]) => [shoppers, paceOf(of)]));
  return { from, to: await storedOrders(bench), paces };
}

async function storedOrders({ database }: BenchShop): Promise<number> {
  const { rows } = await database.query<{ count: number }>("SELECT count(*)::int AS count FROM orders.orders");
  return rows[0]!.count;
}

/** Everything but Postgres and the broker. */
function ownProcesses({ processNames }: BenchShop): string[] {
  return processNames.filter((name) => name !== postgres.name && name !== broker.name);
}

async function endProcesses(bench: BenchShop): Promise<void> {
  const { shop } = bench;
  const runs = (name: string) => {
    try {
      return shop.pidOf(name) > 0;
    } catch {
      return false;
    }
  };
  for (const name of ownProcesses(bench)) shop.order({ stop: name, signal: "SIGTERM" });
  const giveUpAt = performance.now() + patienceMs;
  while (ownProcesses(bench).some(runs)) {
    if (performance.now() > giveUpAt) throw new Problem("The services did not end within two minutes.");
    await sleep(100);
  }
}

/** As autovacuum does where orders come one by one. */
async function tidy({ database }: BenchShop): Promise<void> {
  await database.query("VACUUM ANALYZE");
  await database.query("CHECKPOINT");
}

async function startProcesses(bench: BenchShop): Promise<void> {
  for (const name of ownProcesses(bench)) bench.shop.order({ start: name });
  await bench.shop.untilReady(startPatienceMs);
}
