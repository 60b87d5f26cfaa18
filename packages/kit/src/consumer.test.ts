import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { statement } from "./database.ts";
import { createListKeeper, kept } from "./testing/list-keeper.ts";
import type { ListKeeper } from "./testing/list-keeper.ts";
import { until } from "./testing/service.ts";

let keeper: ListKeeper;
beforeAll(async () => {
  keeper = await createListKeeper();
});
afterAll(() => keeper.close());
afterEach(async () => {
  await keeper.stop();
  keeper.before = async () => {};
});

const backend = statement<{ pid: number }>("testBackend", "SELECT pg_backend_pid() AS pid");
const impatient = statement("testImpatient", "SET LOCAL lock_timeout = '20ms'");
const touchFirst = statement("testTouchFirst", "UPDATE incidents SET detail = detail WHERE subject = $1");

describe("the inbox", () => {
  test("an event that is delivered ten times has one effect", async () => {
    const once = keeper.add("once", "a");
    // In one batch, and in batches of their own.
    await keeper.publish(once, once, once, once, once);
    await keeper.start();
    await keeper.settled();
    for (let time = 0; time < 5; time++) await keeper.publish(once);
    await keeper.settled();
    expect(await keeper.entries("once")).toEqual(["a"]);
    expect(await keeper.ask("SELECT FROM outbox WHERE key = 'once'")).toHaveLength(1);
    expect(await keeper.ask("SELECT FROM inbox WHERE event_id = $1", [once.id])).toHaveLength(1);
  });

  test("types that nobody handles are left alone and not recorded", async () => {
    const foreign = keeper.add("foreign", "a", { type: "payments.something-else.v1" });
    await keeper.start();
    await keeper.publish(foreign);
    await keeper.settled();
    expect(await keeper.ask("SELECT FROM inbox WHERE event_id = $1", [foreign.id])).toEqual([]);
    expect(await keeper.parked("foreign")).toEqual([]);
  });
});

describe("a batch", () => {
  test("is one transaction over all its keys, with what it emits", async () => {
    await keeper.publish(...["one", "two", "three"].flatMap((list) => [keeper.add(list, "a"), keeper.add(list, "b")]));
    await keeper.start();
    await keeper.settled();
    for (const list of ["one", "two", "three"]) expect(await keeper.entries(list)).toEqual(["a", "b"]);
    const written = "SELECT DISTINCT transaction FROM entries WHERE list IN ('one', 'two', 'three')";
    expect(await keeper.ask(written)).toHaveLength(1);
    const emitted = "SELECT type, xmin::text AS transaction FROM outbox WHERE key IN ('one', 'two', 'three')";
    const [{ transaction }] = (await keeper.ask(written)) as [{ transaction: string }];
    expect(await keeper.ask(emitted)).toEqual(Array(6).fill({ type: kept.type, transaction }));
  });

  test("whose handler fails leaves nothing behind but what its events leave one by one", async () => {
    keeper.refused.add("bad");
    const [good, bad] = [keeper.add("good", "a"), keeper.add("bad", "bad")];
    await keeper.publish(good, bad);
    await keeper.start();
    await keeper.settled();
    expect(await keeper.entries("good")).toEqual(["a"]);
    expect(await keeper.ask("SELECT key FROM outbox WHERE key IN ('good', 'bad')")).toEqual([{ key: "good" }]);
  });

  test("goes on where the process before it stopped", async () => {
    const first = await keeper.start();
    await keeper.publish(keeper.add("restart", "a"), keeper.add("restart", "b"));
    await keeper.settled();
    await first.stop();
    await keeper.publish(keeper.add("restart", "c"));
    expect(await keeper.entries("restart")).toEqual(["a", "b"]);
    await keeper.start();
    await keeper.publish(keeper.add("restart", "d"));
    await keeper.settled();
    expect(await keeper.entries("restart")).toEqual(["a", "b", "c", "d"]);
  });

  test("that runs when the consumer stops is finished first", async () => {
    const { promise: entered, resolve: enter } = Promise.withResolvers<void>();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    keeper.before = () => (enter(), released);
    const consumer = await keeper.start();
    await keeper.publish(keeper.add("stopping", "a"));
    await entered;
    const stopped = consumer.stop();
    release();
    await stopped;
    expect(await keeper.entries("stopping")).toEqual(["a"]);
  });
});

describe("what passes is tried again and never parked", () => {
  test("the end of the connection in the middle of a handler", async () => {
    let attempts = 0;
    keeper.before = async (tx) => {
      const [{ pid }] = (await tx.many(backend)) as [{ pid: number }];
      if (++attempts <= 2) await keeper.ask("SELECT pg_terminate_backend($1)", [pid]);
    };
    await keeper.start();
    await keeper.publish(keeper.add("cut", "a"), keeper.add("cut", "b"));
    await keeper.settled();
    expect(attempts).toBe(3);
    expect(await keeper.entries("cut")).toEqual(["a", "b"]);
    expect(await keeper.parked("cut")).toEqual([]);
    expect(await keeper.openIncidents("cut")).toEqual([]);
  });

  test("a lock that is not to be had in time", async () => {
    await keeper.ask("INSERT INTO incidents VALUES (gen_random_uuid(), 'LOCKED', 'locked', '')");
    const other = await keeper.admin.connect();
    await other.query("BEGIN");
    await other.query("UPDATE incidents SET detail = 'mine' WHERE subject = 'locked'");
    let attempts = 0;
    keeper.before = async (tx) => {
      attempts++;
      await tx.run(impatient);
      await tx.run(touchFirst, ["locked"]);
    };
    await keeper.start();
    await keeper.publish(keeper.add("locked", "a"));
    await until(() => attempts > 1, "a second attempt");
    expect(await keeper.entries("locked")).toEqual([]);
    await other.query("COMMIT");
    other.release();
    await keeper.settled();
    expect(await keeper.entries("locked")).toEqual(["a"]);
    expect(await keeper.parked("locked")).toEqual([]);
  });
});
