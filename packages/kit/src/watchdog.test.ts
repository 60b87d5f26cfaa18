import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { EventLog } from "./eventlog.ts";
import { worldService } from "./testing/kit-world.ts";
import { createListKeeper } from "./testing/list-keeper.ts";
import type { ListKeeper } from "./testing/list-keeper.ts";
import { until } from "./testing/service.ts";
import { createWatchdog } from "./watchdog.ts";
import type { WatchdogOptions } from "./watchdog.ts";
import type { Worker } from "./worker.ts";

const stallMs = 300;
let keeper: ListKeeper;
let eventLog: EventLog;
let watchdog: Worker | undefined;
let exits = 0;
beforeAll(async () => {
  keeper = await createListKeeper();
  eventLog = keeper.openEventLog(worldService);
});
afterAll(() => keeper.close());
afterEach(async () => {
  keeper.before = async () => {};
  await watchdog?.stop();
  await keeper.stop();
  exits = 0;
});

function watch(consumer: WatchdogOptions["consumer"], more: Partial<WatchdogOptions> = {}): void {
  const databaseUrl = keeper.testDatabase.url(worldService);
  const exit = () => void exits++;
  watchdog = createWatchdog({
    ...{ group: worldService, consumer, eventLog, databaseUrl, log: keeper.log, exit, stallMs },
    ...more,
  });
  watchdog.start();
}

/** Lets a handler hang until it is released. */
function hang(): { entered: Promise<void>; release: () => void } {
  const { promise: entered, resolve: enter } = Promise.withResolvers<void>();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  keeper.before = () => (enter(), released);
  return { entered, release };
}

const several = () => new Promise((resolve) => setTimeout(resolve, 4 * stallMs));

test("a handler that never ends ends the process, though all that it needs is there", async () => {
  const { entered, release } = hang();
  watch(await keeper.start());
  await keeper.publish(keeper.add("hanging", "a"));
  await entered;
  const beganMs = performance.now();
  await until(() => exits > 0, "the exit");
  expect(performance.now() - beganMs).toBeGreaterThan(stallMs / 2);
  release();
});

test("a consumer with nothing to do, or much to do, is left alone", async () => {
  const consumer = await keeper.start();
  watch(consumer);
  await several();
  keeper.before = () => new Promise((resolve) => setTimeout(resolve, stallMs / 3));
  for (let round = 0; round < 6; round++) {
    await keeper.publish(keeper.add(`busy ${round}`, "a"));
    await new Promise((resolve) => setTimeout(resolve, stallMs / 2));
  }
  await keeper.settled();
  expect(exits).toBe(0);
});

test("so is one that tries again and again, and one that handles a failed batch one by one for long", async () => {
  let attempts = 0;
  keeper.before = async () => {
    attempts++;
    throw Object.assign(new Error("later"), { code: "55P03" });
  };
  watch(await keeper.start());
  await keeper.publish(keeper.add("again", "a"));
  await several();
  expect(attempts).toBeGreaterThan(3);
  expect(exits).toBe(0);

  keeper.before = async (_, events) => {
    if (events.length > 1) throw new Error("not together");
    await new Promise((resolve) => setTimeout(resolve, stallMs / 2));
  };
  await keeper.publish(...Array.from({ length: 8 }, (_, index) => keeper.add("slowly", `text ${index}`)));
  await keeper.settled();
  expect(await keeper.entries("slowly")).toHaveLength(8);
  expect(exits).toBe(0);
});

test("one that hangs while the event log or the database is away is left alone until they are back", async () => {
  const { entered, release } = hang();
  const consumer = await keeper.start();
  await keeper.publish(keeper.add("away", "a"));
  await entered;
  let asked = 0;
  const silent = { lag: () => (asked++, Promise.reject(new Error("nobody there"))) };
  watch(consumer, { eventLog: silent });
  await until(() => asked > 1, "two looks at a log that is away");
  expect(exits).toBe(0);
  await watchdog!.stop();

  const nowhere = new URL(keeper.testDatabase.url(worldService));
  nowhere.port = "1";
  watch(consumer, { databaseUrl: nowhere.href });
  await several();
  expect(exits).toBe(0);
  await watchdog!.stop();

  watch(consumer);
  await until(() => exits > 0, "the exit");
  release();
});

test("one that has given up waits for a person, and is left alone", async () => {
  await keeper.publish(keeper.add("given up", "a"));
  watch({ topics: ["payments"], lastProgressMs: () => 0, hasGivenUp: () => true });
  await several();
  expect(exits).toBe(0);
});
