import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { EventLog } from "./eventlog.ts";
import { measureMessaging } from "./messaging-metrics.ts";
import type { MessagingMetricsOptions } from "./messaging-metrics.ts";
import { createMetrics } from "./metrics.ts";
import { worldService } from "./testing/kit-world.ts";
import { createListKeeper, kept } from "./testing/list-keeper.ts";
import type { ListKeeper } from "./testing/list-keeper.ts";
import { until } from "./testing/service.ts";

let keeper: ListKeeper;
let eventLog: EventLog;
beforeAll(async () => {
  keeper = await createListKeeper();
  eventLog = keeper.openEventLog(worldService);
});
afterAll(() => keeper.close());
afterEach(() => keeper.stop());

/** Returns a scrape: the values by name and topic. */
function measured(more: Partial<MessagingMetricsOptions> = {}) {
  const metrics = createMetrics({ service: worldService, processMetrics: false });
  measureMessaging({
    ...{ group: worldService, topics: ["payments"], db: keeper.db, eventLog, outboxFloor: () => 0 },
    ...{ log: keeper.log, metrics, freshMs: 0 },
    ...more,
  });
  return async () => {
    const lines = (await metrics.registry.metrics()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return Object.fromEntries(
      lines.map((line) => {
        const [, name, labels, value] = /^crowdcrunch_(\w+)\{(.*)\} (\S+)$/.exec(line)!;
        const topic = /topic="(\w+)"/.exec(labels!)?.[1];
        return [topic ? `${name} ${topic}` : name!, Number(value)];
      }),
    );
  };
}

test("say what waits in the outbox, in the log, for its time and for a person", async () => {
  const scrape = measured();
  expect(await scrape()).toEqual({
    ...{ outbox_pending: 0, outbox_oldest_seconds: 0, waiting_events: 0, parked_events: 0, "consumer_lag payments": 0 },
  });
  await keeper.db.transaction(async (tx) => {
    for (const text of ["a", "b"]) tx.emit(kept.create({ list: "out", text }, { sequence: 1 }));
  });
  await keeper.ask("UPDATE outbox SET time = now() - interval '90 s' WHERE id = (SELECT min(id) FROM outbox)");
  await keeper.publish(keeper.add("l", "a"), keeper.add("m", "a"), keeper.add("n", "a after b"));
  const behind = await scrape();
  expect(behind).toMatchObject({ outbox_pending: 2, "consumer_lag payments": 3 });
  expect(behind["outbox_oldest_seconds"]).toBeGreaterThanOrEqual(90);
  expect(behind["outbox_oldest_seconds"]).toBeLessThan(150);

  keeper.refused.add("poison");
  await keeper.publish(keeper.add("o", "poison"), keeper.add("o", "behind"));
  await keeper.start();
  await keeper.settled();
  await keeper.ask("DELETE FROM outbox");
  await until(async () => (await scrape())["consumer_lag payments"] === 0, "the end of the lag");
  expect(await scrape()).toMatchObject({
    ...{ outbox_pending: 0, outbox_oldest_seconds: 0, waiting_events: 1, parked_events: 2 },
  });
});

test("ask nobody twice within the time that a sample is good for, however often they are scraped", async () => {
  let asked = 0;
  const counting = { lag: (group: string, topics: string[]) => (asked++, eventLog.lag(group, topics)) };
  const scrape = measured({ eventLog: counting, freshMs: 300 });
  await Promise.all(Array.from({ length: 20 }, () => scrape()));
  await scrape();
  expect(asked).toBe(1);
  await new Promise((resolve) => setTimeout(resolve, 350));
  await scrape();
  expect(asked).toBe(2);
});

test("claim nothing while the event log does not answer, and hold up no scrape", async () => {
  const refusing = measured({ eventLog: { lag: () => Promise.reject(new Error("away")) } });
  expect(await refusing()).not.toHaveProperty("consumer_lag payments");
  expect((await refusing())["outbox_pending"]).toBe(0);

  const silent = measured({ eventLog: { lag: () => new Promise(() => {}) }, patienceMs: 50 });
  const beganMs = performance.now();
  expect(await silent()).not.toHaveProperty("consumer_lag payments");
  expect(performance.now() - beganMs).toBeLessThan(2_000);
});

test("claim nothing while the database does not answer", async () => {
  const away = { ...keeper.db, one: () => Promise.reject(new Error("away")) };
  expect((await measured({ db: away })())["outbox_pending"]).toBeNaN();
});
