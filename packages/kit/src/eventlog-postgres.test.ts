import { randomUUID } from "node:crypto";
import { Client, Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connectionSettings } from "./database.ts";
import { postgresEventLog } from "./eventlog-postgres.ts";
import { createLogger } from "./logger.ts";
import { describeEventLog } from "./testing/eventlog-conformance.ts";
import { createWitness, eventually, putIntoOutbox, record, records } from "./testing/eventlog-world.ts";
import { createPostgresEventLogWorld } from "./testing/postgres-eventlog-world.ts";
import type { PostgresEventLogWorld } from "./testing/postgres-eventlog-world.ts";

const services = ["orders", "payments", "inventory"];

describeEventLog("the event log over Postgres", () => createPostgresEventLogWorld(services, { shuffleSeed: 7 }));

describe("the event log over Postgres, beyond what every log does", () => {
  let world: PostgresEventLogWorld;
  beforeAll(async () => {
    world = await createPostgresEventLogWorld(services);
    for (const service of services) await (await world.open(service)).ensureTopics([{ topic: service, partitions: 2 }]);
  });
  afterAll(() => world.close());

  const me = randomUUID();
  test.each([
    ["append to another's topic", "SELECT eventlog.append('payments', NULL)", []],
    ["create another's topic", "SELECT eventlog.create_topic('payments', 2)", []],
    ["read as another's group", "SELECT eventlog.poll('payments', $1, '{orders}', 1, 1000, '1 s', true)", [me]],
    [
      "read as a group that is only called alike",
      "SELECT eventlog.poll('orders_too', $1, '{orders}', 1, 1000, '1 s', true)",
      [me],
    ],
    ["commit for another's group", "SELECT eventlog.commit('payments.x', $1, '{orders}', '{0}', '{1}', '{5}')", [me]],
    ["balance another's group", "SELECT eventlog.balance('payments', $1, '{orders}', '1 s')", [me]],
    ["keep a lease in another's group", "SELECT eventlog.heartbeat('payments', $1, '1 s')", [me]],
    ["leave another's group", "SELECT eventlog.leave('payments', $1)", [me]],
    [
      "say where another's group begins",
      "SELECT eventlog.start_at('payments.x', $1, '{orders}', '{0}', '{1}', '{5}')",
      [me],
    ],
    ["remove another's events", "SELECT eventlog.trim('payments', '1 s', 1)", []],
    ["rewind another's group", "SELECT eventlog.rewind('payments', '{orders}')", []],
  ])("a service may not %s", async (_, sql, values) => {
    await expect(world.database("orders").query(sql, values)).rejects.toMatchObject({ code: "42501" });
  });

  test("a member that was taken for dead cannot commit", async () => {
    const db = world.database("orders");
    const [former, present] = [randomUUID(), randomUUID()];
    const balance = "SELECT eventlog.balance('orders.fenced', $1, '{orders}', $2)";
    const commit =
      "SELECT eventlog.commit('orders.fenced', $1, '{orders}', '{0}', ARRAY[$2::bigint], '{7}') AS partitions";
    const position =
      "SELECT member, epoch, committed FROM eventlog.positions WHERE group_name = 'orders.fenced' AND partition = 0";
    await db.query(balance, [former, "100 ms"]);
    expect((await db.query(position)).rows).toEqual([{ member: former, epoch: 1, committed: 0 }]);
    await db.query("SELECT pg_sleep(0.15)");
    await db.query(balance, [present, "10 s"]);
    expect((await db.query(position)).rows).toEqual([{ member: present, epoch: 2, committed: 0 }]);
    expect((await db.query(commit, [former, 1])).rows).toEqual([{ partitions: 0 }]);
    expect((await db.query(commit, [present, 1])).rows).toEqual([{ partitions: 0 }]);
    expect((await db.query(commit, [present, 2])).rows).toEqual([{ partitions: 1 }]);
    expect((await db.query(position)).rows).toEqual([{ member: present, epoch: 2, committed: 7 }]);
  });

  test("a member whose process was killed is replaced without waiting for its lease", async () => {
    const patient = await createPostgresEventLogWorld(services, { leaseMs: 60_000 });
    try {
      const [killed, next] = [createWitness(), createWitness()];
      const [killedLog, nextLog] = [await patient.open("orders"), await patient.open("orders")];
      await killedLog.ensureTopics([{ topic: "orders", partitions: 2 }]);
      await killedLog.append("orders", records(4, 2));
      await killedLog.consume(killed.subscription("orders", ["orders"], () => new Promise(() => {})));
      await eventually(() => expect(killed.seen.length).toBeGreaterThan(0));
      await patient.crash(killedLog);
      await eventually(async () => {
        const sessions = "SELECT FROM pg_stat_activity WHERE pid = (SELECT backend FROM eventlog.members)";
        const admin = new Client({ connectionString: patient.testDatabase.adminUrl });
        await admin.connect();
        const { rowCount } = await admin.query(sessions);
        await admin.end();
        expect(rowCount).toBe(0);
      });
      await nextLog.consume(next.subscription("orders", ["orders"]));
      await next.hasHandled(await Array.fromAsync(nextLog.read("orders")));
    } finally {
      await patient.close();
    }
  });

  test("a lease that runs out in a handler is reported, and the events go to another member", async () => {
    const [slow, other] = [createWitness(), createWitness()];
    const [slowLog, otherLog] = [await world.open("inventory"), await world.open("inventory")];
    const event = record("slow", 1);
    await slowLog.append("inventory", [event]);
    const { promise: taken, resolve: take } = Promise.withResolvers<void>();
    await slowLog.consume(slow.subscription("inventory", ["inventory"], () => taken));
    await eventually(() => expect(slow.seen).toHaveLength(1));
    // What a process that is suspended for longer than its lease looks like from outside.
    const admin = new Client({ connectionString: world.testDatabase.adminUrl });
    await admin.connect();
    await admin.query(
      "UPDATE eventlog.members SET lease_until = now() - interval '1 s' WHERE group_name = 'inventory'",
    );
    await admin.end();
    await otherLog.consume(other.subscription("inventory", ["inventory"]));
    await other.hasHandled([event]);
    take();
    await eventually(() => expect(String(slow.errors)).toContain("the lease had run out"));
  });

  test("relaying does not wait for the disk, appending does", async (context) => {
    const url = world.testDatabase.url("payments");
    const pool = new Pool({ ...connectionSettings({ url, applicationName: "test" }), max: 1 });
    const log = postgresEventLog({
      pool,
      url,
      service: "payments",
      log: createLogger({ service: "test", level: "silent" }),
    });
    /** Times that the pool's connection has waited for the disk. */
    async function fsyncs(): Promise<number> {
      await pool.query("SELECT pg_stat_force_next_flush()");
      const { rows } = await pool.query(
        "SELECT sum(fsyncs) AS fsyncs FROM pg_stat_get_backend_io(pg_backend_pid()) WHERE object = 'wal'",
      );
      return Number(rows[0].fsyncs);
    }
    try {
      if ((await pool.query("SHOW fsync")).rows[0].fsync === "off") context.skip("this run is without fsync");
      await putIntoOutbox(world.database("payments"), records(1, 10));
      const before = await fsyncs();
      for (let batch = 0; batch < 10; batch++) await log.relay({ topic: "payments", floor: 0, limit: 1 });
      expect(await fsyncs()).toBe(before);
      for (let batch = 0; batch < 10; batch++) await log.append("payments", records(1, 1));
      expect(await fsyncs()).toBeGreaterThan(before);
    } finally {
      await log.close();
      await pool.end();
    }
  });
});
