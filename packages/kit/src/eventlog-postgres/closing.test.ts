import { afterAll, beforeAll, expect, test } from "vitest";
import type { EventLog } from "../eventlog.ts";
import { createWitness, eventually, putIntoOutbox, records } from "../testing/eventlog-world.ts";
import { createPostgresEventLogWorld } from "../testing/postgres-eventlog-world.ts";
import type { PostgresEventLogWorld } from "../testing/postgres-eventlog-world.ts";
import { closeEmbeddedLog } from "./closing.ts";

let world: PostgresEventLogWorld;
let orders: EventLog;
let payments: EventLog;
beforeAll(async () => {
  world = await createPostgresEventLogWorld(["orders", "payments"]);
  [orders, payments] = [await world.open("orders"), await world.open("payments")];
  await orders.ensureTopics([{ topic: "orders", partitions: 2 }]);
  await payments.ensureTopics([{ topic: "payments", partitions: 2 }]);
});
afterAll(() => world.close());

test("a log that a group has not caught up with stays open, and the groups are named", async () => {
  const events = records(4, 3);
  await orders.append("orders", events);
  const witness = createWitness();
  const handling = Promise.withResolvers<void>();
  const consumer = await payments.consume(witness.subscription("payments", ["orders"], () => handling.promise));
  await eventually(() => expect(witness.seen.length).toBeGreaterThan(0));
  await expect(closeEmbeddedLog(world.database("orders"))).rejects.toThrow(
    "these groups have events left to handle: payments (12 of orders). Let them catch up there (make drain",
  );
  const later = records(1, 1, 4);
  await orders.append("orders", later);
  handling.resolve();
  await witness.hasHandled([...events, ...later]);
  // Its offsets follow what it has handled.
  await eventually(() => closeEmbeddedLog(world.database("orders")));
  await consumer.stop();
});

test("a closed log takes no event and no service, and what waits in an outbox stays there", async () => {
  await closeEmbeddedLog(world.database("payments"));
  const refused =
    /the embedded event log is closed: the shop went over to Kafka at .*; start its services with KAFKA_BROKERS/u;
  await expect(orders.append("orders", records(1, 1, 5))).rejects.toThrow(refused);
  await putIntoOutbox(world.database("orders"), records(1, 1, 5));
  await expect(orders.relay({ topic: "orders", floor: 0, limit: 10 })).rejects.toThrow(refused);
  const { rows } = await world.database("orders").query("SELECT count(*)::int AS waiting FROM outbox");
  expect(rows).toEqual([{ waiting: 1 }]);
  await expect(orders.ensureTopics([{ topic: "orders", partitions: 2 }])).rejects.toThrow(refused);
});

test("whoever appends while the log is closed is waited for, or refused", async () => {
  const other = await createPostgresEventLogWorld(["orders", "payments"]);
  try {
    const log = await other.open("orders");
    await log.ensureTopics([{ topic: "orders", partitions: 2 }]);
    const consumer = await (await other.open("payments")).consume(createWitness().subscription("payments", ["orders"]));
    await log.append("orders", records(2, 1));
    const appends = Array.from({ length: 20 }, (_, nth) => log.append("orders", records(2, 1, 2 + nth)));
    const closing = eventually(() => closeEmbeddedLog(other.database("payments")));
    const results = await Promise.allSettled(appends);
    await closing;
    const taken = 1 + results.filter(({ status }) => status === "fulfilled").length;
    const { rows } = await other
      .database("orders")
      .query(
        `SELECT (SELECT count(*)::int FROM eventlog.events) AS events, sum(p.committed)::int AS handled FROM eventlog.positions p`,
      );
    expect(rows).toEqual([{ events: 2 * taken, handled: 2 * taken }]);
    await consumer.stop();
  } finally {
    await other.close();
  }
});
