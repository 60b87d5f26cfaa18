import type { EachBatchPayload, OffsetsByTopicPartition } from "kafkajs";
import { backoffMs, createSleeper, reconnectMs } from "../backoff.ts";
import type { Backoff } from "../backoff.ts";
import type { DeliveredEvent, Subscription } from "../eventlog.ts";
import { protocolErrorOf, unavailable } from "./client.ts";
import { toEvent } from "./records.ts";

/** Most bytes of data in one call of a handler. */
export const maxBatchBytes = 8 * 1024 * 1024;

/**
 * After a batch the member rests for as long as the batch took, at most this: the busier the machine, the more events
 * share a transaction, and an idle one hardly waits.
 */
const restAtMostMs = 20;

/** How long the end waits for a commit that is under way; without it the events come again. */
const lastCommitMs = 3_000;

/** What was fetched of one partition; kafkajs waits for its end before it fetches again. */
interface Portion {
  payload: EachBatchPayload;
  /** Index of the first message that was not handled. */
  next: number;
  done(): void;
  fail(error: unknown): void;
}

/** What one call of the handler gets. */
interface Slice {
  events: DeliveredEvent[];
  /** How far it goes in each portion. */
  reaches: Map<Portion, number>;
}

export interface Batches {
  /** For kafkajs: one call for each partition of a fetch, all at the same moment. */
  eachBatch(payload: EachBatchPayload): Promise<void>;
  /**
   * When something was last handled; now, while something is being handled. In ms of a monotonic clock. What is handled
   * and cannot be committed counts as silence: kafkajs goes on with a connection that is dead.
   */
  busyMs(): number;
  /** Lets the running call of the handler end and commits it; nothing is handled any more. */
  end(): Promise<void>;
}

export interface BatchesOptions {
  subscription: Subscription;
  topicOf(name: string): string;
  backoff: Backoff;
  heartbeatMs: number;
  /** For tests: mixes the partitions of a batch. */
  mix(events: DeliveredEvent[]): DeliveredEvent[];
  /** Resolves when it is certain that these may be handled, and rejects when it is certain that they may not. */
  ready(fetched: EachBatchPayload[]): Promise<void>;
  /** Told where the next fetch of a partition must begin. */
  onEnded(payload: EachBatchPayload): void;
}

/**
 * Makes one batch for the handler out of what a fetch brought of many partitions, and commits behind it. A batch that
 * fails is tried again for as long as the member stays in the group: kafkajs would leave the group after a few times.
 */
