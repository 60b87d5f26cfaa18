import { event } from "@crowdcrunch/events/contract";
import Type from "typebox";
import { Client } from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { maxEventBytes } from "./eventlog.ts";
import type { DeliveredEvent, EventLog, EventRecord } from "./eventlog.ts";
import type { OutgoingMessage } from "./eventlog-kafka/records.ts";
import { relayOutbox } from "./eventlog-kafka/relay.ts";
import { seededRandom } from "./eventlog-postgres/shuffle.ts";
import { createRelay } from "./relay.ts";
import type { Relay } from "./relay.ts";
import { createKitWorld, worldService as topic } from "./testing/kit-world.ts";
import type { KitWorld } from "./testing/kit-world.ts";
import { until } from "./testing/service.ts";

const said = event(
  { topic, name: "word-said", version: 1, key: "key", subject: "key" },
  Type.Object({ key: Type.String(), word: Type.String() }),
);

let world: KitWorld;
let eventLog: EventLog;
let relays: Relay[] = [];
/** What relays told the log to be the lowest id of interest. */
const floors: number[] = [];
beforeAll(async () => {
  world = await createKitWorld();
  eventLog = world.openEventLog(topic);
  await eventLog.ensureTopics([{ topic, partitions: 4 }]);
});
afterAll(() => world.close());
afterEach(async () => {
  await Promise.all(relays.map((relay) => relay.stop()));
  relays = [];
});

function startRelay(log: EventLog = eventLog): Relay {
  const watched: EventLog = { ...log, relay: (source) => (floors.push(source.floor), log.relay(source)) };
  const relay = createRelay({ ...world, topic, eventLog: watched });
  relays.push(relay);
  relay.start();
  return relay;
}

let sequence = 0;
function say(key: string, ...words: string[]): Promise<void> {
  return world.db.transaction(async (tx) => {
    for (const word of words) tx.emit(said.create({ key, word }, { sequence: ++sequence }));
  });
}

async function published(key: string): Promise<string[]> {
  const events: DeliveredEvent[] = [];
  for await (const delivered of eventLog.read(topic)) if (delivered.key === key) events.push(delivered);
  return events.map(({ data }) => (data as { word: string }).word);
}

async function outbox(key: string): Promise<number> {
  return (await world.ask("SELECT FROM outbox WHERE key = $1", [key])).length;
}

async function empty(key: string): Promise<void> {
  await until(async () => (await outbox(key)) === 0, `${key} out of the outbox`);
}

test("what a crash left is moved at the start, in order", async () => {
  await say("crash", "a", "b");
  await say("crash", "c");
  expect(await published("crash")).toEqual([]);
  startRelay();
  await empty("crash");
  expect(await published("crash")).toEqual(["a", "b", "c"]);
});

test("what nobody nudged for is found by the sweep", async () => {
  startRelay();
  await say("sweep", "a");
  await empty("sweep");
  await say("sweep", "b");
  await empty("sweep");
  expect(await published("sweep")).toEqual(["a", "b"]);
});

test("more than a batch is moved at once, by two relays, each event once", async () => {
  const words = Array.from({ length: 1_200 }, (_, index) => String(index));
  await say("many", ...words);
  startRelay();
  startRelay(world.openEventLog(topic));
  await empty("many");
  expect(await published("many")).toEqual(words);
});

test("a nudge is enough", async () => {
  const relay = startRelay();
  await new Promise((resolve) => setTimeout(resolve, 100));
  world.db.onEmitted(relay.nudge);
  const beganMs = performance.now();
  await say("nudge", "a");
  await empty("nudge");
  expect(performance.now() - beganMs).toBeLessThan(800);
});

test("the floor rises, but never above an earlier id whose transaction commits late", async () => {
  const late = await world.admin.connect();
  await late.query("BEGIN");
  const { rows } = await late.query<{ id: number }>(
    `INSERT INTO outbox (event_id, type, key, subject, sequence, data)
     VALUES (gen_random_uuid(), '${said.type}', 'late', 'late', 1, '{"key": "late", "word": "first"}') RETURNING id`,
  );
  startRelay();
  floors.length = 0;
  await say("early", "second");
  await empty("early");
  // Two sweeps fix a mark and find it passed, were it not for the open transaction.
  await until(() => floors.length >= 4, "some more sweeps");
  expect(Math.max(...floors)).toBeLessThanOrEqual(rows[0]!.id);
  await late.query("COMMIT");
  late.release();
  await empty("late");
  expect(await published("late")).toEqual(["first"]);
  await until(() => Math.max(...floors) > rows[0]!.id, "a higher floor");
});

test("nothing is published of a transaction that is rolled back", async () => {
  await expect(
    world.db.transaction(async (tx) => {
      tx.emit(said.create({ key: "rolled-back", word: "never" }, { sequence: 1 }));
      throw new Error("changed my mind");
    }),
  ).rejects.toThrow("changed my mind");
  const relay = startRelay();
  world.db.onEmitted(relay.nudge);
  await say("rolled-back", "after");
  await empty("rolled-back");
  expect(await published("rolled-back")).toEqual(["after"]);
});

