import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { OffsetOutOfRange } from "./eventlog.ts";
import type { EventLog, ReaderPosition } from "./eventlog.ts";
import { createWitness, disorder, eventually, record, records } from "./testing/eventlog-world.ts";
import { createPostgresEventLogWorld } from "./testing/postgres-eventlog-world.ts";
import type { PostgresEventLogWorld } from "./testing/postgres-eventlog-world.ts";

const orders = ["orders"];
const dayMs = 86_400_000;
const partitions = 2;

let world: PostgresEventLogWorld;
let log: EventLog;
beforeEach(async () => {
  world = await createPostgresEventLogWorld(["orders"], { batchBytes: 10_000 });
  log = await world.open("orders");
  await log.ensureTopics([{ topic: "orders", partitions }]);
});
afterEach(() => world.close());

/** Makes what is in the log so many days older. */
async function age(days: number): Promise<void> {
  await world.asSuperuser(`UPDATE eventlog.events SET appended_at = appended_at - interval '${days} days'`);
}

/** Lets the log remove what is older than seven days, and waits until so many events are left. */
async function trimmedTo(left: number): Promise<void> {
  await log.ensureTopics([{ topic: "orders", partitions, retentionMs: 7 * dayMs }]);
  await eventually(async () => {
    expect((await world.asSuperuser("SELECT FROM eventlog.events")).length).toBe(left);
  });
}

describe("retention", () => {
  test("removes what is older, more than one step of it, and nothing else; readers begin with what is left", async () => {
    for (let round = 0; round < 3; round++) await log.append("orders", records(10, 100, 1 + 100 * round));
    await age(8);
    const young = records(10, 2, 301);
    await log.append("orders", young);
    await trimmedTo(young.length);
    const ids = (events: { id: string }[]) => events.map(({ id }) => id).toSorted();
    expect(ids(await Array.fromAsync(log.read("orders")))).toEqual(ids(young));
    const witness = createWitness();
    await log.consume(witness.subscription("orders.new", orders));
    await witness.hasHandled(young);
    expect(ids(witness.seen)).toEqual(ids(young));
    expect(witness.errors).toEqual([]);
  });

  test("does not stop a group that has read everything", async () => {
    const witness = createWitness();
    await log.consume(witness.subscription("orders", orders));
    const old = records(10, 5);
    await log.append("orders", old);
    await witness.hasHandled(old);
    await age(8);
    await trimmedTo(0);
    const young = records(10, 1, 6);
    await log.append("orders", young);
    await witness.hasHandled(young);
    expect(disorder(witness.handled)).toEqual([]);
    expect(witness.errors).toEqual([]);
  });

  test("stops a group that has fallen behind, which says so and skips nothing, until it is rewound", async () => {
    const witness = createWitness();
    const consumer = await log.consume(witness.subscription("orders", orders));
    const first = [record("a", 1)];
    await log.append("orders", first);
    await witness.hasHandled(first);
    await consumer.stop();
    await log.append("orders", [record("a", 2), record("a", 3)]);
    await age(8);
    const young = [record("a", 4)];
    await log.append("orders", young);
    await trimmedTo(1);

    const late = createWitness();
    await log.consume(late.subscription("orders", orders));
    await eventually(() => expect(late.errors).toHaveLength(1));
    expect(late.errors[0]).toBeInstanceOf(OffsetOutOfRange);
    expect(String(late.errors[0])).toMatch(/orders in partition \d of orders has the offset 1.*from 3 on/);
    await log.append("orders", [record("b", 1)]);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(late.seen).toEqual([]);

    // It has left the group, so that it can be rewound while its process runs.
    await log.rewind("orders", orders);
    const again = createWitness();
    await log.consume(again.subscription("orders", orders));
    await again.hasHandled(young);
    expect(again.errors).toEqual([]);
  });

  test("stops a group that is overtaken while it reads", async () => {
    const witness = createWitness();
    await log.append("orders", [record("a", 1)]);
    await log.consume(witness.subscription("orders", orders, () => Promise.reject(new Error("not now"))));
    await eventually(() => expect(witness.errors.length).toBeGreaterThan(1));
    await age(8);
    await trimmedTo(0);
    await eventually(() => expect(witness.errors.at(-1)).toBeInstanceOf(OffsetOutOfRange));
    expect(witness.handled).toEqual([]);
  });
});

