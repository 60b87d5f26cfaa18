import { statement } from "./database.ts";
import type { Database, Transaction } from "./database.ts";
import { defaultPartitions } from "./eventlog.ts";
import type { DeliveredEvent, ReaderPosition } from "./eventlog.ts";

const standing = statement<ReaderPosition>(
  "positionsStanding",
  `SELECT topic, partition, next FROM log_positions WHERE log = $1 AND topic = ANY($2::text[])
   UNION ALL
   SELECT t.topic, p.partition, 0 FROM unnest($2::text[]) AS t(topic) CROSS JOIN generate_series(0, $3::int - 1) AS p(partition)
   WHERE EXISTS (SELECT FROM log_positions WHERE log = '')
     AND NOT EXISTS (SELECT FROM log_positions l WHERE l.log = $1 AND l.topic = t.topic AND l.partition = p.partition)`,
);
/** Parameters of a statement that begins with this: PositionColumns, as $1 to $4. */
export const advancePositions = `INSERT INTO log_positions (log, topic, partition, next)
     SELECT $1, topic, partition, next FROM unnest($2::text[], $3::int[], $4::bigint[]) AS p(topic, partition, next)
     ORDER BY topic, partition
     ON CONFLICT (log, topic, partition) DO UPDATE SET next = excluded.next WHERE log_positions.next < excluded.next`;
const forgetAll = statement("positionsForget", `DELETE FROM log_positions WHERE log = $1`);
const advance = statement("positionsAdvance", advancePositions);

/** The log, and side by side topics, partitions and next offsets. */
export type PositionColumns = [log: string, topics: string[], partitions: number[], nexts: number[]];

/** Where this database stands in the partitions that it reads. */
export interface Positions {
  /** Events that need nothing of the database: where they end is written with the next transaction, or by `flush`. */
  skip(events: DeliveredEvent[]): void;
  /** What the transaction that handles these events writes. */
  behind(tx: Transaction, events: DeliveredEvent[]): PositionColumns;
  /** Writes what was skipped, if there is any. */
  flush(): Promise<void>;
  /** Forgets where the database stands, so that it goes on where its group does. */
  forget(): Promise<void>;
  /** Where the database stands by what is written in it. */
  read(topics: string[]): Promise<ReaderPosition[]>;
}

/** `log` names the event log: offsets of one mean nothing in another. */
export function createPositions({ db, log }: { db: Database; log: string }): Positions {
  let skipped = new Map<string, ReaderPosition>();

  function columns(positions: Map<string, ReaderPosition>): PositionColumns {
    const list = [...positions.values()];
    const [topics, partitions] = [list.map(({ topic }) => topic), list.map(({ partition }) => partition)];
    return [log, topics, partitions, list.map(({ next }) => next)];
  }

  function forget(written: Map<string, ReaderPosition>): void {
    for (const [name, position] of written) if (skipped.get(name) === position) skipped.delete(name);
  }

  return {
    skip: (events) => pass(skipped, events),
    behind(tx, events) {
      const taken = new Map(skipped);
      const positions = pass(new Map(skipped), events);
      if (taken.size > 0) tx.afterCommit(() => forget(taken));
      return columns(positions);
    },
    async flush() {
      if (skipped.size === 0) return;
      const taken = new Map(skipped);
      await db.run(advance, columns(taken));
      forget(taken);
    },
    async forget() {
      skipped = new Map();
      await db.run(forgetAll, [log]);
    },
    read(topics) {
      // The database may be another one than that in which they would have been written.
      skipped = new Map();
      return db.many(standing, [log, topics, defaultPartitions]);
    },
  };
}

/** Moves the positions behind the events, which are in order within each partition. */
function pass(positions: Map<string, ReaderPosition>, events: DeliveredEvent[]): Map<string, ReaderPosition> {
  for (const { topic, partition, offset } of events)
    positions.set(`${topic} ${partition}`, { topic, partition, next: offset + 1 });
  return positions;
}
