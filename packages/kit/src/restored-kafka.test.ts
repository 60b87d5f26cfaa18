import { afterAll, beforeAll } from "vitest";
import { createKafkaEventLogWorld } from "./testing/kafka-eventlog-world.ts";
import type { KafkaEventLogWorld } from "./testing/kafka-eventlog-world.ts";
import { describeOnKafka } from "./testing/kafka.ts";
import { describeRestoredDatabases } from "./testing/restored-databases.ts";

describeOnKafka("on Kafka", (brokers) => {
  let world: KafkaEventLogWorld;
  beforeAll(async () => {
    world = await createKafkaEventLogWorld(brokers, ["orders", "payments"]);
  });
  afterAll(() => world.close());
  describeRestoredDatabases("a database that is restored", (service) => world.open(service));
});
