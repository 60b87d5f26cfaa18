import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { readConfig } from "@crowdcrunch/kit/config";
import { isUnavailable } from "@crowdcrunch/kit/errors";
import { OffsetOutOfRange } from "@crowdcrunch/kit/eventlog";
import type { EventLog, EventRecord } from "@crowdcrunch/kit/eventlog";
import { openEventLog } from "@crowdcrunch/kit/eventlogs";
import { createLogger } from "@crowdcrunch/kit/logger";
import {
  createWitness,
  disorder,
  eventually,
  firstOccurrences,
  record,
  records,
} from "@crowdcrunch/kit/testing/eventlog-world";
import { createKafkaEventLogWorld } from "@crowdcrunch/kit/testing/kafka-eventlog-world";
import type { KafkaEventLogWorld } from "@crowdcrunch/kit/testing/kafka-eventlog-world";
import { eventLogVariables } from "@crowdcrunch/kit/variables";
import { kafkaProgramMissing } from "@crowdcrunch/tools/kafka/program";
import { Kafka, logLevel } from "kafkajs";
import type { Admin, KafkaMessage } from "kafkajs";
import { Pool } from "pg";
import Type from "typebox";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startBroker } from "./kafka.ts";
import type { Broker } from "./kafka.ts";

// What kafkajs and Kafka do that would lose, repeat or hold up events, each with the guard that the log has against it.

const orders = ["orders"];
const partitions = 4;
const account = { username: "shop", password: "it's a secret" };
const missing = kafkaProgramMissing();

