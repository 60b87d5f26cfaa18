import { randomUUID } from "node:crypto";
import { OffsetOutOfRange, maxEventBytes } from "../eventlog.ts";
import type { Consumer, Subscription } from "../eventlog.ts";
import { beginToRead } from "./beginning.ts";
import type { Control } from "./control.ts";
import { eventColumns, groupChannel, toEvent, topicChannel } from "./records.ts";
import type { EventRow } from "./records.ts";
import { interleave, seededRandom } from "./shuffle.ts";
import { backoffMs, createSleeper, reconnectMs } from "../backoff.ts";
import type { Backoff } from "../backoff.ts";

const poll = {
  name: "eventlog_poll",
  text: `SELECT ${eventColumns}, e.epoch, e.bytes FROM eventlog.poll($1, $2, $3, $4, $5, $6 * interval '1 ms', $7) e`,
};
const commit = { name: "eventlog_commit", text: `SELECT eventlog.commit($1, $2, $3, $4, $5, $6) AS partitions` };
const balance = { name: "eventlog_balance", text: `SELECT eventlog.balance($1, $2, $3, $4 * interval '1 ms')` };
const heartbeat = { name: "eventlog_heartbeat", text: `SELECT eventlog.heartbeat($1, $2, $3 * interval '1 ms')` };
const leave = { name: "eventlog_leave", text: `SELECT eventlog.leave($1, $2)` };

export interface MemberSettings {
  /** How long a member that is silent keeps its partitions; it renews after a third of that. */
  leaseMs: number;
  /** How often to look for events without having been told of any. */
  pollMs: number;
  backoff: Backoff;
  /** Most bytes of data in a batch; an event alone may have more. */
  batchBytes: number;
  /** Mixes partitions by this seed. */
  shuffleSeed: number | undefined;
}

/**
 * After a batch the member rests for as long as the batch took, at most this: the busier the machine, the more events
 * share a transaction, and an idle one hardly waits.
 */
const restAtMostMs = 20;

/** `bytes`: the data of the batch so far. */
type Delivery = EventRow & { epoch: number; bytes: number };

/**
 * A member of a consumer group. One loop: poll, handle, commit. Partitions come and go inside of poll, which is only
 * called between batches; while a batch is being handled just the lease is renewed.
 */
export function joinGroup(control: Control, subscription: Subscription, settings: MemberSettings): Consumer {
  const { group, topics, onError } = subscription;
  const { leaseMs } = settings;
  const mostEvents = subscription.maxBatch ?? 500;
  const member = randomUUID();
  const random = settings.shuffleSeed === undefined ? undefined : seededRandom(settings.shuffleSeed);
  const sleeper = createSleeper();
  let stopped = false;
  let events = false;
  let rebalance = true;
  let progressMs = performance.now();
  let batchedMs = Number.NEGATIVE_INFINITY;
  let restUntilMs = Number.NEGATIVE_INFINITY;

  const unlisten = control.listen([...topics.map(topicChannel), groupChannel(group)], (channel, payload) => {
    if (channel === groupChannel(group)) rebalance ||= payload !== member;
    else if (channel === undefined || payload === "created") rebalance = true;
    else events = true;
    sleeper.recheck();
  });

  function nextBatch(): Promise<Delivery[]> {
    const parameters = [group, member, topics, mostEvents, settings.batchBytes, leaseMs, rebalance];
    events = rebalance = false;
    return control.query<Delivery>(poll, parameters);
  }

  async function handle(batch: Delivery[]): Promise<void> {
    const renewal = setInterval(
      () => void control.query(heartbeat, [group, member, leaseMs]).catch(onError),
      leaseMs / 3,
    );
    try {
      const delivered = batch.map(toEvent);
      await subscription.handleBatch(random ? interleave(delivered, random) : delivered);
    } finally {
      clearInterval(renewal);
    }
  }

  async function commitBehind(batch: Delivery[]): Promise<void> {
    const last = [...new Map(batch.map((event) => [`${event.topic} ${event.partition}`, event])).values()];
    const [result] = await control.query<{ partitions: number }>(commit, [
      group,
      member,
      last.map((event) => event.topic),
      last.map((event) => event.partition),
      last.map((event) => event.epoch),
      last.map((event) => event.offset + 1),
    ]);
    const lost = last.length - (result?.partitions ?? 0);
    if (lost > 0)
      onError(
        new Error(`${group}: the lease had run out; ${lost} partitions had gone to other members during a batch`),
      );
  }

  /** Partitions may move and the lease goes on while the next attempt is waited for. */
  async function backOff(ms: number): Promise<void> {
    const endMs = performance.now() + ms;
    for (;;) {
      const leftMs = endMs - performance.now();
      if (leftMs <= 0 || stopped) return;
      await sleeper.sleep(Math.min(leftMs, leaseMs / 3), () => stopped || rebalance);
      if (stopped || performance.now() >= endMs) return;
      rebalance = false;
      await control.query(balance, [group, member, topics, leaseMs]).catch(() => {});
    }
  }

  async function run(): Promise<void> {
    let committed = Promise.resolve();
    let outages = 0;
    let failures = 0;
    // There is more where a batch was full; what is appended later is announced.
    let more = true;
    while (!stopped) {
      if (!more) {
        await sleeper.sleep(settings.pollMs, () => stopped || events || rebalance);
        const pauseMs = Math.max(batchedMs + (subscription.paceMs ?? 0), restUntilMs) - performance.now();
        if (pauseMs > 0) await sleeper.sleep(pauseMs, () => stopped);
        if (stopped) break;
      }
      let batch: Delivery[];
      try {
        // The commit goes ahead on the same connection, so that the poll sees it without waiting for its answer.
        [batch] = await Promise.all([nextBatch(), committed]);
        outages = 0;
        progressMs = performance.now();
        // A row without an event is a partition that has just been assigned.
        if (batch.some(({ id }) => id === null)) {
          await beginToRead(control, member, subscription);
          batch = [];
          events = true;
        }
      } catch (error) {
        committed = Promise.resolve();
        rebalance = more = true;
        onError(error);
        if (error instanceof OffsetOutOfRange) break;
        await backOff(reconnectMs(settings.backoff, ++outages));
        continue;
      }
      committed = Promise.resolve();
      more = isFull(batch, mostEvents) || (batch.at(-1)?.bytes ?? 0) > settings.batchBytes - maxEventBytes;
      if (stopped || batch.length === 0) continue;
      batchedMs = performance.now();
      try {
        await handle(batch);
        failures = 0;
        progressMs = performance.now();
        restUntilMs = progressMs + Math.min(progressMs - batchedMs, restAtMostMs);
        committed = commitBehind(batch);
        committed.catch(() => {});
      } catch (error) {
        more = true;
        onError(error);
        await backOff(backoffMs(settings.backoff, ++failures));
      }
    }
    await committed.catch(onError);
    await control.query(leave, [group, member]).catch(() => {});
  }

  const ended = run().finally(unlisten);
  return {
    async stop() {
      stopped = true;
      sleeper.recheck();
      await ended;
    },
    lastProgressMs: () => progressMs,
  };
}

/** True where a partition may have more: poll gives each of those that are behind an equal share of the batch. */
function isFull(batch: Delivery[], mostEvents: number): boolean {
  const counts = new Map<string, number>();
  for (const { topic, partition } of batch) {
    const name = `${topic} ${partition}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const share = 1 + Math.floor((mostEvents - 1) / Math.max(1, counts.size));
  return [...counts.values()].some((count) => count >= share);
}
