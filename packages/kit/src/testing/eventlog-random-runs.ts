import { expect, test } from "vitest";
import { seededRandom } from "../eventlog-postgres/shuffle.ts";
import type { Consumer, EventLog, EventRecord } from "../eventlog.ts";
import { createWitness, disorder, firstOccurrences, putIntoOutbox, record } from "./eventlog-world.ts";
import type { EventLogWorld } from "./eventlog-world.ts";

const publishers = ["payments", "inventory"];

/** Publishers, relays at once, and members that come, go, fail and lose their connection; what they do follows from a seed. */
export function describeRandomRuns(world: () => EventLogWorld): void {
  test.each([1, 2, 3])(
    "nothing is lost and keys stay in order in a random run (seed %i)",
    async (seed) => {
      const random = seededRandom(seed);
      const below = (limit: number) => Math.floor(random() * limit);
      const logs = new Map<string, EventLog>();
      for (const service of publishers) {
        const log = await world().open(service);
        await log.ensureTopics([{ topic: service, partitions: 1 + below(8) }]);
        logs.set(service, log);
      }
      const witness = createWitness();
      const members: { consumer: Consumer; log: EventLog }[] = [];
      const published: EventRecord[] = [];
      const sequences = new Map<string, number>();

      async function join(): Promise<void> {
        const log = await world().open("orders");
        const failing = () => {
          if (random() < 0.1) throw new Error("a random failure");
        };
        const consumer = await log.consume(
          witness.subscription("orders", publishers, failing, { maxBatch: 1 + below(60) }),
        );
        members.push({ consumer, log });
      }

      await join();
      for (let step = 0; step < 120; step++) {
        const service = publishers[below(publishers.length)]!;
        const log = logs.get(service)!;
        const events = Array.from({ length: 1 + below(25) }, () => {
          const key = `key-${below(15)}`;
          const sequence = (sequences.get(`${service} ${key}`) ?? 0) + 1;
          sequences.set(`${service} ${key}`, sequence);
          return record(key, sequence);
        });
        await putIntoOutbox(world().database(service), events);
        published.push(...events);
        if (random() < 0.7)
          await Promise.all([
            log.relay({ topic: service, floor: 0, limit: 1 + below(80) }),
            log.relay({ topic: service, floor: 0, limit: 5 }),
          ]);
        if (step % 15 !== 0) continue;
        const leaving = members[below(members.length)]!;
        const action = random();
        if (action < 0.5 && members.length < 4) await join();
        else if (action < 0.7) world().cut(leaving.log);
        else if (members.length > 1) {
          members.splice(members.indexOf(leaving), 1);
          await leaving.consumer.stop();
        }
      }
      for (const [service, log] of logs) while ((await log.relay({ topic: service, floor: 0, limit: 500 })).moved > 0);
      await witness.hasHandled(published);
      expect(disorder(firstOccurrences(witness.handled))).toEqual([]);
      expect(firstOccurrences(witness.handled)).toHaveLength(published.length);
    },
    60_000,
  );
}
