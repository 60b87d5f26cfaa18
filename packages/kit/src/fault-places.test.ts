import { event } from "@crowdcrunch/events/contract";
import Type from "typebox";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { openDatabase, statement } from "./database.ts";
import type { Database } from "./database.ts";
import { FaultError, createFaults } from "./faults.ts";
import type { FaultInput, Faults } from "./faults.ts";
import { createRelay } from "./relay.ts";
import { createListKeeper } from "./testing/list-keeper.ts";
import type { ListKeeper } from "./testing/list-keeper.ts";
import { worldService } from "./testing/kit-world.ts";
import { until } from "./testing/service.ts";

const addEntry = statement("addEntry", "INSERT INTO entries (list, text, event_id) VALUES ($1, $2, $3)");
const said = event(
  { topic: worldService, name: "word-said", version: 1, key: "key", subject: "key" },
  Type.Object({ key: Type.String() }),
);

let keeper: ListKeeper;
let faults: Faults;
let db: Database;
beforeAll(async () => {
  keeper = await createListKeeper();
  faults = createFaults(keeper);
  const url = keeper.testDatabase.url(worldService);
  db = openDatabase({ ...keeper, url, applicationName: worldService, faults });
});
afterEach(async () => {
  faults.set([]);
  await keeper.stop();
});
afterAll(async () => {
  await db.close();
  await keeper.close();
});

const once = (point: string, action: string, match?: string): FaultInput => ({ point, action, times: 1, match });

/** The same faults, and what was true whenever a point was passed. */
function watched<Seen>(look: () => Promise<Seen>): { faults: Faults; passes: [string, string, Seen][] } {
  const passes: [string, string, Seen][] = [];
  return {
    passes,
    faults: {
      ...faults,
      get on() {
        return faults.on;
      },
      async at(point, detail = "") {
        const text = typeof detail === "string" ? detail : detail();
        passes.push([point, text, await look()]);
        return faults.at(point, text);
      },
    },
  };
}

describe("a transaction", () => {
  const add = (list: string) =>
    db.transaction(async (tx) => {
      await tx.run(addEntry, [list, "a", keeper.newId()]);
      tx.emit(said.create({ key: list }, { sequence: 1 }));
    });
  const stored = async (list: string) => ({
    entries: (await keeper.entries(list)).length,
    events: (await keeper.ask("SELECT FROM outbox WHERE key = $1", [list])).length,
  });
  const nothing = { entries: 0, events: 0 };
  const all = { entries: 1, events: 1 };

  test("that fails before its commit has done nothing, and the connection is good for the next", async () => {
    faults.set([once("transaction.before-commit", "error")]);
    await expect(add("before")).rejects.toThrow(FaultError);
    expect(await stored("before")).toEqual(nothing);
    await add("before");
    expect(await stored("before")).toEqual(all);
  });

  test("that fails after its commit has done all, and nobody was told", async () => {
    let told = 0;
    db.onEmitted(() => told++);
    faults.set([once("transaction.after-commit", "error")]);
    await expect(add("after")).rejects.toThrow(FaultError);
    expect(await stored("after")).toEqual(all);
    expect(told).toBe(0);
    await add("after again");
    expect(told).toBe(1);
  });

  test("whose connection is lost at its commit fails as unavailable, though it may be done; the pool replaces it", async () => {
    faults.set([once("transaction.before-commit", "cut")]);
    await expect(add("cut")).rejects.toThrow(/Connection terminated/);
    // The COMMIT was on its way.
    await until(async () => (await stored("cut")).entries === 1, "the commit");
    expect(await stored("cut")).toEqual(all);
    await add("cut again");
    expect(await stored("cut again")).toEqual(all);
  });

  test("is matched by the types of its events and the names of its statements", async () => {
    faults.set([once("transaction.before-commit", "error", "/^orders\\.word-said\\.v1 \\(addEntry,outboxInsert\\)$/")]);
    await db.transaction((tx) => tx.run(addEntry, ["match", "a", keeper.newId()]));
    expect(faults.list()).toMatchObject([{ passes: 0 }]);
    await expect(add("match")).rejects.toThrow(FaultError);
    faults.set([once("transaction.before-commit", "error", "addEntry")]);
    await expect(db.transaction((tx) => tx.run(addEntry, ["match", "b", keeper.newId()]))).rejects.toThrow(FaultError);
    expect(await keeper.entries("match")).toEqual(["a"]);
  });
});

