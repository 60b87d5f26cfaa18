import { createWitness, records } from "@crowdcrunch/kit/testing/eventlog-world";
import { createKafkaEventLogWorld } from "@crowdcrunch/kit/testing/kafka-eventlog-world";
import type { KafkaEventLogWorld } from "@crowdcrunch/kit/testing/kafka-eventlog-world";
import { startTcpProxy } from "@crowdcrunch/kit/testing/tcp-proxy";
import type { TcpProxy } from "@crowdcrunch/kit/testing/tcp-proxy";
import { freePorts } from "@crowdcrunch/tools/kafka/free-ports";
import { kafkaProgramMissing } from "@crowdcrunch/tools/kafka/program";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startBroker } from "./kafka.ts";
import type { Broker } from "./kafka.ts";

// A connection whose other end is gone without a farewell. kafkajs tries again on it, for ever.

/** A request waits 8 s, and a busy machine some more; going on with the same connection takes 25 s and more. */
const noticedWithinMs = 20_000;

describe.skipIf(kafkaProgramMissing() !== undefined)("half-open connections to Kafka", () => {
  let broker: Broker;
  let proxy: TcpProxy;
  let world: KafkaEventLogWorld;
  beforeAll(async () => {
    const [port] = (await freePorts(1)) as [number];
    broker = await startBroker({ proxyPort: port });
    proxy = await startTcpProxy({ host: "127.0.0.1", port: broker.ports.proxied! }, port);
    world = await createKafkaEventLogWorld([`127.0.0.1:${port}`], ["orders"]);
  });
  afterAll(async () => {
    await world.close();
    await proxy.close();
    await broker.stop();
  });

  test("are given up for new ones: by a producer, and by a member that cannot commit what it has handled", async () => {
    const log = await world.open("orders");
    await log.ensureTopics([{ topic: "orders", partitions: 4 }]);
    const witness = createWitness();
    const events = records(4, 1);
    await log.consume(
      witness.subscription("orders", ["orders"], async () => {
        if (witness.handled.length === 0) await proxy.set({ strand: true });
      }),
    );
    await log.append("orders", events);
    await witness.hasHandled(events);
    const beganMs = performance.now();
    const later = records(4, 1, 2);
    while (
      !(await log.append("orders", later).then(
        () => true,
        () => false,
      ))
    );
    await expect.poll(() => new Set(witness.handled.map(({ id }) => id)).size, { timeout: 60_000 }).toBe(8);
    expect(performance.now() - beganMs).toBeLessThan(noticedWithinMs);
    expect(proxy.counts().heldBack).toBeGreaterThan(0);
  }, 120_000);
});