export function createBatches(options: BatchesOptions): Batches {
  const { subscription, backoff } = options;
  const { onError } = subscription;
  const mostEvents = subscription.maxBatch ?? 500;
  const sleeper = createSleeper();
  const portions: Portion[] = [];
  let pumping: Promise<void> | undefined;
  let ended = false;
  /** Why the partitions are no longer this member's, where that is known. */
  let lost: unknown;
  const tooLate = Promise.withResolvers<void>();
  let handling = false;
  let busyMs = performance.now();

  /** The next events, one of each partition in turn. */
  function take(): Slice {
    const events: DeliveredEvent[] = [];
    const reaches = new Map<Portion, number>();
    let bytes = 0;
    for (let round = 0, open = portions; open.length > 0; round++) {
      open = open.filter(({ payload, next }) => next + round < payload.batch.messages.length);
      for (const portion of open) {
        const { batch } = portion.payload;
        const message = batch.messages[portion.next + round]!;
        bytes += message.value?.length ?? 0;
        if (events.length === mostEvents || (events.length > 0 && bytes > maxBatchBytes)) return { events, reaches };
        events.push(toEvent(options.topicOf(batch.topic), batch.partition, message));
        reaches.set(portion, portion.next + round + 1);
      }
    }
    return { events, reaches };
  }

  /** Waits between two attempts; false where there must be none. */
  async function again(ms: number): Promise<boolean> {
    await sleeper.sleep(ms, () => ended || lost !== undefined);
    if (lost !== undefined) throw lost;
    return !ended;
  }

  /** False where the end came before it was handled. */
  async function handle(events: DeliveredEvent[]): Promise<boolean> {
    handling = true;
    try {
      for (let failures = 1; ; failures++) {
        try {
          await subscription.handleBatch(options.mix(events));
          return true;
        } catch (error) {
          onError(error);
          if (!(await again(backoffMs(backoff, failures)))) return false;
        }
      }
    } finally {
      handling = false;
      busyMs = performance.now();
    }
  }

  async function commit({ reaches }: Slice): Promise<void> {
    const [first] = reaches.keys();
    const offsets = offsetsOf(reaches);
    for (let failures = 1; ; failures++) {
      try {
        return await Promise.race([first!.payload.commitOffsetsIfNecessary(offsets), tooLate.promise]);
      } catch (error) {
        if (isMembershipLost(error)) throw error;
        onError(unavailable(error));
        // What cannot be committed now comes again; the inbox absorbs it.
        if (!(await again(reconnectMs(backoff, failures)))) return;
      }
    }
  }

  /** Under load events that come meanwhile share the next fetch. */
  async function rest(beganMs: number): Promise<void> {
    const tookMs = performance.now() - beganMs;
    const restMs = Math.max((subscription.paceMs ?? 0) - tookMs, Math.min(tookMs, restAtMostMs));
    if (restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs));
  }

  function settle({ reaches }: Slice): void {
    for (const [portion, reach] of reaches) {
      const { batch, resolveOffset } = portion.payload;
      portion.next = reach;
      resolveOffset(batch.messages[reach - 1]!.offset);
      if (reach === batch.messages.length) release(portion, () => (options.onEnded(portion.payload), portion.done()));
    }
  }

  function release(portion: Portion, tell: () => void): void {
    portions.splice(portions.indexOf(portion), 1);
    tell();
  }

  async function step(): Promise<void> {
    await options.ready(portions.map(({ payload }) => payload));
    // Sought elsewhere meanwhile: these are not the next events.
    for (const portion of portions.filter(({ payload }) => payload.isStale())) release(portion, portion.done);
    const slice = take();
    if (slice.events.length === 0 || ended) return;
    const beganMs = performance.now();
    if (!(await handle(slice.events))) return;
    const last =
      slice.reaches.size === portions.length &&
      [...slice.reaches].every(([{ payload }, reach]) => reach === payload.batch.messages.length);
    await Promise.all([commit(slice), last && !ended ? rest(beganMs) : undefined]);
    settle(slice);
    if (lost !== undefined) throw lost;
  }

  /** Handles what was fetched; heartbeats go on meanwhile, or the group would take a slow handler for dead. */
  async function pump(): Promise<void> {
    lost = undefined;
    const timer = setInterval(() => {
      portions[0]?.payload.heartbeat().catch((error: unknown) => {
        if (isMembershipLost(error)) lost ??= error;
        if (lost !== undefined) sleeper.recheck();
      });
    }, options.heartbeatMs);
    try {
      while (portions.length > 0 && !ended) await step();
      for (const portion of portions.splice(0)) portion.done();
    } catch (error) {
      // kafkajs joins the group again where that is what the error asks for.
      for (const portion of portions.splice(0)) portion.fail(error);
    } finally {
      clearInterval(timer);
      pumping = undefined;
    }
  }

  return {
    eachBatch(payload) {
      if (ended) return Promise.resolve();
      return new Promise((done, fail) => {
        portions.push({ payload, next: 0, done, fail });
        // Those of the same fetch are added before this runs.
        pumping ??= Promise.resolve().then(pump);
      });
    },
    busyMs: () => (handling ? performance.now() : busyMs),
    async end() {
      ended = true;
      sleeper.recheck();
      const timer = setTimeout(tooLate.resolve, lastCommitMs);
      await pumping;
      clearTimeout(timer);
    },
  };
}

function offsetsOf(reaches: Map<Portion, number>): OffsetsByTopicPartition {
  return {
    topics: [...reaches].map(
      ([
        {
          payload: { batch },
        },
        reach,
      ]) => ({
        topic: batch.topic,
        partitions: [{ partition: batch.partition, offset: String(BigInt(batch.messages[reach - 1]!.offset) + 1n) }],
      }),
    ),
  };
}

const membershipErrors = new Set([
  "REBALANCE_IN_PROGRESS",
  "NOT_COORDINATOR_FOR_GROUP",
  "ILLEGAL_GENERATION",
  "UNKNOWN_MEMBER_ID",
  "FENCED_INSTANCE_ID",
]);

function isMembershipLost(error: unknown): boolean {
  return membershipErrors.has(protocolErrorOf(error) ?? "");
}
