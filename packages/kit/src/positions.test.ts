import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createLogger } from "./logger.ts";
import { createListKeeper, ofNoConcern } from "./testing/list-keeper.ts";
import type { ListKeeper } from "./testing/list-keeper.ts";
import { until } from "./testing/service.ts";

let keeper: ListKeeper;
beforeAll(async () => {
  keeper = await createListKeeper();
});
afterAll(() => keeper.close());
afterEach(() => keeper.stop());

/** The tables that a service's own backup has: all but what it counts and the log itself. */
const tables = ["entries", "inbox", "log_positions", "outbox", "waiting", "parked", "incidents"];

async function backUp(): Promise<void> {
  await keeper.ask("DROP SCHEMA IF EXISTS backup CASCADE; CREATE SCHEMA backup");
  for (const table of tables) await keeper.ask(`CREATE TABLE backup.${table} AS SELECT * FROM ${table}`);
}

/** Puts the service's schema back to the backup; the event log and its offsets are another's and go on. */
async function restore(): Promise<void> {
  await keeper.ask(`TRUNCATE ${tables.join(", ")}`);
  for (const table of tables) {
    await keeper.ask(`INSERT INTO ${table} OVERRIDING SYSTEM VALUE SELECT * FROM backup.${table}`);
  }
}

async function rewinds(): Promise<number> {
  const values = (await keeper.metrics.counter("crowdcrunch_consumer_rewinds_total", "").get()).values;
  return values.reduce((sum, { value }) => sum + value, 0);
}

/** A log whose lines can be looked at. */
function recordLog() {
  const lines: { msg: string }[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  return { lines, log: createLogger({ service: "test", level: "info", destination }) };
}

async function positions(): Promise<{ next: number }[]> {
  return keeper.ask("SELECT next FROM log_positions WHERE log <> ''");
}

test("the database stands, in the handlers' transaction, where its events end", async () => {
  await keeper.start();
  await keeper.publish(keeper.add("one", "a"), keeper.add("two", "a"), keeper.add("two", "b"));
  await keeper.settled();
  expect((await positions()).reduce((sum, { next }) => sum + next, 0)).toBe(3);
  const transactions =
    "SELECT DISTINCT xmin::text FROM entries UNION SELECT xmin::text FROM log_positions WHERE log <> ''";
  expect(await keeper.ask(transactions)).toHaveLength(1);
});

test("what is of no concern moves it too, though nobody opens a transaction for it", async () => {
  await keeper.start();
  const sum = async () => (await positions()).reduce((total, { next }) => total + next, 0);
  const before = await sum();
  await keeper.publish(
    ...Array.from({ length: 20 }, (_, index) => keeper.add(`foreign-${index}`, "a", { type: ofNoConcern })),
  );
  await keeper.settled();
  await keeper.stop();
  expect(await sum()).toBe(before + 20);
  // So a new start has nothing to read again.
  await keeper.start();
  await keeper.publish(keeper.add("after", "a"));
  await keeper.settled();
  expect(await rewinds()).toBe(0);
});

test("a database that was restored to an earlier point notices, reads again and catches up, each event once", async () => {
  await keeper.start();
  const lists = Array.from({ length: 12 }, (_, index) => `list-${index}`);
  await keeper.publish(...lists.map((list) => keeper.add(list, "a")));
  await keeper.settled();
  await keeper.stop();
  await backUp();

  await keeper.start();
  await keeper.publish(...lists.map((list) => keeper.add(list, "b")));
  await keeper.settled();
  keeper.refused.add("poison");
  await keeper.publish(keeper.add("list-0", "poison"), ...lists.map((list) => keeper.add(list, "c")));
  await keeper.settled();
  expect(await keeper.parked("list-0")).toEqual(["poison", "c"]);
  await keeper.stop();
  expect(await rewinds()).toBe(0);

  await restore();
  expect(await keeper.entries("list-1")).toEqual(["a"]);
  const { log, lines } = recordLog();
  await keeper.start({ log });
  // Its group has committed all, and nothing new comes to wake it.
  const all = "SELECT FROM entries WHERE list LIKE 'list-%'";
  await until(async () => (await keeper.ask(all)).length === 12 + 12 + 11, "the restored database to catch up");
  await until(async () => (await keeper.parked("list-0")).length === 2, "the parked events");
  for (const list of lists.slice(1)) expect(await keeper.entries(list)).toEqual(["a", "b", "c"]);
  expect(await keeper.entries("list-0")).toEqual(["a", "b"]);
  expect(await keeper.openIncidents("list-0")).toHaveLength(1);
  expect(await rewinds()).toBeGreaterThanOrEqual(2);
  expect(lines.filter(({ msg }) => /stands before what its group has committed/.test(msg)).length).toBe(
    await rewinds(),
  );

  // And it goes on as if nothing had been, also when it starts again.
  const count = await rewinds();
  await keeper.stop();
  await keeper.start();
  await keeper.publish(keeper.add("list-1", "d"));
  await keeper.settled();
  expect(await keeper.entries("list-1")).toEqual(["a", "b", "c", "d"]);
  expect(await rewinds()).toBe(count);
});

test("a database that was lost and made anew begins with the earliest event", async () => {
  await keeper.start();
  await keeper.publish(keeper.add("lost", "a"), keeper.add("lost", "b"));
  await keeper.settled();
  await keeper.stop();
  await keeper.ask(`TRUNCATE ${tables.join(", ")}; INSERT INTO log_positions VALUES ('', '', 0, 0)`);
  await keeper.start();
  await until(async () => (await keeper.entries("lost")).length === 2, "the events of the past");
});

test("a database from before the positions goes on where its group stands", async () => {
  await keeper.start();
  await keeper.publish(keeper.add("older", "a"));
  await keeper.settled();
  await keeper.stop();
  // Its inbox has dropped the days of old events, so that reading them again would be harm.
  await keeper.ask("TRUNCATE log_positions, inbox");
  await keeper.start();
  await keeper.publish(keeper.add("older", "b"));
  await keeper.settled();
  expect(await keeper.entries("older")).toEqual(["a", "b"]);
});
