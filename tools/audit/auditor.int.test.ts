import { startAuditor } from "@crowdcrunch/auditor/auditor";
import type { RunningAuditor } from "@crowdcrunch/auditor/auditor";
import { checkedInvariants } from "@crowdcrunch/auditor/invariants";
import { createLogger } from "@crowdcrunch/kit/logger";
import { createDatabase } from "@crowdcrunch/kit/testing/postgres";
import type { TestDatabase } from "@crowdcrunch/kit/testing/postgres";
import { until } from "@crowdcrunch/kit/testing/service";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { insertWorld, migrateAll } from "./testing/world.ts";

let database: TestDatabase;
let admin: Client;
let auditor: RunningAuditor;
const logged: Record<string, unknown>[] = [];

beforeAll(async () => {
  database = await createDatabase();
  admin = new Client({ connectionString: database.adminUrl });
  await admin.connect();
  auditor = await startAuditor({
    env: {
      PORT: "0",
      METRICS_PORT: "0",
      DATABASE_URL: database.url("auditor"),
      AUDIT_INTERVAL_SECONDS: "0.1",
      AUDIT_WINDOW_SECONDS: "0",
      AUDIT_BUSY_PERCENT: "100",
      AUDIT_STATEMENT_TIMEOUT_MS: "1000",
    },
    log: createLogger({
      service: "auditor",
      level: "info",
      destination: { write: (line: string) => void logged.push(JSON.parse(line)) },
    }),
    processMetrics: false,
  });
});

afterAll(async () => {
  await auditor?.stop();
  await admin?.end();
  await database?.drop();
});

/** A metric's values by invariant. */
async function metric(name: string): Promise<Map<string, number>> {
  const text = await (await fetch(`${auditor.healthUrl}/metrics`)).text();
  const lines = text.matchAll(new RegExp(`^${name}\\{.*invariant="(\\w+)".*\\} (\\S+)$`, "gm"));
  return new Map([...lines].map(([, invariant, value]) => [invariant!, Number(value)]));
}

const violations = async () =>
  [...(await metric("crowdcrunch_invariant_violations"))].flatMap(([name, rows]) => (rows > 0 ? [[name, rows]] : []));
const unchecked = async () =>
  [...(await metric("crowdcrunch_invariant_unchecked"))].flatMap(([name, is]) => (is === 1 ? [name] : []));
const page = async () => (await fetch(auditor.url)).text();

test("before there are schemas it lives, and says of each invariant that it is not checked", async () => {
  expect((await unchecked()).sort()).toEqual(checkedInvariants.map(({ name }) => name).sort());
  await until(() => logged.some(({ msg }) => String(msg).startsWith("waiting for the database")), "a word about it");
});

test("once there are, it checks all of them again and again, and finds nothing in a shop whose books agree", async () => {
  await migrateAll(database.url, createLogger({ service: "test", level: "silent" }));
  await insertWorld(admin, { orders: 32, products: 7 });
  await until(async () => (await unchecked()).length === 0, "a check of each");
  const before = await metric("crowdcrunch_invariant_last_check_timestamp_seconds");
  await until(async () => {
    const now = await metric("crowdcrunch_invariant_last_check_timestamp_seconds");
    return [...now].every(([name, seconds]) => seconds > before.get(name)!);
  }, "another check of each");
  expect(await violations()).toEqual([]);
  expect(await page()).not.toMatch(/VIOLATED|–/);
});

test("a violation of the books is counted, told once with its row, and gone when it is mended", async () => {
  const skus = "sku_id = (SELECT min(sku_id::text)::uuid FROM inventory.stock)";
  await admin.query(`UPDATE inventory.stock SET on_hand = on_hand + 1 WHERE ${skus}`);
  await until(async () => (await violations()).length > 0, "the violation");
  expect(await violations()).toEqual([["stock_is_its_movements", 1]]);
  expect(await page()).toMatch(/^ 9 VIOLATED On hand is the sum of stock movements.*\n {12}\{"sku_id"/m);
  await admin.query(`UPDATE inventory.stock SET on_hand = on_hand - 1 WHERE ${skus}`);
  await until(async () => (await violations()).length === 0, "that it holds again");
  const told = logged.filter(({ invariant }) => invariant === 9).map(({ msg, rows }) => [msg, (rows as [])?.length]);
  expect(told).toEqual([
    ["On hand is the sum of stock movements, per SKU and location.", 1],
    ["it holds again", undefined],
  ]);
});

test("it follows the log: an event that nobody received, a version left out, a row that went back", async () => {
  const { rows } = await admin.query("SELECT id::text FROM orders.orders WHERE number = 'W-2'");
  const order = rows[0].id as string;
  const append = (sequence: number) =>
    admin.query(
      `WITH head AS (UPDATE eventlog.heads SET next = next + 1 WHERE topic = 'orders' RETURNING next - 1 AS at)
       INSERT INTO eventlog.events (topic, partition, "offset", id, type, key, subject, sequence, time, republished, data, appended_at)
       SELECT 'orders', 0, at, overlay(gen_random_uuid()::text PLACING left($1, 13) FROM 1)::uuid, 'orders.order-delivered.v1', $1, $1, $2, now(), false, '{}', now()
       FROM head`,
      [order, sequence],
    );
  await append(5);
  await until(async () => (await violations()).length === 2, "the violations");
  expect(new Map((await violations()) as [string, number][])).toEqual(
    new Map([
      ["published_is_received", 1],
      ["versions_without_gap", 1],
    ]),
  );
  expect(await page()).toContain(`{"topic":"orders","subject":"${order}","version":5,"without":4}`);

  await append(4);
  await admin.query(`UPDATE orders.orders SET version = 5 WHERE id = $1`, [order]);
  await admin.query(`INSERT INTO exchanges.inbox SELECT id FROM eventlog.events WHERE type = 'orders.order-delivered.v1'
    ON CONFLICT DO NOTHING`);
  await until(async () => (await violations()).length === 0, "that all hold again");

  await admin.query("UPDATE orders.orders SET version = 6 WHERE id = $1", [order]);
  await until(async () => (await violations()).length === 1, "the aggregate that is ahead of its events");
  expect(await page()).toContain(`{"topic":"orders","subject":"${order}","events":5,"version":6}`);
  await append(6);
  await admin.query(`INSERT INTO exchanges.inbox SELECT id FROM eventlog.events WHERE type = 'orders.order-delivered.v1'
    ON CONFLICT DO NOTHING`);
  await until(async () => (await violations()).length === 0, "that all hold again");
});

test("a check that cannot be made is told as such, and what was found before stands", async () => {
  const locker = new Client({ connectionString: database.adminUrl });
  await locker.connect();
  await locker.query("BEGIN; LOCK TABLE payments.ledger_entries IN ACCESS EXCLUSIVE MODE");
  await until(async () => (await unchecked()).includes("ledger_balances"), "the check that waits too long");
  expect(await page()).toMatch(/^ {12}could not be checked: canceling statement due to statement timeout$/m);
  expect(await violations()).toEqual([]);
  await locker.query("ROLLBACK");
  await locker.end();
  await until(async () => (await unchecked()).length === 0, "another check");
});
