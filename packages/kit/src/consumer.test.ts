import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { statement } from "./database.ts";
import { createListKeeper, kept, ofNoConcern } from "./testing/list-keeper.ts";
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
const hurried = statement("testHurried", "SET LOCAL statement_timeout = '30ms'");
const slow = statement("testSlow", "SELECT pg_sleep(5)");
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

  test.each([
    ["one that is declared and not handled here", ofNoConcern],
    ["whatever its version", ofNoConcern.replace("v1", "v7")],
  ])("an event of no concern is left alone and not recorded: %s", async (_, type) => {
    const foreign = keeper.add("foreign", "a", { type });
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

describe("a statement that takes too long", () => {
  /** Lets the events of a list meet the time-out so many times. */
  function slowFor(list: string, times: number): { met: number } {
    const count = { met: 0 };
    keeper.before = async (tx, events) => {
      if (count.met >= times || !events.some((event) => event.data.list === list)) return;
      count.met++;
      await tx.run(hurried);
      await tx.run(slow);
    };
    return count;
  }

  test("a few times is the database's load: nothing is parked", async () => {
    const count = slowFor("loaded", 4);
    await keeper.publish(keeper.add("beside", "a"), keeper.add("loaded", "a"), keeper.add("loaded", "b"));
    await keeper.start();
    await keeper.settled();
    expect(count.met).toBe(4);
    for (const [list, entries] of [
      ["loaded", ["a", "b"]],
      ["beside", ["a"]],
    ] as const)
      expect(await keeper.entries(list)).toEqual(entries);
    expect(await keeper.parked("loaded")).toEqual([]);
  });

  test("each time is the event's own fault: it is parked, and others flow", async () => {
    const count = slowFor("heavy", Number.POSITIVE_INFINITY);
    await keeper.publish(keeper.add("heavy", "a"), keeper.add("light", "a"), keeper.add("heavy", "b"));
    await keeper.start();
    await keeper.settled();
    expect(await keeper.entries("light")).toEqual(["a"]);
    expect(await keeper.entries("heavy")).toEqual([]);
    expect(await keeper.parked("heavy")).toEqual(["a", "b"]);
    expect((await keeper.openIncidents("heavy"))[0]?.detail).toContain("statement timeout");
    expect(count.met).toBeGreaterThanOrEqual(5);
    expect(count.met).toBeLessThan(20);
  });

  test("of one that waited is its own fault too", async () => {
    await keeper.start();
    await keeper.publish(keeper.add("patient", "b after a"));
    await keeper.settled();
    await keeper.stop();
    const count = slowFor("patient", Number.POSITIVE_INFINITY);
    // Only the sweep tries it: nothing else of its key comes.
    await keeper.start({ sweepMs: 20 });
    await until(async () => (await keeper.parked("patient")).length === 1, "the parked event");
    expect(await keeper.parked("patient")).toEqual(["b after a"]);
    expect((await keeper.openIncidents("patient"))[0]?.detail).toContain("statement timeout");
    expect(count.met).toBeGreaterThanOrEqual(5);
  });
});

describe("the inbox's days", () => {
  const days = async () =>
    (
      await keeper.ask(
        "SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = 'inbox'::regclass",
      )
    )
      .map(({ relname }) => relname as string)
      .toSorted();
  const day = async (offset: number) =>
    (await keeper.ask(`SELECT 'inbox_' || to_char(current_date + ${offset}, 'YYYYMMDD') AS name`))[0].name as string;

  test("are made ahead, and dropped with what is in them once no redelivery can come; what has no day stays", async () => {
    await keeper.ask(`DO $$ BEGIN
      FOR back IN 7..10 LOOP
        EXECUTE format('CREATE TABLE inbox_%s PARTITION OF inbox FOR VALUES FROM (%L) TO (%L)',
          to_char(current_date - back, 'YYYYMMDD'), inbox_bound(current_date - back), inbox_bound(current_date - back + 1));
        EXECUTE format('ALTER TABLE inbox_%s OWNER TO orders_owner', to_char(current_date - back, 'YYYYMMDD'));
        INSERT INTO inbox VALUES (inbox_bound(current_date - back));
      END LOOP;
    END $$`);
    const before = (await keeper.ask("SELECT count(*)::int AS rows FROM inbox"))[0].rows as number;
    await keeper.start();
    await until(async () => !(await days()).includes(await day(-9)), "the drop of old days");
    const left = await days();
    for (const offset of [0, 1, 2, 3, -7, -8]) expect(left).toContain(await day(offset));
    for (const offset of [-9, -10]) expect(left).not.toContain(await day(offset));
    expect(left).toContain("inbox_default");
    expect((await keeper.ask("SELECT count(*)::int AS rows FROM inbox"))[0].rows).toBe(before - 2);
    // Today's events go into today's partition, so that they can be dropped with it.
    await keeper.publish(keeper.add("today", "a"));
    await keeper.settled();
    expect(await keeper.ask(`SELECT FROM ${await day(0)}`)).not.toEqual([]);
  });
});
