import { event } from "@crowdcrunch/events/contract";
import Type from "typebox";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatabase, statement, untilAvailable } from "./database.ts";
import type { Transaction } from "./database.ts";
import { isTurnedAway, isUnavailable } from "./errors.ts";
import { createKitWorld, worldService } from "./testing/kit-world.ts";
import type { KitWorld } from "./testing/kit-world.ts";
import { startTcpProxy } from "./testing/tcp-proxy.ts";

const counted = event(
  { topic: worldService, name: "counter-raised", version: 1, key: "counter", subject: "counter" },
  Type.Object({ counter: Type.String() }),
);
const insert = statement("counterInsert", "INSERT INTO counters (name, count) VALUES ($1, $2)");
const raise = statement("counterRaise", "UPDATE counters SET count = count + 1 WHERE name = $1");
const find = statement<{ count: number }>("counterFind", "SELECT count FROM counters WHERE name = $1");
const repeatable = statement("repeatable", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
const impatient = statement("impatient", "SET LOCAL lock_timeout = '50ms'");
const never = statement("conflict", "DO $$ BEGIN RAISE 'always' USING ERRCODE = '40001'; END $$");
const nonsense = statement("nonsense", "SELECT 1 / 0");
const prepared = statement<{ name: string }>("prepared", "SELECT name FROM pg_prepared_statements ORDER BY name");
const durability = statement<{ synchronous_commit: string }>("durability", "SHOW synchronous_commit");
const suicide = statement("suicide", "SELECT pg_terminate_backend(pg_backend_pid())");
const backend = statement<{ pid: number }>("backend", "SELECT pg_backend_pid() AS pid");

let world: KitWorld;
beforeAll(async () => {
  world = await createKitWorld(
    `CREATE TABLE counters (name text PRIMARY KEY, count bigint NOT NULL);
     GRANT SELECT, INSERT, UPDATE ON counters TO :"role"`,
  );
});
afterAll(() => world.close());

async function count(name: string): Promise<number | undefined> {
  return (await world.db.one(find, [name]))?.count;
}

function emit(tx: Transaction, counter: string): void {
  tx.emit(counted.create({ counter }, { sequence: 1 }));
}

/** Resolves for all when as many as `callers` have called. */
function meeting(callers: number): () => Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  return () => (--callers === 0 ? (resolve(), promise) : promise);
}

test("a deadlock's victim is tried again, and both get through with what they emit", async () => {
  for (const name of ["left", "right"]) await world.db.run(insert, [name, 0]);
  const met = meeting(2);
  let attempts = 0;
  const inOrder = (first: string, second: string) =>
    world.db.transaction(async (tx) => {
      attempts++;
      await tx.run(raise, [first]);
      emit(tx, first);
      await met();
      await tx.run(raise, [second]);
    });
  await Promise.all([inOrder("left", "right"), inOrder("right", "left")]);
  expect(attempts).toBeGreaterThanOrEqual(3);
  expect([await count("left"), await count("right")]).toEqual([2, 2]);
  expect(await world.ask("SELECT key FROM outbox WHERE key IN ('left', 'right') ORDER BY key")).toEqual([
    { key: "left" },
    { key: "right" },
  ]);
});

test("a serialization failure is tried again; actions after the commit run once", async () => {
  await world.db.run(insert, ["serial", 0]);
  let attempts = 0;
  let actions = 0;
  await world.db.transaction(async (tx) => {
    attempts++;
    tx.afterCommit(() => actions++);
    await tx.run(repeatable);
    await tx.one(find, ["serial"]);
    if (attempts === 1) await world.db.run(raise, ["serial"]);
    await tx.run(raise, ["serial"]);
  });
  expect([attempts, actions, await count("serial")]).toEqual([2, 1, 2]);
});

test("it is given up after five attempts", async () => {
  let attempts = 0;
  await expect(world.db.transaction((tx) => (attempts++, tx.run(never)))).rejects.toMatchObject({ code: "40001" });
  expect(attempts).toBe(5);
});

test("a failed statement rolls back everything, the outbox too, even where the failure is passed over", async () => {
  const failing = (passOver: boolean) =>
    world.db.transaction(async (tx) => {
      await tx.run(insert, ["failed", 1]);
      emit(tx, "failed");
      tx.afterCommit(() => expect.unreachable());
      const failed = tx.run(nonsense);
      await (passOver ? failed.catch(() => {}) : failed);
    });
  await expect(failing(false)).rejects.toMatchObject({ code: "22012" });
  await expect(failing(true)).rejects.toMatchObject({ code: "25P02" });
  // Without an event nothing but the answer to COMMIT tells of it.
  const unseen = world.db.transaction(async (tx) => {
    await tx.run(insert, ["failed", 1]);
    await tx.run(nonsense).catch(() => {});
  });
  await expect(unseen).rejects.toThrow("failed unseen");
  expect(await count("failed")).toBeUndefined();
  expect(await world.ask("SELECT FROM outbox WHERE key = 'failed'")).toEqual([]);
});