test("an event beyond 512 kB is refused by emit, and the transaction is rolled back", async () => {
  const word = "x".repeat(maxEventBytes);
  const opened = world.db.transaction(async (tx) => {
    await tx.run({
      name: "testIncident",
      text: "INSERT INTO incidents VALUES (gen_random_uuid(), 'TEST', 'large', '')",
    });
    tx.emit(said.create({ key: "large", word: "small" }, { sequence: 1 }));
    tx.emit(said.create({ key: "large", word }, { sequence: 2 }));
  });
  await expect(opened).rejects.toThrow(RangeError);
  await expect(opened).rejects.toThrow(/orders\.word-said\.v1 of large has \d+ bytes/);
  expect(await outbox("large")).toBe(0);
  expect(await world.ask("SELECT FROM incidents WHERE subject = 'large'")).toEqual([]);
});

test("while the log refuses, events wait, and go when it takes them again", async () => {
  let refusing = true;
  let refusals = 0;
  const moody: EventLog = {
    ...eventLog,
    relay: (source) => (refusing ? (refusals++, Promise.reject(new Error("not now"))) : eventLog.relay(source)),
  };
  const relay = startRelay(moody);
  await say("moody", "a", "b");
  await until(() => refusals >= 2, "a second attempt");
  // Nudges do not hurry what is paused.
  for (let time = 0; time < 50; time++) relay.nudge();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(refusals).toBeLessThanOrEqual(3);
  expect(await published("moody")).toEqual([]);
  refusing = false;
  await empty("moody");
  expect(await published("moody")).toEqual(["a", "b"]);
});

/** A log into which the relay's append and its removal from the outbox are two steps, as they are with Kafka. */
function inTwoSteps(log: EventLog, afterAck: () => Promise<void>): EventLog {
  async function send(messages: OutgoingMessage[]): Promise<void> {
    await log.append(topic, messages.map(recordOf));
    await afterAck();
  }
  return { ...log, relay: (source) => relayOutbox({ pool: world.db.pool, send }, source) };
}

function recordOf({ headers, value }: OutgoingMessage): EventRecord {
  return {
    ...{ id: headers["ce_id"]!, type: headers["ce_type"]!, key: headers["ce_partitionkey"]! },
    ...{ subject: headers["ce_subject"]!, sequence: Number(headers["ce_sequence"]), time: headers["ce_time"]! },
    data: JSON.parse(value),
  };
}

describe("several relays at once", () => {
  const random = seededRandom(28);
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, random() * ms));
  let acknowledgements = 0;
  /** The acknowledgement may come late, or never; the first one never does. */
  async function losingAcks(): Promise<void> {
    await pause(8);
    acknowledgements += 1;
    if (acknowledgements === 1 || random() < 0.15) throw new Error("the acknowledgement was lost");
  }

  test.each([
    ["one step", () => world.openEventLog(topic), 0],
    ["two steps, with acknowledgements that are lost", () => inTwoSteps(world.openEventLog(topic), losingAcks), 1],
  ] as const)(
    "first occurrences are in order and none is missing, where publishing takes %s",
    async (name, open, leastRepeats) => {
      for (let count = 0; count < 3; count++) world.db.onEmitted(startRelay(open()).nudge);
      const keys = Array.from({ length: 6 }, (_, index) => `${name} ${index}`);
      const words = Array.from({ length: 40 }, (_, index) => String(index));
      await Promise.all(
        keys.map(async (key) => {
          for (const word of words) {
            if (random() < 0.2) {
              const died = world.db.transaction(async (tx) => {
                tx.emit(said.create({ key, word: "of a producer that died" }, { sequence: 1 }));
                await pause(20);
                throw new Error("it dies");
              });
              await died.catch(() => {});
            }
            await say(key, word);
            if (random() < 0.3) await pause(10);
          }
        }),
      );
      let repeats = 0;
      for (const key of keys) {
        await empty(key);
        const all = await published(key);
        expect([...new Set(all)]).toEqual(words);
        repeats += all.length - words.length;
      }
      expect(repeats).toBeGreaterThanOrEqual(leastRepeats);
      if (leastRepeats === 0) expect(repeats).toBe(0);
    },
  );
});

test("a transaction that somebody forgot holds nothing up, and its session is ended", async () => {
  const url = world.testDatabase.url(topic);
  // What running roles have as 30 s: see the bootstrap's tests.
  const forgetful = new Client({ connectionString: url, options: "-c idle_in_transaction_session_timeout=1500ms" });
  const ended = new Promise<Error>((resolve) => forgetful.on("error", resolve));
  await forgetful.connect();
  await forgetful.query("BEGIN");
  const { rows } = await forgetful.query<{ id: string }>(
    `INSERT INTO outbox (event_id, type, key, subject, sequence, data)
     VALUES (gen_random_uuid(), '${said.type}', 'forgotten', 'forgotten', 1, '{"key": "forgotten", "word": "never"}') RETURNING id`,
  );
  const relay = startRelay();
  world.db.onEmitted(relay.nudge);
  floors.length = 0;
  for (let round = 0; round < 5; round++) await say("going on", String(round));
  await empty("going on");
  expect(await published("going on")).toEqual(["0", "1", "2", "3", "4"]);
  expect(relay.floor()).toBeLessThanOrEqual(Number(rows[0]!.id));

  expect(await ended).toMatchObject({ code: "25P03" });
  await say("going on", "5");
  await empty("going on");
  await until(() => relay.floor() > Number(rows[0]!.id), "a floor above the forgotten row");
  expect(await published("forgotten")).toEqual([]);
});
