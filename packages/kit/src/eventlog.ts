/**
 * The event log port. Words used here and in both implementations:
 *
 * - topic: one per publisher, named after the service ("orders"). An implementation may prefix it.
 * - partition: a topic's share of keys; order is kept within a partition, so within a key, and nowhere else.
 * - group: replicas of one consumer; each partition is read by one member at a time.
 * - offset: a group's position in a partition; committed after the handler returned, so delivery is at least once.
 */

/** An event as it is published: CloudEvents 1.0 attributes and JSON data. */
export interface EventRecord {
  /** UUIDv7; the same for every redelivery. */
  id: string;
  /** "<topic>.<name>.v<version>", e.g. "orders.order-placed.v1". */
  type: string;
  /** Partition key: events of one key are delivered in the order in which they were appended. */
  key: string;
  /** Id of the aggregate that the event is about. */
  subject: string;
  /** The aggregate's version; 1…n without gap over the distinct events of a subject. */
  sequence: number;
  /** When it happened, ISO 8601 in UTC, by the database's clock. */
  time: string;
  /** W3C trace context of what caused it. */
  traceparent?: string;
  /** True where the current state is published again to fill a read model. */
  republished?: boolean;
  data: unknown;
}

/** An event as a consumer receives it. */
export interface DeliveredEvent extends EventRecord {
  topic: string;
  partition: number;
  offset: number;
}

export interface TopicDeclaration {
  topic: string;
  partitions: number;
  /** How long events are kept. Without it the log's own rule holds. */
  retentionMs?: number;
}

/**
 * The publisher's outbox table. The relay moves its oldest rows to the log in id order, one batch in flight, and
 * removes them once the log has them.
 */
export interface OutboxSource {
  topic: string;
  /** Rows below this id are known to be gone; keeps polls off the dead part of the index. */
  floor: number;
  /** Most rows to move in this call. */
  limit: number;
  /**
   * A fault point: called once the log has events of this call and before anything else is done about them, such as
   * removing them from the outbox where that is a step of its own. Where it rejects, so does the call.
   */
  onAppended?: () => Promise<void>;
}

/** Where a reader's own database stands in a partition. */
export interface ReaderPosition {
  topic: string;
  partition: number;
  /** Offset of the first event that it has not handled; 0 where it has handled none: it begins with the earliest. */
  next: number;
}

export interface Subscription {
  group: string;
  topics: string[];
  /** Most events in a batch. */
  maxBatch?: number;
  /** Least time between two batches, in ms: what comes meanwhile makes one batch and one transaction. Default 0. */
  paceMs?: number;
  /**
   * Receives a batch; topics and partitions may be mixed, order holds within a key. When it returns, the offsets behind
   * the batch are committed. When it throws, nothing is committed and the same events come again after a back-off.
   */
  handleBatch(events: DeliveredEvent[]): Promise<void>;
  /** Told of errors that the implementation retries by itself. */
  onError(error: unknown): void;
  /**
   * Where the reader's database stands, asked for whenever partitions are assigned; those that it has no position in may
   * be missing. A database that stands before what its group has committed was restored to an earlier point: the
   * partition is read again from `next`, and repeats meet the inbox.
   */
  positions?(): Promise<ReaderPosition[]>;
  /** Told where a partition is read again because of that, and what the group had committed. */
  onRewound?(position: ReaderPosition, committed: number): void;
}

/**
 * The next events of a group are no longer in the log. The consumer tells `onError`, leaves its group and reads nothing
 * more: what takes the place of what is gone is for a person to decide, and skipping it in silence never right.
 */
export class OffsetOutOfRange extends Error {
  override name = "OffsetOutOfRange";
}

export interface Consumer {
  /** Lets the running batch end, leaves the group and resolves. */
  stop(): Promise<void>;
  /** When the last poll or batch ended well, in ms of a monotonic clock; for the watchdog and health. */
  lastProgressMs(): number;
}

export interface TailSubscription {
  topics: string[];
  /** Start with events appended at or after this time; without it, from now on. */
  since?: Date;
  onEvents(events: DeliveredEvent[]): void;
  /** Something may have been missed (a reconnect, retention): reload what you derive from the tail. */
  onGap(reason: string): void;
}

export interface Tail {
  stop(): Promise<void>;
}

export interface PartitionLag {
  topic: string;
  partition: number;
  committed: number;
  end: number;
}

export interface EventLog {
  /** Tells this log from others: offsets of one mean nothing in another. The same for as long as the log is. */
  readonly name: string;
  /** Creates what is missing. Throws when a topic exists with another number of partitions. */
  ensureTopics(topics: TopicDeclaration[]): Promise<void>;
  /** Appends in the given order. Resolves when the log has all of them. */
  append(topic: string, events: EventRecord[]): Promise<void>;
  /** Moves one batch from the outbox to the log. Resolves to the number of events moved and the highest id among them. */
  relay(source: OutboxSource): Promise<{ moved: number; lastId: number }>;
  /** Joins the group; a new group starts at the earliest event. Keeps trying while the log is away. */
  consume(subscription: Subscription): Promise<Consumer>;
  /** Reads along without a group and without keeping an offset. */
  tail(subscription: TailSubscription): Promise<Tail>;
  /** Sets the group's offsets back to the earliest event; the group must have no member. */
  rewind(group: string, topics: string[]): Promise<void>;
  /**
   * Reads partitions to their ends, in order within each, without a group: for audits. From the earliest event, or from
   * these offsets by partition where they are given; what the log no longer keeps is passed over.
   */
  read(topic: string, from?: ReadonlyMap<number, number>): AsyncIterable<DeliveredEvent>;
  lag(group: string, topics: string[]): Promise<PartitionLag[]>;
  close(): Promise<void>;
}

/** Events beyond this many bytes of JSON are refused by `emit` and `append`. */
export const maxEventBytes = 512 * 1024;

/** Partitions of every topic, on both logs. */
export const defaultPartitions = 8;
