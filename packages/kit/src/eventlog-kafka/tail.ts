import type { Cluster } from "kafkajs";
import { createSleeper, reconnectMs } from "../backoff.ts";
import type { Backoff } from "../backoff.ts";
import type { Tail, TailSubscription } from "../eventlog.ts";
import type { Logger } from "../logger.ts";
import { clusterOf } from "./client.ts";
import type { KafkaClient } from "./client.ts";
import { existingTopics, offsetsAt, partitionKey } from "./offsets.ts";
import { fetchAt, placesByLeader } from "./reader.ts";
import type { Place } from "./reader.ts";

/** How long a fetch waits for events where there are none. */
const longPollMs = 500;

/**
 * Reads along, without a group: it asks the partitions' leaders itself. Resolves when the start is fixed, or could not
 * be because Kafka is away: then the tail begins when it is back, with a gap. After each lost connection it says that
 * there may be a gap, and goes on where it was, or at the end where that is no longer there.
 */
export async function startTail(
  client: KafkaClient,
  subscription: TailSubscription,
  settings: { pollMs: number; backoff: Backoff; log: Logger },
): Promise<Tail> {
  const names = subscription.topics.map(client.topicName);
  const sleeper = createSleeper();
  const places = new Map<string, Place>();
  let stopped = false;
  let gap: string | undefined;
  let cluster: Cluster | undefined;
  /** Whether topics that appear now are read from their first event. */
  let begun = false;

  function call(action: () => void): void {
    if (stopped) return;
    try {
      action();
    } catch (error) {
      settings.log.error({ error: (error as Error).stack }, "a reader of the event log's tail failed");
    }
  }

  /** Connects, and finds a place in each partition. */
  async function locate(): Promise<Cluster> {
    const present = (cluster = clusterOf(client.kafka("tail")));
    await present.connect();
    const topics = await existingTopics(present, names);
    const [lows, ends] = [
      await offsetsAt(present, topics, { fromBeginning: true }),
      await offsetsAt(present, topics, { fromBeginning: false }),
    ];
    const { since } = subscription;
    const starts = begun ? lows : since ? await offsetsAt(present, topics, { fromTimestamp: since.getTime() }) : ends;
    for (const [name, partitions] of topics) {
      for (const partition of partitions) {
        const key = partitionKey(name, partition);
        const [low, end] = [lows.get(key)!, ends.get(key)!];
        const place = places.get(key);
        const start = starts.get(key)!;
        if (!place) places.set(key, { name, partition, next: start < 0 ? end : start });
        else if (place.next < low || place.next > end) {
          gap ??= `the next events of ${name} are no longer in the event log`;
          place.next = end;
        }
      }
    }
    begun = true;
    return present;
  }

  async function follow(connected: Cluster, led: [string, Place[]], over: () => boolean): Promise<void> {
    const [nodeId, mine] = led;
    while (!over()) {
      const events = await fetchAt(client, await connected.findBroker({ nodeId }), mine, longPollMs);
      if (events.length > 0 && !over()) call(() => subscription.onEvents(events));
    }
  }

  /** Until the connection is lost, or there are topics to read besides. */
  async function read(connected: Cluster): Promise<void> {
    let over = false;
    const led = [...placesByLeader(connected, [...places.values()])];
    const known = new Set([...places.values()].map(({ name }) => name));
    const lookForTopics = async () => {
      while (!over && !stopped && known.size < names.length) {
        await sleeper.sleep(settings.pollMs, () => stopped || over);
        if (!over && !stopped && (await existingTopics(connected, names)).size > known.size) over = true;
      }
    };
    try {
      await Promise.all([lookForTopics(), ...led.map((part) => follow(connected, part, () => over || stopped))]);
    } finally {
      over = true;
      sleeper.recheck();
    }
  }

  async function run(first: Cluster | undefined): Promise<void> {
    let failures = 0;
    for (let connected = first; !stopped; connected = undefined) {
      try {
        connected ??= await locate();
        failures = 0;
        if (gap !== undefined) {
          const reason = gap;
          gap = undefined;
          call(() => subscription.onGap(reason));
        }
        await read(connected);
      } catch (error) {
        failures++;
        gap ??= (error as Error).message;
        await sleeper.sleep(reconnectMs(settings.backoff, failures), () => stopped);
      } finally {
        void cluster?.disconnect().catch(() => {});
      }
    }
  }

  let first: Cluster | undefined;
  try {
    first = await locate();
  } catch (error) {
    gap = (error as Error).message;
    settings.log.warn({ topics: subscription.topics, error: gap }, "the event log is away; what it tells comes late");
  }
  const ended = run(first);
  return {
    async stop() {
      stopped = true;
      sleeper.recheck();
      await ended;
    },
  };
}