describe("where the reader's database stands", () => {
  async function handled(count: number): Promise<void> {
    const before = createWitness();
    const consumer = await log.consume(before.subscription("orders", orders));
    const events = records(1, count);
    await log.append("orders", events);
    await before.hasHandled(events);
    await consumer.stop();
    await eventually(async () => {
      const lag = await log.lag("orders", orders);
      expect(lag.every(({ committed, end }) => committed === end)).toBe(true);
    });
  }

  async function readWith(next: number, member = log) {
    const { partition } = (await Array.fromAsync(log.read("orders")))[0]!;
    const rewound: [ReaderPosition, number][] = [];
    const witness = createWitness();
    const consumer = await member.consume({
      ...witness.subscription("orders", orders),
      positions: async () => [{ topic: "orders", partition, next }],
      onRewound: (position, committed) => rewound.push([position, committed]),
    });
    return { witness, rewound, partition, consumer };
  }

  test("behind its group, it is given again what it lacks, though the group is at the end", async () => {
    await handled(10);
    const { witness, rewound, partition } = await readWith(7);
    await eventually(() => expect(witness.handled.map(({ sequence }) => sequence)).toEqual([8, 9, 10]));
    expect(rewound).toEqual([[{ topic: "orders", partition, next: 7 }, 10]]);
  });

  test("ahead of its group, or equal, changes nothing", async () => {
    await handled(3);
    await log.append("orders", records(1, 2, 4));
    const { witness, rewound } = await readWith(4);
    await eventually(() => expect(witness.handled.map(({ sequence }) => sequence)).toEqual([4, 5]));
    expect(rewound).toEqual([]);
  });

  test("at the beginning, it begins with what is left; at what is gone, it stops", async () => {
    await handled(10);
    await age(8);
    await log.append("orders", records(1, 2, 11));
    await trimmedTo(2);
    const { witness, consumer } = await readWith(5);
    await eventually(() => expect(witness.errors[0]).toBeInstanceOf(OffsetOutOfRange));
    await consumer.stop();
    const fresh = await readWith(0);
    await eventually(() => expect(fresh.witness.handled.map(({ sequence }) => sequence)).toEqual([11, 12]));
  });

  test("is asked for again when partitions come from a member that died", async () => {
    await handled(5);
    const other = await world.open("orders");
    const dead = createWitness();
    await other.consume(dead.subscription("orders", orders));
    await eventually(async () => {
      const members = await world.asSuperuser("SELECT FROM eventlog.positions WHERE member IS NOT NULL");
      expect(members).toHaveLength(partitions);
    });
    const { witness, rewound } = await readWith(4);
    await world.crash(other);
    await eventually(() => expect(witness.handled.map(({ sequence }) => sequence)).toEqual([5]));
    expect(rewound).toHaveLength(1);
  });
});

test("a batch has no more bytes of data than it may, but always an event, and the rest follows at once", async () => {
  const sizes: number[] = [];
  const events = Array.from({ length: 20 }, (_, index) =>
    record(`key-${index % 5}`, 1 + Math.floor(index / 5), { data: "x".repeat(index === 7 ? 30_000 : 3_000) }),
  );
  await log.append("orders", events);
  const witness = createWitness();
  await log.consume(
    witness.subscription("orders", orders, (batch) =>
      sizes.push(batch.reduce((sum, { data }) => sum + JSON.stringify(data).length, 0)),
    ),
  );
  await witness.hasHandled(events);
  expect(disorder(witness.handled)).toEqual([]);
  expect(sizes.filter((bytes) => bytes > 10_000)).toEqual([30_002]);
  expect(sizes.length).toBeGreaterThanOrEqual(8);
});
