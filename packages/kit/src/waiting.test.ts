import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createListKeeper } from "./testing/list-keeper.ts";
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
  keeper.refused.clear();
});

async function waiting(list: string): Promise<{ text: string; attempts: number; in_ms: number }[]> {
  return keeper.ask(
    `SELECT event->'data'->>'text' AS text, attempts,
            (extract(epoch FROM next_attempt_at - now()) * 1000)::float8 AS in_ms
     FROM waiting WHERE key = $1 ORDER BY since, event_id`,
    [list],
  );
}

test("what must wait is kept, and handled when its key changes, a whole chain of it", async () => {
  await keeper.start();
  await keeper.publish(keeper.add("chain", "c after b"), keeper.add("chain", "b after a"));
  await keeper.settled();
  expect((await waiting("chain")).map(({ text }) => text)).toEqual(["c after b", "b after a"]);
  await keeper.publish(keeper.add("another", "a"));
  await keeper.settled();
  expect(await keeper.entries("chain")).toEqual([]);
  await keeper.publish(keeper.add("chain", "a"));
  await keeper.settled();
  expect(await keeper.entries("chain")).toEqual(["a", "b", "c"]);
  expect(await waiting("chain")).toEqual([]);
});

test("events of one batch may wait for later ones of the batch", async () => {
  await keeper.publish(keeper.add("upside-down", "b after a"), keeper.add("upside-down", "a"));
  await keeper.start();
  await keeper.settled();
  expect(await keeper.entries("upside-down")).toEqual(["a", "b"]);
});

test("it is tried again with growing pauses, by any process, without anything happening on its key", async () => {
  const event = keeper.add("patient", "b after a");
  const first = await keeper.start();
  await keeper.publish(event);
  await until(async () => (await waiting("patient"))[0]?.attempts === 2, "a second attempt");
  const [second] = await waiting("patient");
  expect(second!.in_ms).toBeGreaterThan(200);
  await first.stop();
  await keeper.ask("UPDATE waiting SET attempts = 9, next_attempt_at = now() WHERE event_id = $1", [event.id]);
  await keeper.ask("INSERT INTO entries (list, text, event_id) VALUES ('other', 'a', gen_random_uuid())");
  const again = await keeper.start();
  await until(async () => (await waiting("patient"))[0]?.attempts === 10, "another attempt");
  expect((await waiting("patient"))[0]!.in_ms).toBeGreaterThan(25_000);
  await again.stop();
  // What it waits for comes from elsewhere: only the sweep can find out.
  await keeper.ask("INSERT INTO entries (list, text, event_id) VALUES ('patient', 'a', gen_random_uuid())");
  await keeper.ask("UPDATE waiting SET next_attempt_at = now() WHERE event_id = $1", [event.id]);
  await keeper.start();
  await until(async () => (await keeper.entries("patient")).length === 2, "b");
  expect(await waiting("patient")).toEqual([]);
});

test("what has waited too long is parked, and later events of its key behind it", async () => {
  const first = await keeper.start();
  await keeper.publish(keeper.add("overdue", "b after a"));
  await keeper.settled();
  await first.stop();
  await keeper.ask(
    "UPDATE waiting SET since = now() - interval '61 seconds', next_attempt_at = now() WHERE key = 'overdue'",
  );
  await keeper.start({ waitAtMostSeconds: 60 });
  await until(async () => (await keeper.parked("overdue")).length === 1, "the parked event");
  expect(await waiting("overdue")).toEqual([]);
  expect((await keeper.openIncidents("overdue"))[0]?.detail).toContain("waited 60 s");
  await keeper.publish(keeper.add("overdue", "a"));
  await keeper.settled();
  expect(await keeper.parked("overdue")).toEqual(["b after a", "a"]);
});

test("of what waits on a key only what cannot be handled is parked", async () => {
  const first = await keeper.start();
  const texts = ["x after never", "y after a", "z after never"];
  await keeper.publish(...texts.map((text) => keeper.add("mixed", text)));
  await keeper.settled();
  await first.stop();
  keeper.refused.add("y after a");
  await keeper.ask("UPDATE waiting SET next_attempt_at = now() WHERE key = 'mixed'");
  await keeper.start();
  await until(async () => (await keeper.parked("mixed")).length > 0, "the parked event");
  expect(await keeper.parked("mixed")).toEqual(["y after a"]);
  expect((await waiting("mixed")).map(({ text }) => text)).toEqual(["x after never", "z after never"]);
});

test("a sweep and a batch at the same moment do not both handle it", async () => {
  const first = await keeper.start();
  await keeper.publish(keeper.add("race", "b after a"));
  await keeper.settled();
  await first.stop();
  await keeper.ask("UPDATE waiting SET next_attempt_at = now() WHERE key = 'race'");

  const { promise: swept, resolve: sweep } = Promise.withResolvers<void>();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  keeper.before = async (_, events) => {
    if (events.length !== 1 || events[0]!.data.text !== "b after a") return;
    sweep();
    await released;
  };
  await keeper.start();
  await swept;
  // The sweep has the event in its hands, and what it waits for is already there when it goes on.
  await keeper.ask("INSERT INTO entries (list, text, event_id) VALUES ('race', 'a', gen_random_uuid())");
  await keeper.publish(keeper.add("race", "c"));
  await until(
    async () => (await keeper.ask("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")).length > 0,
    "the batch at the sweep's lock",
  );
  release();
  await keeper.settled();
  expect((await keeper.entries("race")).sort()).toEqual(["a", "b", "c"]);
  expect(await waiting("race")).toEqual([]);
});
