import type { Consumer as KafkaConsumer, EachBatchPayload } from "kafkajs";
import { createSleeper, reconnectMs } from "../backoff.ts";
import type { Backoff } from "../backoff.ts";
import { interleave, seededRandom } from "../eventlog-postgres/shuffle.ts";
import { OffsetOutOfRange } from "../eventlog.ts";
import type { Consumer, ReaderPosition, Subscription } from "../eventlog.ts";
import { fairShares } from "./assigner.ts";
import { createBatches, maxBatchBytes } from "./batches.ts";
import { EventLogUnavailable, retry, unavailable } from "./client.ts";
import type { Inspector, KafkaClient } from "./client.ts";
import { existingTopics, groupOffsets, partitionKey, refuseOutOfRange } from "./offsets.ts";

export interface MemberSettings {
  /** How long a member that is silent keeps its partitions. */
  sessionMs: number;
  /** How often to look for topics that do not exist yet. */
  pollMs: number;
  backoff: Backoff;
  /** For tests: mixes partitions by this seed. */
  shuffleSeed: number | undefined;
}

/** How long a fetch waits for events where there are none. Between two the member answers its group, which is why it is short. */
const longPollMs = 500;
/** How long the others wait for one that is in a handler before they share its partitions without it. */
const rebalanceMs = 30_000;
/** A member that has fetched nothing for so long is stuck, and starts again; kafkajs knows several ways to get there. */
const stuckMs = 20_000;
const stuckJoiningMs = rebalanceMs + 15_000;
/** How long to wait for a member's orderly leave; without it the others wait for its session to end. */
const leaveMs = 3_000;

/**
 * A member of a consumer group. kafkajs fetches and keeps the membership; when to handle, to commit and to begin again is
 * decided here: its own restarts cannot be stopped, and skip errors that they take for permanent.
 */
