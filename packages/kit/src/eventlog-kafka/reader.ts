import type { Broker, Cluster, KafkaMessage } from "kafkajs";
import type { DeliveredEvent } from "../eventlog.ts";
import { clusterOf } from "./client.ts";
import type { KafkaClient } from "./client.ts";
import { existingTopics, offsetsAt, partitionKey } from "./offsets.ts";
import type { NamedPartition } from "./offsets.ts";
import { toEvent } from "./records.ts";

/** Where a reader stands in a partition. */
export interface Place extends NamedPartition {
  /** Offset of the next event to read. */
  next: number;
}

interface FetchAnswer {
  responses: {
    topicName: string;
    partitions: { partition: number; messages: (KafkaMessage & { isControlRecord?: boolean })[] }[];
  }[];
}

const maxBytes = 4 * 1024 * 1024;
const committedOnly = 1;

/** The places by the broker that leads their partitions. */
export function placesByLeader(cluster: Cluster, places: Place[]): Map<string, Place[]> {
  const led = new Map<string, Place[]>();
  for (const place of places) {
    const [leader] = Object.keys(cluster.findLeaderForPartitions(place.name, [place.partition]));
    led.set(leader!, [...(led.get(leader!) ?? []), place]);
  }
  return led;
}

/** Reads on at these places, which must have one leader, and moves them; resolves to nothing where nothing came in time. */
export async function fetchAt(
  client: KafkaClient,
  broker: Broker,
  places: Place[],
  waitMs: number,
): Promise<DeliveredEvent[]> {
  const byKey = new Map(places.map((place) => [partitionKey(place.name, place.partition), place]));
  const { responses } = (await broker.fetch({
    maxWaitTime: waitMs,
    minBytes: 1,
    maxBytes,
    isolationLevel: committedOnly,
    topics: [...Map.groupBy(places, ({ name }) => name)].map(([topic, wanted]) => ({
      topic,
      partitions: wanted.map(({ partition, next }) => ({ partition, fetchOffset: String(next), maxBytes })),
    })),
  })) as FetchAnswer;
  const events: DeliveredEvent[] = [];
  for (const { topicName, partitions } of responses) {
    const topic = client.topicOf(topicName);
    for (const { partition, messages } of partitions) {
      const place = byKey.get(partitionKey(topicName, partition))!;
      // A batch comes whole, also where it begins before what was asked for.
      for (const message of messages) {
        const offset = Number(message.offset);
        if (offset < place.next) continue;
        place.next = offset + 1;
        if (message.isControlRecord !== true) events.push(toEvent(topic, partition, message));
      }
    }
  }
  return events;
}

/** Reads a topic from the earliest events, or from these offsets by partition, to where it ends at the call. */
export async function* readTopic(
  client: KafkaClient,
  topic: string,
  from?: ReadonlyMap<number, number>,
): AsyncGenerator<DeliveredEvent> {
  const name = client.topicName(topic);
  const cluster = clusterOf(client.kafka("reader"));
  try {
    await cluster.connect();
    const found = await existingTopics(cluster, [name]);
    const [ends, lows] = [
      await offsetsAt(cluster, found, { fromBeginning: false }),
      await offsetsAt(cluster, found, { fromBeginning: true }),
    ];
    for (const partition of found.get(name) ?? []) {
      const key = partitionKey(name, partition);
      const place = { name, partition, next: Math.max(lows.get(key)!, from?.get(partition) ?? 0) };
      const end = ends.get(key)!;
      while (place.next < end) {
        const [leader] = placesByLeader(cluster, [place]).keys();
        const events = await fetchAt(client, await cluster.findBroker({ nodeId: leader! }), [place], 1_000);
        yield* events.filter(({ offset }) => offset < end);
      }
    }
  } finally {
    await cluster.disconnect().catch(() => {});
  }
}
