import { Kafka, logLevel } from "kafkajs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createKafkaEventLogWorld } from "./testing/kafka-eventlog-world.ts";
import type { KafkaEventLogWorld } from "./testing/kafka-eventlog-world.ts";
import { describeOnKafka } from "./testing/kafka.ts";
import { createListKeeper } from "./testing/list-keeper.ts";
import type { ListKeeper } from "./testing/list-keeper.ts";

const me = "0190a5c0-0000-7000-8000-000000000001";

describeOnKafka("messages that nobody of ours wrote", (brokers) => {
  let world: KafkaEventLogWorld;
  let keeper: ListKeeper;
  beforeAll(async () => {
    world = await createKafkaEventLogWorld(brokers, ["orders", "payments"]);
    keeper = await createListKeeper((service) => world.open(service));
  });
  afterAll(async () => {
    await keeper.stop();
    await keeper.close();
    await world.close();
  });

  test("are parked, hold up their own keys alone, and can be discarded", async () => {
    const consumer = await keeper.start();
    const producer = new Kafka({ brokers, logLevel: logLevel.NOTHING }).producer();
    await producer.connect();
    const headers = { ce_id: "17", ce_type: "a \0", ce_sequence: "many", ce_subject: "\0" };
    const messages = [
      { key: "odd", value: "no JSON" },
      { key: "odd", value: null },
      { key: "odd \0", value: '"zero \\u0000"', headers },
      { value: "{}" },
    ];
    await producer.send({ topic: `${world.prefix}.payments`, messages: [...messages, ...messages] });
    await producer.disconnect();
    await keeper.publish(keeper.add("even", "a"), keeper.add("odd", "behind"));
    await keeper.settled();
    expect(await keeper.entries("even")).toEqual(["a"]);
    const parked = () => keeper.ask("SELECT key, count(*)::int AS events FROM parked GROUP BY key ORDER BY key");
    expect(await parked()).toEqual([
      { key: "", events: 2 },
      { key: "odd", events: 5 },
      { key: "odd ", events: 2 },
    ]);

    for (const key of ["", "odd "])
      expect(await consumer.discardParked({ id: null, key, reason: "a test", by: me })).toMatchObject({ discarded: 2 });
    const own = await keeper.ask("SELECT event_id AS id FROM parked ORDER BY position LIMIT 4");
    for (const { id } of own) await consumer.discardParked({ id, key: null, reason: "a test", by: me });
    expect(await consumer.replayParked("odd", me)).toEqual({ handled: 1, remaining: 0 });
    expect(await keeper.entries("odd")).toEqual(["behind"]);
  });
});
