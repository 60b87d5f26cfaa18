import type { DeliveredEvent, EventLog, PartitionLag } from "@crowdcrunch/kit/eventlog";

/** Where the embedded log ended when the shop left it: the next offset, by topic and partition. */
export type Ends = ReadonlyMap<string, ReadonlyMap<number, number>>;

/**
 * The log of a shop that has gone over from the embedded log to Kafka, as one: the partitions of Kafka continue those of
 * the embedded log, with offsets that count on from its end. Within a key that is the order in which events were
 * published. `keeps` is false once Kafka may have dropped its first events: those before them are left out then too, as
 * a log that dropped them all would.
 */
export function continuedLog(options: {
  embedded: EventLog;
  kafka: EventLog;
  /** Where the embedded log ended; empty where it never had an event, or the shop has not left it. */
  left(): Promise<{ ends: Ends; keeps: boolean }>;
}): EventLog {
  const { embedded, kafka, left } = options;

  async function* read(topic: string, from?: ReadonlyMap<number, number>): AsyncGenerator<DeliveredEvent> {
    const { ends, keeps } = await left();
    const ofTopic = ends.get(topic) ?? new Map<number, number>();
    if (keeps && [...ofTopic].some(([partition, end]) => (from?.get(partition) ?? 0) < end)) {
      yield* embedded.read(topic, from);
    }
    const later = new Map(
      [...(from ?? [])].map(([partition, offset]) => [partition, Math.max(0, offset - (ofTopic.get(partition) ?? 0))]),
    );
    for await (const event of kafka.read(topic, later)) {
      yield { ...event, offset: event.offset + (ofTopic.get(event.partition) ?? 0) };
    }
  }

  async function lag(group: string, topics: string[]): Promise<PartitionLag[]> {
    const { ends } = await left();
    return (await kafka.lag(group, topics)).map((position) => {
      const before = ends.get(position.topic)?.get(position.partition) ?? 0;
      return { ...position, committed: position.committed + before, end: position.end + before };
    });
  }

  return {
    ...kafka,
    read,
    lag,
    async close() {
      await Promise.all([kafka.close(), embedded.close()]);
    },
  };
}
