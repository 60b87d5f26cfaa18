import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { until } from "./testing/service.ts";
import { createListKeeper, ofNoConcern } from "./testing/list-keeper.ts";
import type { ListKeeper } from "./testing/list-keeper.ts";
import { recordLog } from "./testing/log-lines.ts";
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

test("what retention took before it was handled stops the consumer, until a person lets it read again", async () => {
  await keeper.start();
  await keeper.publish(keeper.add("retained", "a"));
  await keeper.settled();
  await keeper.stop();
  await keeper.publish(keeper.add("retained", "lost"));
  await keeper.ask("UPDATE eventlog.events SET appended_at = appended_at - interval '2 days'");
  await keeper.keepFor(86_400_000);
  await until(async () => (await keeper.ask("SELECT FROM eventlog.events")).length === 0, "the removal");
  await keeper.publish(keeper.add("retained", "b"));

  const { log, lines } = recordLog();
  const consumer = await keeper.start({ log });
  await until(() => consumer.hasGivenUp(), "that it gives up");
  expect(lines.some(({ msg, level }) => level === "fatal" && msg.includes("read again"))).toBe(true);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(await keeper.entries("retained")).toEqual(["a"]);
  // Starting again does not help: nothing is skipped because somebody was in a hurry.
  await keeper.stop();
  const again = await keeper.start();
  await until(() => again.hasGivenUp(), "that it gives up again");

  expect(await again.readAgain()).toBe(1);
  await keeper.settled();
  expect(await keeper.entries("retained")).toEqual(["a", "b"]);
  expect(again.hasGivenUp()).toBe(false);
  // From here on it is as any other.
  await keeper.stop();
  await keeper.start();
  await keeper.publish(keeper.add("retained", "c"));
  await keeper.settled();
  expect(await keeper.entries("retained")).toEqual(["a", "b", "c"]);
});

test("reading again while another member reads is refused, and harms nobody", async () => {
  const [one] = [await keeper.start(), await keeper.start()];
  await keeper.publish(keeper.add("shared", "a"));
  await keeper.settled();
  await expect(one.readAgain()).rejects.toThrow(/has members/);
  await keeper.publish(keeper.add("shared", "b"), keeper.add("other", "b"));
  await keeper.settled();
  expect(await keeper.entries("shared")).toEqual(["a", "b"]);
});
