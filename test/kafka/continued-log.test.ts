import { randomUUID } from "node:crypto";
import { openLog } from "@crowdcrunch/auditor/log";
import { readConfig } from "@crowdcrunch/kit/config";
import type { DeliveredEvent, EventLog } from "@crowdcrunch/kit/eventlog";
import { closeEmbeddedLog } from "@crowdcrunch/kit/eventlog-postgres/closing";
import { openEventLog } from "@crowdcrunch/kit/eventlogs";
import { createLogger } from "@crowdcrunch/kit/logger";
import { createWitness, disorder, eventually, records } from "@crowdcrunch/kit/testing/eventlog-world";
import { describeOnKafka } from "@crowdcrunch/kit/testing/kafka";
import { createPostgresEventLogWorld } from "@crowdcrunch/kit/testing/postgres-eventlog-world";
import { eventLogVariables } from "@crowdcrunch/kit/variables";
import Type from "typebox";
import { expect, test } from "vitest";

const topic = { topic: "orders", partitions: 2 };
const log = createLogger({ service: "test", level: "silent" });

async function all(eventLog: EventLog, from?: ReadonlyMap<number, number>): Promise<DeliveredEvent[]> {
  return Array.fromAsync(eventLog.read("orders", from));
}

describeOnKafka("the log of a shop that went over", (brokers) => {
  test("is read as one: in order, with offsets that count on, from any place, and with the lag on Kafka", async () => {
    const world = await createPostgresEventLogWorld(["orders", "payments"]);
    const env = { KAFKA_BROKERS: brokers.join(), KAFKA_PREFIX: `continued-${randomUUID()}` };
    const [pool, databaseUrl] = [world.database("orders"), world.testDatabase.url("orders")];
    const config = readConfig(Type.Object(eventLogVariables), env);
    const kafka = await openEventLog({ config, service: "orders", log, pool, databaseUrl });
    const whole = await openLog({ url: world.testDatabase.url("auditor"), env, log });
    try {
      const embedded = await world.open("orders");
      const witness = createWitness();
      await embedded.ensureTopics([topic]);
      await embedded.append("orders", records(4, 3));
      const consumer = await (await world.open("payments")).consume(witness.subscription("payments", ["orders"]));
      await eventually(() => closeEmbeddedLog(pool));
      await consumer.stop();
      await kafka.ensureTopics([topic]);
      await kafka.append("orders", records(4, 2, 4));

      const events = await all(whole);
      expect(events).toHaveLength(4 * 5);
      expect(disorder(events)).toEqual([]);
      for (const [, ofPartition] of Map.groupBy(events, ({ partition }) => partition))
        expect(ofPartition.map(({ offset }) => offset)).toEqual(ofPartition.map((_, index) => index));

      // Read on from the middle of the embedded log, and from the end.
      const nextOf = (seen: DeliveredEvent[]) => new Map(seen.map(({ partition, offset }) => [partition, offset + 1]));
      const firstHalf = events.filter(({ sequence }) => sequence <= 2);
      const rest = await all(whole, nextOf(firstHalf));
      expect(new Set([...firstHalf, ...rest].map(({ id }) => id)).size).toBe(20);
      expect(await all(whole, nextOf(events))).toEqual([]);

      const lag = await whole.lag("payments", ["orders"]);
      expect(lag.reduce((sum, { end }) => sum + end, 0)).toBe(20);
      expect(lag.reduce((sum, { committed }) => sum + committed, 0)).toBe(12);
    } finally {
      await Promise.all([whole.close(), kafka.close()]);
      await world.close();
    }
  });
});
