import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { kafka as broker } from "@crowdcrunch/tools/kafka/shop-kafka";
import { kafkaProgramMissing } from "@crowdcrunch/tools/kafka/program";
import { shopAddresses } from "@crowdcrunch/tools/processes";
import { startShop, stopShop } from "@crowdcrunch/tools/shop";
import { Kafka, logLevel } from "kafkajs";
import type { Admin } from "kafkajs";
import { Client } from "pg";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

const portOffset = 26_000;

let varDir: string;
beforeEach(() => {
  varDir = mkdtempSync(join(tmpdir(), "crowdcrunch-shop-"));
});
afterEach(async () => {
  await stopShop({ varDir });
  rmSync(varDir, { recursive: true });
});

async function onKafka<T>(ask: (admin: Admin) => Promise<T>): Promise<T> {
  const brokers = [`127.0.0.1:${broker.port + portOffset}`];
  const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING, retry: { retries: 0 } }).admin();
  try {
    await admin.connect();
    return await ask(admin);
  } finally {
    await admin.disconnect();
  }
}

async function inDatabase(sql: string): Promise<void> {
  const client = new Client({
    connectionString: (await shopAddresses({ varDir, portOffset })).databaseUrl("postgres"),
  });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

const missing = kafkaProgramMissing();
describe.skipIf(missing !== undefined)("a shop with a Kafka of its own", () => {
  const options = () => ({ varDir, portOffset, processes: [] });

  test("starts it again when it dies, and keeps its data when it goes down", async () => {
    const shop = await startShop({ ...options(), kafka: true });
    expect(shop.kafka).toBe(true);
    const patience = { timeout: 20_000, interval: 200 };
    await vi.waitFor(() => onKafka((admin) => admin.createTopics({ topics: [{ topic: "kept" }] })), patience);
    shop.kill("kafka");
    await vi.waitFor(() => expect(shop.restartsOf("kafka")).toBe(1), patience);
    await vi.waitFor(async () => expect(await onKafka((admin) => admin.listTopics())).toContain("kept"), patience);
    await shop.stop();

    await expect(startShop(options())).rejects.toThrow(
      "This shop's events are in its own Kafka, and some may not have been handled yet: start it with KAFKA=1",
    );
    await expect(startShop({ ...options(), kafka: { brokers: ["127.0.0.1:9"] } })).rejects.toThrow("its own Kafka");
    await startShop({ ...options(), kafka: true });
    await vi.waitFor(async () => expect(await onKafka((admin) => admin.listTopics())).toContain("kept"), patience);
  });

  test("goes over to it only when nothing is left on the embedded log, and not back", async () => {
    const embedded = await startShop(options());
    await inDatabase(`
      CREATE TABLE orders.outbox (id int);
      INSERT INTO orders.outbox VALUES (1), (2);
      INSERT INTO eventlog.topics VALUES ('orders', 2);
      INSERT INTO eventlog.heads VALUES ('orders', 0, 7), ('orders', 1, 5);
      INSERT INTO eventlog.positions (group_name, topic, partition, committed)
        VALUES ('payments', 'orders', 0, 7), ('payments', 'orders', 1, 1), ('frontend', 'orders', 0, 7)`);
    await embedded.stop();
    await expect(startShop({ ...options(), kafka: true })).rejects.toThrow(
      "events wait in the outbox of orders (2). make drain waits for them",
    );
    await stopShop({ varDir });

    const again = await startShop(options());
    await inDatabase("DELETE FROM orders.outbox");
    await again.stop();
    await expect(startShop({ ...options(), kafka: true })).rejects.toThrow(
      "these groups have events left to handle: payments (4 of orders). Let them catch up there (make drain",
    );
    await stopShop({ varDir });

    const oneMore = await startShop(options());
    await inDatabase("UPDATE eventlog.positions SET committed = 5 WHERE partition = 1");
    await oneMore.stop();
    await (await startShop({ ...options(), kafka: true })).stop();
    // Also where nobody remembers, the database knows.
    rmSync(join(varDir, "event-log.json"));
    await expect(startShop(options())).rejects.toThrow("This shop went over to Kafka at");
  });
});