test("a lost connection fails its transaction as unavailable; the next one goes over another", async () => {
  const one = openDatabase({
    ...world,
    url: world.testDatabase.url(worldService),
    connections: 1,
    applicationName: "one",
  });
  try {
    const lost = one.transaction(async (tx) => {
      await tx.run(insert, ["lost", 1]);
      await world.ask("SELECT pg_terminate_backend($1)", [(await tx.one(backend))!.pid]);
      await tx.run(raise, ["lost"]);
    });
    expect(await lost.catch(isUnavailable)).toBe(true);
    await one.transaction((tx) => tx.run(insert, ["found", 1]));
  } finally {
    await one.close();
  }
  expect([await count("lost"), await count("found")]).toEqual([undefined, 1]);
});

test("a connection that is half-open fails what was sent over it as unavailable, and those beside it are not tried", async () => {
  const url = new URL(world.testDatabase.url(worldService));
  const proxy = await startTcpProxy({ host: url.hostname, port: Number(url.port) });
  url.port = String(proxy.port);
  const options = { url: url.href, connections: 3, silenceMs: 500, applicationName: "half-open" };
  const one = openDatabase({ ...world, ...options });
  try {
    await Promise.all([1, 2, 3].map(() => one.one(backend)));
    const lost = one.transaction(async (tx) => {
      await tx.run(insert, ["silent", 1]);
      await proxy.set({ strand: true });
      await Promise.all([tx.run(raise, ["silent"]), tx.one(find, ["silent"])]);
    });
    expect(await lost.catch(isUnavailable)).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await one.transaction((tx) => tx.run(insert, ["heard", 1]));
  } finally {
    await one.close();
    await proxy.close();
  }
  expect([await count("silent"), await count("heard")]).toEqual([undefined, 1]);
});

test("who finds no free connection in time is turned away, and what was lost on its way is told from that", async () => {
  const few = { url: world.testDatabase.url(worldService), applicationName: "few", connections: 1, queueMs: 200 };
  const db = openDatabase({ ...world, ...few });
  const free = Promise.withResolvers<void>();
  try {
    // Connected before, so that the connection alone is waited for.
    await db.one(backend);
    const held = db.transaction(() => free.promise);
    const refused = await db.one(backend).catch((error: unknown) => error);
    free.resolve();
    await held;
    const lost = await db.one(suicide).catch((error: unknown) => error);
    expect([refused, lost].map((error) => [isUnavailable(error), isTurnedAway(error)])).toEqual([
      [true, true],
      [true, false],
    ]);
  } finally {
    await db.close();
  }
});

test("a lock that is not to be had in time is IN_PROGRESS, to be tried again", async () => {
  await world.db.run(insert, ["busy", 0]);
  const other = await world.admin.connect();
  await other.query("BEGIN; UPDATE counters SET count = 5 WHERE name = 'busy'");
  const waiting = world.db.transaction(async (tx) => {
    await tx.run(impatient);
    await tx.run(raise, ["busy"]);
  });
  await expect(waiting).rejects.toMatchObject({ code: "IN_PROGRESS", retryAfterMs: 500 });
  await other.query("ROLLBACK");
  other.release();
  expect(await count("busy")).toBe(0);
});

test("bigints come as numbers; beyond the safe integers they are an error and no wrong number", async () => {
  await world.db.run(insert, ["large", String(Number.MAX_SAFE_INTEGER)]);
  expect(await count("large")).toBe(Number.MAX_SAFE_INTEGER);
  await world.db.run(insert, ["too large", "9007199254740992"]);
  await expect(count("too large")).rejects.toThrow("9007199254740992 is beyond the safe integers");
  // The connection is as good as before.
  expect(await count("large")).toBe(Number.MAX_SAFE_INTEGER);
});

test("statements are prepared once, under their names", async () => {
  const names = await world.db.transaction(async (tx) => {
    await tx.one(find, ["any"]);
    await tx.one(find, ["other"]);
    return (await tx.many(prepared)).map(({ name }) => name);
  });
  expect(names).toContain("counterFind");
});

test("a commit waits for the disk unless it is told not to", async () => {
  const of = (options: { durable?: boolean }) =>
    world.db.transaction(async (tx) => (await tx.one(durability))?.synchronous_commit, options);
  expect([await of({}), await of({ durable: false }), await of({})]).toEqual(["on", "off", "on"]);
});

test("waiting for the database passes over its absence and nothing else", async () => {
  const waiting = { log: world.log, waiting: "test", signal: new AbortController().signal };
  let attempts = 0;
  const late = async () => {
    if (++attempts < 3) throw Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
    return "there";
  };
  expect(await untilAvailable(late, waiting)).toBe("there");
  await expect(untilAvailable(() => Promise.reject(new Error("a bug")), waiting)).rejects.toThrow("a bug");
  await expect(untilAvailable(late, { ...waiting, signal: AbortSignal.abort(new Error("stop")) })).rejects.toThrow(
    "stop",
  );
});