describe.skipIf(missing !== undefined)("traps of Kafka", () => {
  let broker: Broker;
  let world: KafkaEventLogWorld;
  let log: EventLog;
  let admin: Admin;
  beforeAll(async () => {
    broker = await startBroker({ secured: { accounts: [account] }, autoCreateTopics: true });
    admin = new Kafka({ brokers: broker.brokers, logLevel: logLevel.NOTHING }).admin();
  });
  afterAll(async () => {
    await broker.stop();
  });
  beforeEach(async () => {
    await admin.connect();
    world = await createKafkaEventLogWorld(broker.brokers, ["orders", "payments"]);
    log = await world.open("orders");
    await log.ensureTopics([{ topic: "orders", partitions }]);
  });
  afterEach(async () => {
    await world.close();
    await admin.disconnect();
  });

  const topic = () => `${world.prefix}.orders`;
  const read = () => Array.fromAsync(log.read("orders"));

  describe("producing", () => {
    test("appends that overlap while the broker is frozen lose nothing and keep keys in order", async () => {
      await log.append("orders", records(4, 1));
      const acknowledged: EventRecord[] = [];
      let sequence = 1;
      let frozen = true;
      async function produce(key: number): Promise<void> {
        for (let own = 2; frozen || own < 10; own++) {
          const event = record(`key-${key}`, own);
          sequence++;
          // Given up where the broker stays silent; whoever has an event goes on trying, as the relay does.
          await eventually(() => log.append("orders", [event]));
          acknowledged.push(event);
          await sleep(50);
        }
      }
      const producing = Promise.all([0, 1, 2, 3].map(produce));
      await sleep(200);
      broker.freeze();
      // Longer than a request may take.
      await sleep(10_000);
      broker.thaw();
      frozen = false;
      await producing;
      expect(sequence).toBeGreaterThan(30);
      const found = await read();
      const ids = new Set(found.map(({ id }) => id));
      expect(acknowledged.filter(({ id }) => !ids.has(id))).toEqual([]);
      expect(disorder(firstOccurrences(found))).toEqual([]);
    });

    test("while the broker is away an append fails as something to try again, and works when it is back", async () => {
      await log.append("orders", [record("a", 1)]);
      await broker.kill();
      const error = await log.append("orders", [record("a", 2)]).catch((cause: unknown) => cause);
      expect(isUnavailable(error)).toBe(true);
      await broker.start();
      await eventually(() => log.append("orders", [record("a", 3)]));
      expect((await read()).map(({ sequence }) => sequence)).toEqual(expect.arrayContaining([1, 3]));
    });

    test("a broker that is killed in the middle of sends costs repetitions at most", async () => {
      const acknowledged: EventRecord[] = [];
      let producing = true;
      const ended = (async () => {
        for (let sequence = 1; producing;) {
          const batch = Array.from({ length: 20 }, (_, index) =>
            record(`key-${index % 5}`, sequence + Math.floor(index / 5)),
          );
          try {
            await log.append("orders", batch);
            acknowledged.push(...batch);
            sequence += 4;
          } catch (error) {
            if (!isUnavailable(error)) throw error;
            await sleep(100);
          }
        }
      })();
      await sleep(300);
      await broker.kill();
      await broker.start();
      const before = acknowledged.length;
      await eventually(() => expect(acknowledged.length).toBeGreaterThan(before + 100));
      producing = false;
      await ended;
      const ids = new Set((await read()).map(({ id }) => id));
      expect(acknowledged.filter(({ id }) => !ids.has(id))).toEqual([]);
    });

    test("several large events of a key fit, whatever a topic takes at once", async () => {
      const large = Array.from({ length: 5 }, (_, index) => record("large", index + 1, { data: "x".repeat(500_000) }));
      await log.append("orders", large);
      expect((await read()).map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5]);
    });

    test("events are CloudEvents in binary mode, keyed by their partition key", async () => {
      const event = record("order-1", 7, {
        subject: "aggregate-1",
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      });
      await log.append("orders", [event]);
      const message = await firstMessage(broker, topic());
      const headers = Object.fromEntries(
        Object.entries(message.headers!).map(([name, value]) => [name, String(value)]),
      );
      expect(headers).toEqual({
        ce_specversion: "1.0",
        ce_id: event.id,
        ce_source: "/crowdcrunch/orders",
        ce_type: event.type,
        ce_subject: "aggregate-1",
        ce_time: event.time,
        ce_dataschema: "urn:crowdcrunch:event:orders.order-placed.v1",
        ce_sequence: "7",
        ce_partitionkey: "order-1",
        "content-type": "application/json",
        traceparent: event.traceparent,
      });
      expect(String(message.key)).toBe("order-1");
      expect(JSON.parse(String(message.value))).toEqual(event.data);
    });
  });

  describe("consuming", () => {
    test("begins while the broker is away, and outlives its death in between", async () => {
      await log.append("orders", records(5, 2));
      await broker.kill();
      const witness = createWitness();
      const other = await world.open("orders");
      const consumer = await other.consume(witness.subscription("orders", orders));
      await sleep(500);
      await broker.start();
      await eventually(() => expect(witness.handled).toHaveLength(10));
      await broker.kill();
      await broker.start();
      const after = records(5, 2, 3);
      await eventually(() => log.append("orders", after));
      await witness.hasHandled(after);
      expect(disorder(firstOccurrences(witness.handled))).toEqual([]);
      await consumer.stop();
    });

    test("goes on after the broker was frozen for longer than the session", async () => {
      const witness = createWitness();
      await log.consume(witness.subscription("orders", orders));
      await log.append("orders", records(5, 1));
      await eventually(() => expect(witness.handled).toHaveLength(5));
      broker.freeze();
      await sleep(3_000);
      broker.thaw();
      const after = records(5, 1, 2);
      await log.append("orders", after);
      await witness.hasHandled(after);
    });

    test("a handler that takes longer than the session keeps its partitions", async () => {
      const [slow, other] = [createWitness(), createWitness()];
      await log.append("orders", records(8, 1));
      await log.consume(slow.subscription("orders", orders, () => sleep(4_000)));
      await eventually(() => expect(slow.seen.length).toBeGreaterThan(0));
      await eventually(() => expect(slow.handled).toHaveLength(8));
      expect(slow.seen).toHaveLength(8);
      expect(slow.errors).toEqual([]);
      const otherLog = await world.open("orders");
      await otherLog.consume(other.subscription("orders", orders));
      await log.append("orders", records(8, 1, 2));
      await eventually(() => expect(slow.handled.length + other.handled.length).toBe(16));
    });

    test("an idle member notices at once that another joins, and neither loses its place", async () => {
      const [first, second] = [createWitness(), createWitness()];
      await log.consume(first.subscription("orders", orders));
      await log.append("orders", records(8, 1));
      await eventually(() => expect(first.handled).toHaveLength(8));
      const otherLog = await world.open("orders");
      await otherLog.consume(second.subscription("orders", orders));
      await eventually(async () => {
        await log.append("orders", records(8, 1));
        expect(second.handled.length).toBeGreaterThan(0);
      });
      expect([...first.errors, ...second.errors]).toEqual([]);
    });

    test("members that read other topics share what they both read, and nothing is left to nobody", async () => {
      const payments = await world.open("payments");
      await payments.ensureTopics([{ topic: "payments", partitions }]);
      const [older, newer] = [createWitness(), createWitness()];
      await log.consume(older.subscription("orders", orders));
      const newerLog = await world.open("orders");
      await newerLog.consume(newer.subscription("orders", ["orders", "payments"]));
      const paid = records(20, 2);
      await payments.append("payments", paid);
      await newer.hasHandled(paid);
      await eventually(async () => {
        await log.append("orders", records(20, 1));
        expect(older.handled.length).toBeGreaterThan(0);
        expect(newer.handled.filter((event) => event.topic === "orders").length).toBeGreaterThan(0);
      });
    });

    test("stop does not wait for a broker that is away, and leaves no member behind", async () => {
      const witness = createWitness();
      const consumer = await log.consume(witness.subscription("orders", orders));
      // In the middle of joining.
      await sleep(30);
      await consumer.stop();
      const next = createWitness();
      const second = await log.consume(next.subscription("orders", orders));
      const events = records(8, 1);
      await log.append("orders", events);
      await next.hasHandled(events);
      expect(witness.seen).toEqual([]);
      await broker.kill();
      await Promise.race([second.stop(), sleep(10_000).then(() => Promise.reject(new Error("stop hangs")))]);
      await broker.start();
    });
  });

  describe("offsets that are not in the log", () => {
    async function handledAndStopped(count: number): Promise<void> {
      const witness = createWitness();
      const events = records(1, count);
      await log.append("orders", events);
      const consumer = await log.consume(witness.subscription("orders", orders));
      await witness.hasHandled(events);
      await consumer.stop();
    }
    async function stopsLoudly(): Promise<void> {
      const witness = createWitness();
      await log.consume(witness.subscription("orders", orders));
      await eventually(() => expect(witness.errors[0]).toBeInstanceOf(OffsetOutOfRange));
      expect(String(witness.errors[0])).toMatch(/orders .*partition .* set the group back/);
      await log.append("orders", records(1, 1, 100)).catch(() => {});
      await sleep(1_000);
      expect(witness.seen).toEqual([]);
    }
    async function deleteBelow(offset: number): Promise<void> {
      const [{ partition } = { partition: 0 }] = await read();
      // It does not know the topic's leader before it has been asked for something else of it.
      const fresh = new Kafka({ brokers: broker.brokers, logLevel: logLevel.NOTHING }).admin();
      await fresh.connect();
      await fresh.fetchTopicOffsets(topic());
      await fresh.deleteTopicRecords({ topic: topic(), partitions: [{ partition, offset: String(offset) }] });
      await fresh.disconnect();
    }

    test("before the earliest: nothing is read until the group is set back on purpose", async () => {
      await handledAndStopped(3);
      await log.append("orders", records(1, 7, 4));
      await deleteBelow(6);
      await stopsLoudly();
      await log.rewind("orders", orders);
      const witness = createWitness();
      await log.consume(witness.subscription("orders", orders));
      await eventually(() =>
        expect(witness.handled.map(({ sequence }) => sequence).slice(0, 4)).toEqual([7, 8, 9, 10]),
      );
    });

    test("beyond the end, as after a broker has lost events: nothing is read", async () => {
      await handledAndStopped(5);
      const [{ partition } = { partition: 0 }] = await read();
      await admin.setOffsets({ groupId: topic(), topic: topic(), partitions: [{ partition, offset: "50" }] });
      await stopsLoudly();
    });

    test("overtaken by retention while it runs, it does not jump", async () => {
      const witness = createWitness();
      const { promise: released, resolve: release } = Promise.withResolvers<void>();
      await log.append("orders", records(1, 3));
      await log.consume(witness.subscription("orders", orders, () => released));
      await eventually(() => expect(witness.seen).toHaveLength(3));
      await log.append("orders", records(1, 20, 4));
      await deleteBelow(15);
      release();
      await eventually(() => expect(witness.errors.at(-1)).toBeInstanceOf(OffsetOutOfRange));
      expect(witness.seen.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
      // Nor does the next one.
      await stopsLoudly();
    });

    test("a tail goes on when retention removes what it has read", async () => {
      const gaps: string[] = [];
      const sequences: number[] = [];
      await log.append("orders", records(1, 3));
      const tail = await world.open("orders");
      await tail.tail({
        topics: orders,
        onEvents: (events) => void sequences.push(...events.map(({ sequence }) => sequence)),
        onGap: (reason) => void gaps.push(reason),
      });
      await deleteBelow(3);
      await log.append("orders", records(1, 1, 4));
      await eventually(() => expect(sequences).toEqual([4]));
      expect(gaps).toEqual([]);
    });
  });

  describe("topics", () => {
    const declared = { topic: "payments", partitions: 2 };

    test("are made with a week's retention, room for the largest event, and the broker's clock", async () => {
      const { resources } = await admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: 2, name: topic() }],
      });
      const settings = new Map(
        resources[0]!.configEntries.map(({ configName, configValue }) => [configName, configValue]),
      );
      expect(settings.get("retention.ms")).toBe("604800000");
      expect(settings.get("cleanup.policy")).toBe("delete");
      expect(settings.get("max.message.bytes")).toBe("1048588");
      expect(settings.get("message.timestamp.type")).toBe("LogAppendTime");
    });

    test("that may not be made are asked for in words", async () => {
      const careful = await world.open("payments", { createTopics: false });
      await expect(careful.ensureTopics([declared])).rejects.toThrow(
        `kafka-topics.sh --create --topic ${world.prefix}.payments --partitions 2 --config cleanup.policy=delete`,
      );
      await admin.createTopics({
        topics: [{ topic: `${world.prefix}.payments`, numPartitions: 3 }],
        waitForLeaders: true,
      });
      await expect(careful.ensureTopics([declared])).rejects.toThrow("has 3 partitions and not 2");
      await careful.ensureTopics([{ ...declared, partitions: 3 }]);
    });

    test.each([
      ["cleanup.policy", "compact", "compaction removes events"],
      ["max.message.bytes", "100000", "needs max.message.bytes=1048588"],
    ])("with an unfit %s are refused", async (name, value, complaint) => {
      await admin.createTopics({
        topics: [{ topic: `${world.prefix}.payments`, numPartitions: 2, configEntries: [{ name, value }] }],
        waitForLeaders: true,
      });
      await expect(log.ensureTopics([declared])).rejects.toThrow(complaint);
    });

    test("are not made by those who read or write them, though the broker would", async () => {
      const witness = createWitness();
      await log.consume(witness.subscription("orders", ["orders", "payments"]));
      const tail = await world.open("orders");
      await tail.tail({ topics: ["payments"], onEvents: () => {}, onGap: () => {} });
      await log.append("orders", [record("a", 1)]);
      await eventually(() => expect(witness.handled).toHaveLength(1));
      await expect(log.append("payments", [record("a", 1)])).rejects.toThrow("does not host this topic-partition");
      expect(await admin.listTopics()).not.toContain(`${world.prefix}.payments`);
    });
  });

  describe("signing in", () => {
    async function open(variables: Record<string, string>): Promise<{ opened: EventLog; close(): Promise<void> }> {
      const pool = new Pool();
      const config = readConfig(Type.Object(eventLogVariables), {
        KAFKA_BROKERS: `127.0.0.1:${broker.ports.sasl}`,
        KAFKA_PREFIX: `secure-${randomUUID()}`,
        KAFKA_TLS_CA_FILE: broker.caFile!,
        KAFKA_SASL_USERNAME: account.username,
        KAFKA_SASL_PASSWORD: account.password,
        ...variables,
      });
      const quiet = createLogger({ service: "test", level: "silent" });
      const opened = await openEventLog({ config, service: "orders", log: quiet, pool, databaseUrl: "postgres://" });
      return { opened, close: () => opened.close().then(() => pool.end()) };
    }

    test.each(["plain", "scram-sha-256", "scram-sha-512"])(
      "by %s over TLS, all parts of the log work",
      async (mechanism) => {
        const { opened, close } = await open({ KAFKA_SASL_MECHANISM: mechanism });
        await opened.ensureTopics([{ topic: "orders", partitions: 2 }]);
        const events = records(4, 1);
        await opened.append("orders", events);
        const witness = createWitness();
        await opened.consume(witness.subscription("orders", orders));
        await witness.hasHandled(events);
        expect(await Array.fromAsync(opened.read("orders"))).toHaveLength(4);
        await close();
      },
    );

    test("with a wrong password fails for good, and not as something to wait for", async () => {
      const { opened, close } = await open({ KAFKA_SASL_MECHANISM: "scram-sha-256", KAFKA_SASL_PASSWORD: "guessed" });
      const error = await opened.ensureTopics([{ topic: "orders", partitions: 2 }]).catch((cause: unknown) => cause);
      expect(String(error)).toMatch(/authentication failed|invalid credentials/iu);
      expect(isUnavailable(error)).toBe(false);
      await close();
    });

    test("with TLS alone", async () => {
      const env = { KAFKA_BROKERS: `127.0.0.1:${broker.ports.tls}`, KAFKA_SASL_USERNAME: "", KAFKA_SASL_PASSWORD: "" };
      const { opened, close } = await open(env);
      await opened.ensureTopics([{ topic: "orders", partitions: 2 }]);
      await close();
      expect(readFileSync(broker.caFile!, "utf8")).toContain("BEGIN CERTIFICATE");
    });

    test.each([
      [{ KAFKA_SASL_PASSWORD: "" }, "KAFKA_SASL_MECHANISM is not set"],
      [{ KAFKA_SASL_MECHANISM: "plain", KAFKA_SASL_PASSWORD: "" }, "KAFKA_SASL_PASSWORD is not set"],
      [{ KAFKA_SASL_MECHANISM: "plain", KAFKA_TLS_CA_FILE: "/none" }, "KAFKA_TLS_CA_FILE cannot be read"],
    ])("with %o is refused by name", async (variables, complaint) => {
      await expect(open(variables as Record<string, string>)).rejects.toThrow(complaint);
    });
  });
});

async function firstMessage(broker: Broker, topic: string): Promise<KafkaMessage> {
  const consumer = new Kafka({ brokers: broker.brokers, logLevel: logLevel.NOTHING }).consumer({
    groupId: randomUUID(),
  });
  try {
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    return await new Promise<KafkaMessage>((resolve, reject) => {
      consumer.run({ eachMessage: async ({ message }) => resolve(message) }).catch(reject);
    });
  } finally {
    await consumer.disconnect();
  }
}
