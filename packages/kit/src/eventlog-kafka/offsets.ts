import type { Cluster } from "kafkajs";
import { OffsetOutOfRange } from "../eventlog.ts";
import type { PartitionLag } from "../eventlog.ts";
import { EventLogUnavailable, protocolErrorOf } from "./client.ts";
import type { Inspector, KafkaClient } from "./client.ts";

/** A partition by its topic's name on Kafka. */
export interface NamedPartition {
  name: string;
  partition: number;
}

/** What a group has committed in a partition, and what the partition holds. */
export interface GroupOffset extends NamedPartition {
  /** Offset of the first event that was not handled; undefined where the group has committed nothing. */
  committed: number | undefined;
  /** Offset of the earliest event. */
  low: number;
  /** Offset of the next event to be appended. */
  end: number;
}

type TopicPartitions = Map<string, number[]>;

export const partitionKey = (name: string, partition: number): string => `${name} ${partition}`;

/** The topics among these that exist, each with the numbers of its partitions. */
export async function existingTopics(cluster: Cluster, names: string[]): Promise<TopicPartitions> {
  // Null where no broker has answered, whatever the type says.
  const answer = (await cluster.metadata()) as Awaited<ReturnType<Cluster["metadata"]>> | null;
  if (answer === null) throw new EventLogUnavailable("Kafka: no broker has answered");
  const wanted = new Set(names);
  const found: TopicPartitions = new Map();
  for (const { topic, partitionMetadata } of answer.topicMetadata) {
    if (wanted.has(topic))
      found.set(
        topic,
        partitionMetadata.map(({ partitionId }) => partitionId).toSorted((a, b) => a - b),
      );
  }
  return found;
}

export type Moment = { fromBeginning: boolean } | { fromTimestamp: number };

/** Offsets of partitions at a moment, by `partitionKey`. Of a time: that of the first event at or after it, -1 where there is none. */
export async function offsetsAt(
  cluster: Cluster,
  topics: TopicPartitions,
  moment: Moment,
): Promise<Map<string, number>> {
  if (topics.size === 0) return new Map();
  await cluster.addMultipleTargetTopics([...topics.keys()]);
  const asked = [...topics].map(([topic, partitions]) => ({
    topic,
    partitions: partitions.map((partition) => ({ partition })),
    ...(moment as { fromBeginning: boolean }),
  }));
  const answer = await cluster.fetchTopicsOffset(asked);
  return new Map(
    answer.flatMap(({ topic, partitions }) =>
      partitions.map(({ partition, offset }) => [partitionKey(topic, partition), Number(offset)] as const),
    ),
  );
}

/** What a group has committed, by `partitionKey`; -1 where nothing. */
async function committedOffsets(
  cluster: Cluster,
  group: string,
  topics: TopicPartitions,
): Promise<Map<string, number>> {
  const asked = [...topics].map(([topic, partitions]) => ({
    topic,
    partitions: partitions.map((partition) => ({ partition, offset: "" })),
  }));
  const { responses } = await atCoordinator(cluster, group, (coordinator) =>
    coordinator.offsetFetch({ groupId: group, topics: asked }),
  );
  return new Map(
    responses.flatMap(({ topic, partitions }) =>
      partitions.map(({ partition, offset }) => [partitionKey(topic, partition), Number(offset)] as const),
    ),
  );
}

const coordinatorMoves = new Set([
  "GROUP_LOAD_IN_PROGRESS",
  "GROUP_COORDINATOR_NOT_AVAILABLE",
  "NOT_COORDINATOR_FOR_GROUP",
  "COORDINATOR_LOAD_IN_PROGRESS",
]);

type Coordinator = Awaited<ReturnType<Cluster["findGroupCoordinator"]>>;

