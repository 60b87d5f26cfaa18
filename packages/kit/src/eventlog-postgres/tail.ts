import type { Tail, TailSubscription } from "../eventlog.ts";
import type { Logger } from "../logger.ts";
import type { Control } from "./control.ts";
import { eventColumns, toEvent, topicChannel } from "./records.ts";
import type { EventRow } from "./records.ts";
import { createSleeper, reconnectMs } from "../backoff.ts";
import type { Backoff } from "../backoff.ts";

interface Position {
  topic: string;
  partition: number;
  next: number;
}

const endPositions = {
  name: "eventlog_tail_end",
  text: `SELECT topic, partition, next FROM eventlog.heads WHERE topic = ANY($1)`,
};
// Backwards from the end, because what is asked for is recent and times never fall within a partition.
const positionsSince = {
  name: "eventlog_tail_since",
  text: `SELECT h.topic, h.partition, coalesce((
           SELECT e."offset" + 1 FROM eventlog.events e
           WHERE e.topic = h.topic AND e.partition = h.partition AND e.appended_at < $2
           ORDER BY e."offset" DESC LIMIT 1), 0) AS next
         FROM eventlog.heads h WHERE h.topic = ANY($1)`,
};
const most = 500;
// A topic that was created after the tail began has no position yet, and is read from its start.
const poll = {
  name: "eventlog_tail_poll",
  text: `SELECT ${eventColumns}
         FROM eventlog.heads h
         LEFT JOIN unnest($2::text[], $3::int[], $4::bigint[]) AS p(topic, partition, next) USING (topic, partition)
         CROSS JOIN LATERAL (
           SELECT * FROM eventlog.events e
           WHERE e.topic = h.topic AND e.partition = h.partition AND e."offset" >= coalesce(p.next, 0)
           ORDER BY e."offset" LIMIT ${most}
         ) e
         WHERE h.topic = ANY($1) AND h.next > coalesce(p.next, 0)
         ORDER BY e."offset" - coalesce(p.next, 0), e.topic, e.partition LIMIT ${most}`,
};

/**
 * Reads along. Resolves when the start is fixed, or could not be because the log is away: then the tail begins when it
 * is back, with a gap. After each lost connection it goes on from the end, because a database that crashed may have
 * given the same offsets to other events.
 */
export async function startTail(
  control: Control,
  subscription: TailSubscription,
  settings: { pollMs: number; backoff: Backoff; log: Logger },
): Promise<Tail> {
  const { topics, since } = subscription;
  const sleeper = createSleeper();
  let stopped = false;
  let news = false;
  let gap: string | undefined;
  let positions: Position[] = [];

  const unlisten = control.listen(topics.map(topicChannel), (channel) => {
    if (channel === undefined) gap = "the connection to the event log is new";
    news = true;
    sleeper.recheck();
  });

  function call(action: () => void): void {
    try {
      action();
    } catch (error) {
      settings.log.error({ error: (error as Error).stack }, "a reader of the event log's tail failed");
    }
  }

  async function next(): Promise<void> {
    news = false;
    if (gap !== undefined) {
      const reason = gap;
      gap = undefined;
      positions = await control.query<Position>(endPositions, [topics]);
      call(() => subscription.onGap(reason));
    }
    const rows = await control.query<EventRow>(poll, [
      topics,
      positions.map((position) => position.topic),
      positions.map((position) => position.partition),
      positions.map((position) => position.next),
    ]);
    // Events of another connection than the positions are of: the gap comes first.
    if (gap !== undefined || stopped) return;
    if (rows.length === 0) {
      await sleeper.sleep(settings.pollMs, () => stopped || news);
      return;
    }
    const moved = new Map(positions.map((position) => [`${position.topic} ${position.partition}`, position]));
    for (const { topic, partition, offset } of rows)
      moved.set(`${topic} ${partition}`, { topic, partition, next: offset + 1 });
    positions = [...moved.values()];
    call(() => subscription.onEvents(rows.map(toEvent)));
  }

  async function run(): Promise<void> {
    let failures = 0;
    while (!stopped) {
      try {
        await next();
        failures = 0;
      } catch (error) {
        failures++;
        gap ??= (error as Error).message;
        await sleeper.sleep(reconnectMs(settings.backoff, failures), () => stopped);
      }
    }
  }

  try {
    positions = await (since
      ? control.query<Position>(positionsSince, [topics, since])
      : control.query<Position>(endPositions, [topics]));
    gap = undefined;
  } catch (error) {
    gap = (error as Error).message;
    settings.log.warn({ topics, error: gap }, "the event log is away; what it tells comes late");
  }
  const ended = run().finally(unlisten);
  return {
    async stop() {
      stopped = true;
      sleeper.recheck();
      await ended;
    },
  };
}
