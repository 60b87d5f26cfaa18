import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { maxEventBytes } from "../eventlog.ts";
import type { Consumer, DeliveredEvent, EventLog } from "../eventlog.ts";
import { describeRandomRuns } from "./eventlog-random-runs.ts";
import {
  createWitness,
  disorder,
  eventually,
  firstOccurrences,
  putIntoOutbox,
  record,
  records,
} from "./eventlog-world.ts";
import type { EventLogWorld } from "./eventlog-world.ts";

const orders = ["orders"];
const partitions = 4;

/** What every event log must do. `create` makes an empty one for each test, with short leases and back-offs. */
export function describeEventLog(name: string, create: () => Promise<EventLogWorld>): void {
  describe(name, () => {
    let world: EventLogWorld;
    let log: EventLog;

    beforeEach(async () => {
      world = await create();
      log = await world.open("orders");
      await log.ensureTopics([{ topic: "orders", partitions }]);
    });
    afterEach(() => world.close());

    describe("topics and appending", () => {
      test("a topic may be declared again, but not with another number of partitions", async () => {
        await log.ensureTopics([{ topic: "orders", partitions }]);
        await expect(log.ensureTopics([{ topic: "orders", partitions: partitions + 1 }])).rejects.toThrow(
          /orders.*partitions/,
        );
      });

      test("an oversize event is refused by name, and with it the whole call", async () => {
        const big = record("big", 1, { data: "x".repeat(maxEventBytes) });
        await expect(log.append("orders", [record("small", 1), big])).rejects.toThrow(
          /orders\.order-placed\.v1 of big has 524290 bytes/,
        );
        await log.append("orders", [record("fits", 1, { data: "x".repeat(maxEventBytes - 2) })]);
        expect((await Array.fromAsync(log.read("orders"))).map((event) => event.key)).toEqual(["fits"]);
      });

      test("events come back as they were appended, each key in one partition and in order, without a gap", async () => {
        const all = records(30, 10);
        all[0] = record("key-0", 1, {
          traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
          republished: true,
          data: { text: 'ä\u{1F600}"\\', list: [1, null] },
        });
        for (let start = 0; start < all.length; start += 70) await log.append("orders", all.slice(start, start + 70));
        const read = await Array.fromAsync(log.read("orders"));
        const byId = new Map(read.map((event) => [event.id, event]));
        for (const event of all) expect(byId.get(event.id)).toMatchObject(event);
        expect(read).toHaveLength(all.length);
        expect(disorder(read)).toEqual([]);
        for (const events of Map.groupBy(read, (event) => event.partition).values()) {
          expect(events.map((event) => event.offset)).toEqual(events.map((_, index) => events[0]!.offset + index));
        }
        expect(new Set(read.map((event) => event.partition)).size).toBe(partitions);
        expect(new Set(read.map((event) => `${event.key} ${event.partition}`)).size).toBe(30);
      });

      test("partitions are read on from where a reader stopped", async () => {
        await log.append("orders", records(30, 3));
        const before = await Array.fromAsync(log.read("orders"));
        const next = new Map(before.map(({ partition, offset }) => [partition, offset + 1]));
        expect(await Array.fromAsync(log.read("orders", next))).toEqual([]);
        await log.append("orders", records(30, 2, 4));
        const after = await Array.fromAsync(log.read("orders", next));
        expect(after.map(({ sequence }) => sequence).sort()).toEqual([...Array(30).fill(4), ...Array(30).fill(5)]);
      });
    });

    describe("groups", () => {
      test("each group gets every event from the earliest on, in order, whatever another group does", async () => {
        const [before, after] = [records(20, 5), records(20, 5, 6)];
        await log.append("orders", before);
        const [steady, failing] = [createWitness(), createWitness()];
        await log.consume(steady.subscription("orders", orders));
        await log.consume(failing.subscription("orders.other", orders, () => Promise.reject(new Error("no"))));
        await log.append("orders", after);
        await steady.hasHandled([...before, ...after]);
        expect(disorder(steady.handled)).toEqual([]);
        expect(steady.handled).toHaveLength(200);
        expect(failing.handled).toEqual([]);
        const late = createWitness();
        await log.consume(late.subscription("orders.late", orders));
        await late.hasHandled([...before, ...after]);
        expect(disorder(late.handled)).toEqual([]);
      });

      test("a batch mixes topics and partitions and is no larger than asked for", async () => {
        const payments = await world.open("payments");
        await payments.ensureTopics([{ topic: "payments", partitions }]);
        const [placed, paid] = [records(20, 5), records(20, 5)];
        await log.append("orders", placed);
        await payments.append("payments", paid);
        const witness = createWitness();
        const sizes: number[] = [];
        await log.consume(
          witness.subscription("orders", ["orders", "payments"], (events) => sizes.push(events.length), {
            maxBatch: 30,
          }),
        );
        await witness.hasHandled([...placed, ...paid]);
        expect(disorder(witness.handled)).toEqual([]);
        expect(Math.max(...sizes)).toBeLessThanOrEqual(30);
      });

      test("a topic that is created later is found", async () => {
        const witness = createWitness();
        await log.consume(witness.subscription("orders", ["payments"]));
        const payments = await world.open("payments");
        await payments.ensureTopics([{ topic: "payments", partitions }]);
        const paid = records(5, 2);
        await payments.append("payments", paid);
        await witness.hasHandled(paid);
      });

      test("a consumer that is started again goes on behind what it has handled", async () => {
        const [before, after] = [records(10, 5), records(10, 5, 6)];
        const [first, second] = [createWitness(), createWitness()];
        await log.append("orders", before);
        const consumer = await log.consume(first.subscription("orders", orders));
        await first.hasHandled(before);
        await consumer.stop();
        await log.append("orders", after);
        const again = await world.open("orders");
        await again.consume(second.subscription("orders", orders));
        await second.hasHandled(after);
        expect(second.seen.map((event) => event.id).toSorted()).toEqual(after.map((event) => event.id).toSorted());
        expect(first.seen).toHaveLength(before.length);
      });

      test("stop lets the running batch end and commits it", async () => {
        const witness = createWitness();
        const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
        const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
        await log.append("orders", [record("a", 1)]);
        const consumer = await log.consume(witness.subscription("orders", orders, () => (begin(), finished)));
        await begun;
        const stopped = consumer.stop();
        finish();
        await stopped;
        expect(witness.handled).toHaveLength(1);
        await eventually(async () => expect(totals(await log.lag("orders", orders))).toEqual({ committed: 1, end: 1 }));
      });

      test("after an error the same events come again, and no later ones of their partition first", async () => {
        const witness = createWitness();
        let failures = 3;
        await log.append("orders", records(8, 3));
        await log.consume(
          witness.subscription(
            "orders",
            orders,
            (events) => {
              if (failures > 0 && events.some((event) => event.key === "key-3" && event.sequence <= 2)) {
                failures--;
                throw new Error("not now");
              }
            },
            { maxBatch: 5 },
          ),
        );
        await log.append("orders", records(8, 3, 4));
        await witness.hasHandled(await Array.fromAsync(log.read("orders")));
        expect(failures).toBe(0);
        expect(witness.errors).toHaveLength(3);
        expect(disorder(witness.handled)).toEqual([]);
        for (const seen of Map.groupBy(witness.seen, (event) => event.partition).values()) {
          expect(disorderOfOffsets(firstOccurrences(seen))).toEqual([]);
        }
      });

      test("rewind sets a group back to the earliest event, and not while it has members", async () => {
        const all = records(10, 3);
        const [first, second] = [createWitness(), createWitness()];
        await log.append("orders", all);
        const consumer = await log.consume(first.subscription("orders", orders));
        await first.hasHandled(all);
        await expect(log.rewind("orders", orders)).rejects.toThrow(/members/);
        await consumer.stop();
        await log.rewind("orders", orders);
        expect(totals(await log.lag("orders", orders))).toEqual({ committed: 0, end: 30 });
        await log.consume(second.subscription("orders", orders));
        await second.hasHandled(all);
        expect(disorder(second.handled)).toEqual([]);
      });

      test("a group that is set back gets everything again, in order, each time", async () => {
        const all = records(6, 4);
        await log.append("orders", all);
        for (let time = 0; time < 3; time++) {
          const witness = createWitness();
          const consumer = await log.consume(witness.subscription("orders", orders));
          await witness.hasHandled(all);
          await consumer.stop();
          expect(disorder(witness.handled)).toEqual([]);
          expect(witness.handled).toHaveLength(all.length);
          await log.rewind("orders", orders);
        }
      });

      test("a slow handler is waited for: one call at a time, of no more than was asked for", async () => {
        const all = records(20, 30);
        await log.append("orders", all);
        const witness = createWitness();
        let [running, most] = [0, 0];
        await log.consume(
          witness.subscription(
            "orders",
            orders,
            async (events) => {
              most = Math.max(most, ++running, events.length > 50 ? events.length : 0);
              await new Promise((resolve) => setTimeout(resolve, 15));
              running--;
            },
            { maxBatch: 50 },
          ),
        );
        await witness.hasHandled(all);
        expect(most).toBe(1);
        expect(disorder(witness.handled)).toEqual([]);
        expect(witness.handled).toHaveLength(all.length);
      });

      test("a database that stands before its group is given again what it lacks, and only that", async () => {
        const [before, after] = [createWitness(), createWitness()];
        const all = records(1, 10);
        await log.append("orders", all);
        const consumer = await log.consume(before.subscription("orders", orders));
        await before.hasHandled(all);
        await consumer.stop();
        const { partition } = before.handled[0]!;
        const rewound: unknown[] = [];
        await log.consume({
          ...after.subscription("orders", orders),
          positions: async () => [{ topic: "orders", partition, next: 7 }],
          onRewound: (position, committed) => void rewound.push([position, committed]),
        });
        await eventually(() => expect(after.handled.map(({ sequence }) => sequence)).toEqual([8, 9, 10]));
        expect(rewound).toEqual([[{ topic: "orders", partition, next: 7 }, 10]]);
        await eventually(async () =>
          expect(totals(await log.lag("orders", orders))).toEqual({ committed: 10, end: 10 }),
        );
      });

      test("a database that stands beyond its group changes nothing", async () => {
        const witness = createWitness();
        const all = records(1, 5);
        await log.append("orders", all);
        const { partition } = (await Array.fromAsync(log.read("orders")))[0]!;
        const rewound: unknown[] = [];
        await log.consume({
          ...witness.subscription("orders", orders),
          positions: async () => [{ topic: "orders", partition, next: 4 }],
          onRewound: (...told) => void rewound.push(told),
        });
        await witness.hasHandled(all);
        expect(rewound).toEqual([]);
      });

      test("lag tells how far a group is, also one that does not exist", async () => {
        await log.append("orders", records(10, 3));
        expect(totals(await log.lag("orders.new", orders))).toEqual({ committed: 0, end: 30 });
        const witness = createWitness();
        await log.consume(witness.subscription("orders.new", orders));
        await eventually(async () =>
          expect(totals(await log.lag("orders.new", orders))).toEqual({ committed: 30, end: 30 }),
        );
      });
    });

    describe("several members of a group", () => {
      test("share the partitions, take them over during handlers, and never handle one partition at the same time", async () => {
        const witness = createWitness();
        const busy = new Map<number, string>();
        const collisions: string[] = [];
        const share = new Map<string, Set<number>>();
        let produced = 0;
        const join = async (member: string): Promise<Consumer> => {
          const memberLog = await world.open("orders");
          share.set(member, new Set());
          return memberLog.consume(
            witness.subscription(
              "orders",
              orders,
              async (events) => {
                const mine = new Set(events.map((event) => event.partition));
                for (const partition of mine) {
                  if (busy.has(partition)) collisions.push(`${partition}: ${member} and ${busy.get(partition)}`);
                  busy.set(partition, member);
                  share.get(member)!.add(partition);
                }
                await new Promise((resolve) => setTimeout(resolve, 30));
                for (const partition of mine) busy.delete(partition);
              },
              { maxBatch: 20 },
            ),
          );
        };
        const produce = async (rounds: number): Promise<void> => {
          for (let round = 0; round < rounds; round++) await log.append("orders", records(12, 1, ++produced));
        };
        /** Produces until each of these members has read again. */
        const untilAllRead = async (members: string[]): Promise<void> => {
          for (const member of members) share.get(member)!.clear();
          await eventually(async () => {
            await produce(1);
            expect(members.filter((member) => share.get(member)!.size === 0)).toEqual([]);
          });
        };
        await produce(20);
        const a = await join("a");
        await untilAllRead(["a"]);
        const b = await join("b");
        await join("c");
        await untilAllRead(["a", "b", "c"]);
        await b.stop();
        await untilAllRead(["a", "c"]);
        await a.stop();
        await eventually(async () => {
          share.get("c")!.clear();
          await produce(2);
          await new Promise((resolve) => setTimeout(resolve, 100));
          expect(share.get("c")!.size).toBe(partitions);
        });
        await witness.hasHandled(await Array.fromAsync(log.read("orders")));
        expect(collisions).toEqual([]);
        expect(disorder(witness.handled)).toEqual([]);
      });

      test("take over from a member that died in a handler; what it had not committed comes again", async () => {
        const [dead, alive] = [createWitness(), createWitness()];
        const deadLog = await world.open("orders");
        await log.append("orders", records(10, 2));
        await deadLog.consume(dead.subscription("orders", orders, () => new Promise(() => {})));
        await eventually(() => expect(dead.seen.length).toBeGreaterThan(0));
        await log.consume(alive.subscription("orders", orders));
        await world.crash(deadLog);
        await alive.hasHandled(await Array.fromAsync(log.read("orders")));
        expect(disorder(alive.handled)).toEqual([]);
      });

      test("a consumer outlives a broken connection", async () => {
        const witness = createWitness();
        const other = await world.open("orders");
        const consumer = await other.consume(witness.subscription("orders", orders));
        for (let round = 1; round <= 5; round++) {
          await log.append("orders", records(10, 1, round));
          if (round % 2 === 0) world.cut(other);
        }
        await witness.hasHandled(await Array.fromAsync(log.read("orders")));
        expect(disorder(firstOccurrences(witness.handled))).toEqual([]);
        const before = consumer.lastProgressMs();
        await eventually(() => expect(consumer.lastProgressMs()).toBeGreaterThan(before));
      });
    });

    describe("relay", () => {
      const source = { topic: "orders", floor: 0 };

      test("moves the oldest rows in id order, as many as it may, and removes them", async () => {
        const all = records(5, 4);
        await putIntoOutbox(world.database("orders"), all);
        const first = await log.relay({ ...source, limit: 12 });
        expect(first.moved).toBe(12);
        expect(await log.relay({ ...source, floor: first.lastId + 1, limit: 500 })).toMatchObject({ moved: 8 });
        expect(await log.relay({ ...source, limit: 500 })).toEqual({ moved: 0, lastId: 0 });
        const read = await Array.fromAsync(log.read("orders"));
        expect(read.map((event) => event.id).toSorted()).toEqual(all.map((event) => event.id).toSorted());
        expect(disorder(read)).toEqual([]);
      });

      test("does not look at rows below the floor", async () => {
        await putIntoOutbox(world.database("orders"), records(1, 3));
        const { rows } = await world.database("orders").query<{ id: string }>("SELECT max(id) AS id FROM outbox");
        expect(await log.relay({ ...source, floor: Number(rows[0]!.id), limit: 10 })).toMatchObject({ moved: 1 });
      });

      test("keeps first occurrences in order when two relays run at once and producers die", async () => {
        const pool = world.database("orders");
        const committed: string[] = [];
        const relays = [await world.open("orders"), await world.open("orders")];
        let producing = true;
        const relaying = relays.map(async (relay) => {
          while (producing) await relay.relay({ ...source, limit: 7 });
        });
        await Promise.all(
          Array.from({ length: 6 }, async (_, key) => {
            for (let sequence = 1; sequence <= 40; sequence++) {
              const dies = record(`key-${key}`, sequence);
              if (sequence % 5 === 0) await putIntoOutbox(pool, [dies], { commit: false }).catch(() => {});
              const event = record(`key-${key}`, sequence);
              await putIntoOutbox(pool, [event]);
              committed.push(event.id);
            }
          }),
        );
        producing = false;
        await Promise.all(relaying);
        while ((await log.relay({ ...source, limit: 500 })).moved > 0);
        const read = firstOccurrences(await Array.fromAsync(log.read("orders")));
        expect(read.map((event) => event.id).toSorted()).toEqual(committed.toSorted());
        expect(disorder(read)).toEqual([]);
      });

      test("loses nothing when a relay is cut off in the middle", async () => {
        const all = records(20, 100);
        await putIntoOutbox(world.database("orders"), all);
        for (let attempt = 0; attempt < 5; attempt++) {
          const doomed = await world.open("orders");
          await doomed.relay({ ...source, limit: 10 });
          const running = doomed.relay({ ...source, limit: 100 }).catch(() => {});
          await new Promise((resolve) => setTimeout(resolve, attempt));
          await world.crash(doomed);
          await running;
        }
        while ((await log.relay({ ...source, limit: 500 })).moved > 0);
        const read = firstOccurrences(await Array.fromAsync(log.read("orders")));
        expect(read.map((event) => event.id).toSorted()).toEqual(all.map((event) => event.id).toSorted());
        expect(disorder(read)).toEqual([]);
      });
    });

    describe("tail", () => {
      function reader(): {
        events: DeliveredEvent[];
        gaps: string[];
        onEvents(events: DeliveredEvent[]): void;
        onGap(reason: string): void;
      } {
        const events: DeliveredEvent[] = [];
        const gaps: string[] = [];
        return {
          events,
          gaps,
          onEvents: (batch) => void events.push(...batch),
          onGap: (reason) => void gaps.push(reason),
        };
      }
      const ids = (events: { id: string }[]) => events.map((event) => event.id).toSorted();

      test("reads along from now on, for each reader, and stops", async () => {
        await log.append("orders", records(5, 2));
        const gateway = await world.open("gateway");
        const [one, two] = [reader(), reader()];
        const tail = await gateway.tail({ topics: orders, ...one });
        await log.append("orders", records(5, 2, 3));
        await eventually(() => expect(one.events).toHaveLength(10));
        await gateway.tail({ topics: orders, ...two });
        await tail.stop();
        const last = records(5, 1, 5);
        await log.append("orders", last);
        await eventually(() => expect(ids(two.events)).toEqual(ids(last)));
        expect(one.events).toHaveLength(10);
        expect([...one.gaps, ...two.gaps]).toEqual([]);
      });

      test("reads from a time on", async () => {
        const after = records(5, 2, 2);
        await log.append("orders", records(5, 1));
        const pause = () => new Promise((resolve) => setTimeout(resolve, 20));
        await pause();
        const since = new Date();
        await pause();
        await log.append("orders", after);
        const one = reader();
        await log.tail({ topics: orders, since, ...one });
        await eventually(() => expect(ids(one.events)).toEqual(ids(after)));
      });

      test("says that there may be a gap after a broken connection, and goes on", async () => {
        const gateway = await world.open("gateway");
        const one = reader();
        await gateway.tail({ topics: orders, ...one });
        await log.append("orders", [record("before", 1)]);
        await eventually(() => expect(one.events).toHaveLength(1));
        world.cut(gateway);
        await eventually(() => expect(one.gaps.length).toBeGreaterThan(0));
        const after = records(5, 1);
        await log.append("orders", after);
        await eventually(() => expect(ids(one.events.slice(1))).toEqual(ids(after)));
      });
    });

    describeRandomRuns(() => world);
  });
}

function totals(lag: { committed: number; end: number }[]): { committed: number; end: number } {
  return {
    committed: lag.reduce((sum, partition) => sum + partition.committed, 0),
    end: lag.reduce((sum, partition) => sum + partition.end, 0),
  };
}

function disorderOfOffsets(events: DeliveredEvent[]): number[] {
  return events
    .map((event) => event.offset)
    .filter((offset, index, all) => index > 0 && offset !== all[index - 1]! + 1);
}