describe("the relay", () => {
  async function relayed(list: string, fault: FaultInput) {
    const eventLog = keeper.openEventLog(worldService);
    await eventLog.ensureTopics([{ topic: worldService, partitions: 4 }]);
    const state = async () => {
      const events = await Array.fromAsync(eventLog.read(worldService));
      const outbox = await keeper.ask("SELECT FROM outbox WHERE key = $1", [list]);
      return { log: events.filter(({ key }) => key === list).length, outbox: outbox.length };
    };
    const { faults: seen, passes } = watched(state);
    // What other tests left goes first.
    const relay = createRelay({ ...keeper, topic: worldService, eventLog, faults: seen });
    relay.start();
    try {
      await until(async () => (await keeper.ask("SELECT FROM outbox")).length === 0, "an empty outbox");
      faults.set([fault]);
      // Its sweep finds nothing to move.
      await new Promise((resolve) => setTimeout(resolve, 1_200));
      expect(passes).toEqual([]);
      await keeper.db.transaction(async (tx) => tx.emit(said.create({ key: list }, { sequence: 1 })));
      relay.nudge();
      await until(async () => (await state()).outbox === 0, "an empty outbox");
      return { passes, final: await state() };
    } finally {
      await relay.stop();
    }
  }
  const type = "orders.word-said.v1";

  test("fails before it asks the log: the events stay, and go later", async () => {
    const { passes, final } = await relayed("relay before", once("relay.before-append", "error"));
    expect(passes[0]).toEqual(["relay.before-append", type, { log: 0, outbox: 1 }]);
    expect(faults.list()).toMatchObject([{ fired: 1 }]);
    expect(passes.map(([point]) => point)).toEqual([
      "relay.before-append",
      "relay.before-append",
      "relay.after-append",
    ]);
    expect(final).toEqual({ log: 1, outbox: 0 });
  });

  test("fails after the log has the events: with this log they are out of the outbox at the same moment", async () => {
    const { passes, final } = await relayed("relay after", once("relay.after-append", "error", type));
    expect(passes.at(-1)).toEqual(["relay.after-append", type, { log: 1, outbox: 0 }]);
    expect(faults.list()).toMatchObject([{ fired: 1 }]);
    expect(final).toEqual({ log: 1, outbox: 0 });
  });
});

describe("the consumer", () => {
  async function consumed(list: string, fault: FaultInput) {
    const { faults: seen, passes } = watched(() => keeper.entries(list));
    faults.set([fault]);
    await keeper.start({ faults: seen });
    await keeper.publish(keeper.add(list, "a"));
    await keeper.settled();
    await until(async () => (await keeper.entries(list)).length > 0, "the entry");
    expect(faults.list()).toMatchObject([{ fired: 1 }]);
    expect(await keeper.entries(list)).toEqual(["a"]);
    expect(await keeper.parked(list)).toEqual([]);
    return passes;
  }
  const type = "payments.text-added.v1";

  test("fails in the handler: the batch is rolled back and comes again", async () => {
    expect(await consumed("in handler", once("consumer.in-handler", "error", type))).toEqual([
      ["consumer.in-handler", type, []],
      ["consumer.in-handler", type, []],
      ["consumer.after-commit", type, ["a"]],
    ]);
  });

  test("fails between its commit and that of the offsets: the batch comes again and is skipped as seen", async () => {
    expect(await consumed("after commit", once("consumer.after-commit", "error", type))).toEqual([
      ["consumer.in-handler", type, []],
      ["consumer.after-commit", type, ["a"]],
      ["consumer.after-commit", type, ["a"]],
    ]);
  });
});
