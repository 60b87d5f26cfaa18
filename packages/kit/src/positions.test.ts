import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createListKeeper, ofNoConcern } from "./testing/list-keeper.ts";
import type { ListKeeper } from "./testing/list-keeper.ts";
import { describeRestoredDatabases } from "./testing/restored-databases.ts";

let keeper: ListKeeper;
beforeAll(async () => {
  keeper = await createListKeeper();
});
afterAll(() => keeper.close());
afterEach(() => keeper.stop());

describeRestoredDatabases("a database that is restored, on the log over Postgres");

async function positions(): Promise<{ next: number }[]> {
  return keeper.ask("SELECT next FROM log_positions WHERE log <> ''");
}

async function rewinds(): Promise<number> {
  const values = (await keeper.metrics.counter("crowdcrunch_consumer_rewinds_total", "").get()).values;
  return values.reduce((sum, { value }) => sum + value, 0);
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