/** Asks the group's coordinator, also while it starts or moves, which takes some seconds. */
export async function atCoordinator<T>(
  cluster: Cluster,
  group: string,
  ask: (coordinator: Coordinator) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask(await cluster.findGroupCoordinator({ groupId: group }));
    } catch (error) {
      if (attempt === 20 || !coordinatorMoves.has(protocolErrorOf(error) ?? "")) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

// What kafkajs commits by itself where it met an offset that is not in the log: "the earliest there is".
const resetByClient = -2;

/** How far a group is. Throws OffsetOutOfRange where its next events are not in the log. */
export async function groupOffsets(cluster: Cluster, group: string, topics: TopicPartitions): Promise<GroupOffset[]> {
  if (topics.size === 0) return [];
  // The ends come last, so that no commit of a running member is beyond them.
  const committed = await committedOffsets(cluster, group, topics);
  const [lows, ends] = [
    await offsetsAt(cluster, topics, { fromBeginning: true }),
    await offsetsAt(cluster, topics, { fromBeginning: false }),
  ];
  return [...topics].flatMap(([name, partitions]) =>
    partitions.map((partition) => {
      const key = partitionKey(name, partition);
      const offset = committed.get(key) ?? -1;
      return {
        name,
        partition,
        committed: offset === -1 ? undefined : offset,
        low: lows.get(key)!,
        end: ends.get(key)!,
      };
    }),
  );
}

/** Throws OffsetOutOfRange, with what to do, where a group's next event is not in the log. */
export function refuseOutOfRange(
  group: string,
  { name, partition, committed, low, end }: GroupOffset,
  next = committed,
): void {
  if (next === undefined || (next >= low && next <= end)) return;
  const place = `${name} partition ${partition}`;
  const next_ = next === resetByClient ? "events that retention has removed" : `offset ${next}`;
  const why = next > end ? "the topic was made anew or has lost events" : "its retention has passed";
  throw new OffsetOutOfRange(
    `The group ${group} goes on with ${next_} of ${place}, which holds ${low} to ${end}: ${why}. ` +
      `Nothing is read, so that nothing is skipped. Publish again what is missing (make republish), then set the group back ` +
      `to the earliest event on purpose (rewind, or kafka-consumer-groups.sh --group ${group} --topic ${name} --reset-offsets --to-earliest --execute) and start again.`,
  );
}

/** How far a group is, for the port. */
export async function groupLag(
  client: KafkaClient,
  inspector: Inspector,
  group: string,
  topics: string[],
): Promise<PartitionLag[]> {
  const found = await inspector.ask(async (cluster) =>
    groupOffsets(cluster, client.groupName(group), await existingTopics(cluster, topics.map(client.topicName))),
  );
  return found.map(({ name, partition, committed, low, end }) => ({
    topic: client.topicOf(name),
    partition,
    committed: Math.max(committed ?? low, 0),
    end,
  }));
}

/** Sets a group without members back to the earliest events. */
export async function rewindGroup(
  client: KafkaClient,
  inspector: Inspector,
  group: string,
  topics: string[],
): Promise<void> {
  const groupId = client.groupName(group);
  await inspector.ask(async (cluster) => {
    const description = await atCoordinator(cluster, groupId, (coordinator) =>
      coordinator.describeGroups({ groupIds: [groupId] }),
    );
    if (description.groups.some((found: { members: unknown[] }) => found.members.length > 0)) {
      throw new Error(`the group ${group} has members: stop them before its offsets are set back`);
    }
    const found = await existingTopics(cluster, topics.map(client.topicName));
    const lows = await offsetsAt(cluster, found, { fromBeginning: true });
    if (lows.size > 0) await commitOutside(cluster, groupId, found, lows);
  });
}

/** Commits as nobody's member, which a group without members allows. */
async function commitOutside(
  cluster: Cluster,
  groupId: string,
  topics: TopicPartitions,
  offsets: Map<string, number>,
): Promise<void> {
  await atCoordinator(cluster, groupId, (coordinator) =>
    coordinator.offsetCommit({
      groupId,
      groupGenerationId: -1,
      memberId: "",
      topics: [...topics].map(([topic, partitions]) => ({
        topic,
        partitions: partitions.map((partition) => ({
          partition,
          offset: String(offsets.get(partitionKey(topic, partition))),
        })),
      })),
    }),
  );
}