export function joinGroup(
  client: KafkaClient,
  inspector: Inspector,
  subscription: Subscription,
  settings: MemberSettings,
): Consumer {
  const { group, onError } = subscription;
  const groupId = client.groupName(group);
  const names = subscription.topics.map(client.topicName);
  const random = settings.shuffleSeed === undefined ? undefined : seededRandom(settings.shuffleSeed);
  const sleeper = createSleeper();
  let stopped = false;
  let endSession = (): void => {};
  let progressMs = performance.now();
  let healthy = false;

  /** Membership until something ends it. Rejects with what that was; resolves where it is only to begin anew. */
  async function session(): Promise<void> {
    const present = await inspector.ask(async (cluster) => {
      const found = await existingTopics(cluster, names);
      // Before it joins, because kafkajs would move offsets that are out of range.
      if (!subscription.positions)
        for (const offset of await groupOffsets(cluster, groupId, found)) refuseOutOfRange(groupId, offset);
      return found;
    });
    if (present.size === 0) return sleeper.sleep(settings.pollMs, () => stopped);
    const over = Promise.withResolvers<void>();
    over.promise.catch(() => {});
    endSession = over.resolve;

    const consumer = client.kafka("consumer").consumer({
      groupId,
      sessionTimeout: settings.sessionMs,
      heartbeatInterval: Math.ceil(settings.sessionMs / 10),
      rebalanceTimeout: rebalanceMs,
      maxWaitTimeInMs: longPollMs,
      minBytes: 1,
      maxBytes: maxBatchBytes,
      maxBytesPerPartition: 1024 * 1024,
      partitionAssigners: [fairShares],
      allowAutoTopicCreation: false,
      retry: { ...retry, restartOnFailure: async () => false },
    });
    let assigned: Record<string, number[]> = {};
    let examined = Promise.resolve();
    let joining = true;
    let fetchedMs = performance.now();
    /** Where the next fetch of each partition begins. */
    const expected = new Map<string, number>();

    function giveUp(why: string): void {
      over.reject(new EventLogUnavailable(why));
      // It may have met the same dead connection, or another one.
      inspector.forget();
    }

    /** Looks at what was assigned before anything of it is handled. */
    function examine(positions: Subscription["positions"]): Promise<void> {
      const assignment = assigned;
      const done = (async () => {
        const stands = new Map<string, ReaderPosition>();
        for (const position of (await positions?.()) ?? [])
          stands.set(partitionKey(client.topicName(position.topic), position.partition), position);
        const topics = new Map(Object.entries(assignment));
        const offsets = await inspector.ask((cluster) => groupOffsets(cluster, groupId, topics));
        for (const offset of assignment === assigned ? offsets : []) {
          const { name, partition, committed, low } = offset;
          const key = partitionKey(name, partition);
          const position = stands.get(key);
          if (committed !== undefined && position !== undefined && (position.next < committed || committed < 0)) {
            const next = position.next === 0 ? low : position.next;
            refuseOutOfRange(groupId, offset, next);
            consumer.seek({ topic: name, partition, offset: String(next) });
            expected.set(key, next);
            if (next < committed) subscription.onRewound?.({ ...position, next }, committed);
          } else {
            refuseOutOfRange(groupId, offset);
            expected.set(key, committed ?? low);
          }
        }
      })();
      done.catch(over.reject);
      return done;
    }

    /**
     * kafkajs jumps where an offset is out of range, and leaves a mark in the committed ones. A fetch that does not begin
     * where the last one ended makes it worth to look at those.
     */
    async function ready(fetched: EachBatchPayload[]): Promise<void> {
      await examined;
      const jumped = fetched.filter(
        ({ batch, isStale }) =>
          !isStale() && expected.get(partitionKey(batch.topic, batch.partition)) !== fetchedOffsetOf(batch),
      );
      if (jumped.length === 0) return;
      await (examined = examine(undefined));
      for (const { batch } of jumped) expected.set(partitionKey(batch.topic, batch.partition), fetchedOffsetOf(batch));
    }

    const batches = createBatches({
      subscription,
      topicOf: client.topicOf,
      backoff: settings.backoff,
      heartbeatMs: Math.ceil(settings.sessionMs / 10),
      mix: (events) => (random ? interleave(events, random) : events),
      ready,
      onEnded({ batch }) {
        expected.set(partitionKey(batch.topic, batch.partition), Number(batch.lastOffset()) + 1);
        progressMs = performance.now();
      },
    });
    consumer.on("consumer.crash", ({ payload }) => over.reject(unavailable(payload.error)));
    // kafkajs goes on with a connection on which nothing comes any more.
    consumer.on("consumer.network.request_timeout", ({ payload: { apiName } }) =>
      giveUp(`Kafka did not answer in time (${apiName})`),
    );
    consumer.on("consumer.rebalancing", () => void (joining = true));
    consumer.on("consumer.group_join", ({ payload }) => {
      joining = false;
      fetchedMs = performance.now();
      assigned = payload.memberAssignment;
      examined = examine(subscription.positions);
    });
    consumer.on("consumer.fetch", () => {
      healthy = true;
      progressMs = fetchedMs = performance.now();
    });

    let looking = false;
    const watch = setInterval(() => {
      const silentMs = performance.now() - Math.max(fetchedMs, batches.busyMs());
      if (silentMs > (joining ? stuckJoiningMs : stuckMs)) giveUp("nothing was fetched for too long");
      if (present.size === names.length || looking) return;
      looking = true;
      void inspector
        .ask((cluster) => existingTopics(cluster, names))
        .then((found) => void (found.size > present.size && over.resolve()))
        .catch(() => {})
        .finally(() => (looking = false));
    }, settings.pollMs);

    const running = (async () => {
      await consumer.connect();
      await consumer.subscribe({ topics: [...present.keys()], fromBeginning: true });
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: [...present.values()].flat().length,
        eachBatch: batches.eachBatch,
      });
    })();
    running.catch((error: unknown) => over.reject(unavailable(error)));
    try {
      if (stopped) over.resolve();
      await over.promise;
    } finally {
      clearInterval(watch);
      endSession = () => {};
      await batches.end();
      await leave(consumer, running);
    }
  }

  async function run(): Promise<void> {
    let failures = 0;
    while (!stopped) {
      try {
        healthy = false;
        await session();
        failures = 0;
      } catch (error) {
        onError(error);
        if (error instanceof OffsetOutOfRange) return;
        failures = healthy ? 1 : failures + 1;
        await sleeper.sleep(reconnectMs(settings.backoff, failures), () => stopped);
      }
    }
  }

  const ended = run();
  return {
    async stop() {
      stopped = true;
      endSession();
      sleeper.recheck();
      await ended;
    },
    lastProgressMs: () => progressMs,
  };
}

/** What was asked for, which its type does not tell. */
function fetchedOffsetOf(batch: EachBatchPayload["batch"]): number {
  return Number((batch as typeof batch & { fetchedOffset: string }).fetchedOffset);
}

/**
 * Leaves the group. A stop in the middle of joining is lost on kafkajs, which goes on as a member that nobody knows of:
 * so the join ends first, if need be after nobody waits any more.
 */
async function leave(consumer: KafkaConsumer, running: Promise<void>): Promise<void> {
  const left = running
    .catch(() => {})
    .then(() => consumer.disconnect())
    .catch(() => {});
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([left, new Promise((resolve) => (timer = setTimeout(resolve, leaveMs)))]);
  clearTimeout(timer);
}
