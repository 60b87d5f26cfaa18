import { createBlame } from "./blame.ts";
import type { Database, Transaction } from "./database.ts";
import { createDispatcher } from "./dispatch.ts";
import type { DeclaredEvent, EventHandler } from "./dispatch.ts";
import { isStatementTimeout, isTransient, messageOf } from "./errors.ts";
import { OffsetOutOfRange } from "./eventlog.ts";
import type { Consumer, DeliveredEvent, EventLog, ReaderPosition } from "./eventlog.ts";
import { inertFaults } from "./faults.ts";
import type { Faults } from "./faults.ts";
import { maintainInbox, receive } from "./inbox.ts";
import type { Logger } from "./logger.ts";
import type { Metrics } from "./metrics.ts";
import { createParking } from "./parking.ts";
import type { Parking } from "./parking.ts";
import { createPositions } from "./positions.ts";
import { createWaitingRoom } from "./waiting.ts";

export { onEvents } from "./dispatch.ts";
export type { EventHandler, Waiting } from "./dispatch.ts";

const retryMs = 250;
const idleSweepMs = 5_000;
const maintainEveryMs = 3_600_000;
const partitionDaysAhead = 3;

export interface ConsumerOptions {
  /** The consumer group, which is the service's name. */
  group: string;
  handlers: EventHandler[];
  /** Every event that is declared, by whomever: what is not is parked, because it may be meant for this group. */
  declared: readonly DeclaredEvent[];
  db: Database;
  eventLog: EventLog;
  newId: () => string;
  log: Logger;
  metrics: Metrics;
  /** Least time between two batches, in ms. */
  paceMs?: number;
  /** How long the inbox remembers: longer than topics keep their events, so that no redelivery is taken for new. Default 8. */
  inboxKeepDays?: number;
  /** How often to look for what waits, in ms. Default 5 s. */
  sweepMs?: number;
  /** How long an event may wait before it is parked. Default 600 s. */
  waitAtMostSeconds?: number;
  /** Faults on purpose; none where not given. */
  faults?: Faults;
}

export interface EventConsumer {
  start(): Promise<void>;
  stop(): Promise<void>;
  topics: string[];
  /** When events were last asked for or dealt with, in ms of performance.now(). */
  lastProgressMs(): number;
  /** True once it reads nothing more until a person has decided how it goes on. */
  hasGivenUp(): boolean;
  /**
   * Begins again with the earliest event that the log keeps, after events were lost to its retention; resolves to how many
   * there are. The inbox passes over what was handled. Rejects while another member of the group reads.
   */
  readAgain(): Promise<number>;
  /** Handles parked events again: those of one key, or all. */
  replayParked: Parking["replay"];
  /** Removes parked events without handling them. */
  discardParked: Parking["discard"];
}

/**
 * The service's event consumer: inbox, batches, waiting and parked events. A batch is one transaction; where it fails
 * the events are handled one by one, so that only the guilty event's key is parked.
 */
export function createConsumer(options: ConsumerOptions): EventConsumer {
  const { group, db, eventLog, log, faults = inertFaults } = options;
  const { topics, concerns, dispatch } = createDispatcher(options);
  const seconds = options.metrics.histogram("crowdcrunch_event_batch_seconds", "Time to handle a batch of events");
  const rewinds = options.metrics.counter(
    "crowdcrunch_consumer_rewinds_total",
    "Partitions read again because the database stood before what its group had committed",
    ["topic"],
  );
  const blame = createBlame();
  const positions = createPositions({ db, log: eventLog.name });
  const parking = createParking({
    ...options,
    handle: async (tx, event) => waitingRoom.store(tx, await dispatch(tx, [event])),
  });
  const waitingRoom = createWaitingRoom({
    ...{ db, parking, blame, dispatch },
    waitAtMostSeconds: options.waitAtMostSeconds ?? 600,
    onStored: () => scheduleSweep(retryMs),
  });

  /** Records in the inbox which of the events are new, and that the database stands behind `passed`. */
  function receiveIn(tx: Transaction, events: DeliveredEvent[], passed: DeliveredEvent[]) {
    const keys = [...new Set(events.map((event) => event.key))];
    return tx.one(receive, [...positions.behind(tx, passed), events.map((event) => event.id), keys]);
  }

  /** Handles what is new of a batch, then what waited on the same keys, for as long as that gets anything further. */
  async function handleInOneTransaction(events: DeliveredEvent[], passed: DeliveredEvent[]): Promise<void> {
    await db.transaction(async (tx) => {
      const state = await receiveIn(tx, events, passed);
      if (!state) return;
      const fresh = new Set(state.fresh);
      const parkedBehind = state.parked_keys.length > 0 ? await parking.hold(tx, state.parked_keys) : new Set<string>();
      const seen = new Set<string>();
      const todo: DeliveredEvent[] = [];
      const park: DeliveredEvent[] = [];
      for (const event of events) {
        if (!fresh.has(event.id) || seen.has(event.id)) continue;
        seen.add(event.id);
        (parkedBehind.has(event.key) ? park : todo).push(event);
      }
      if (park.length > 0) await parking.parkBehind(tx, park);
      if (todo.length === 0) return;
      const waiting = await dispatch(tx, todo);
      await waitingRoom.store(tx, waiting);
      const stored = state.waiting.filter(({ event }) => !parkedBehind.has(event.key)).map(({ event_id }) => event_id);
      // What has just been told to wait may have been overtaken by a later event of the same batch.
      await waitingRoom.retry(tx, stored, todo.length > waiting.length ? waiting : []);
      if (faults.on) await faults.at("consumer.in-handler", () => typesOf(todo));
    });
  }

  async function parkNew(event: DeliveredEvent, error: unknown): Promise<void> {
    await db.transaction(async (tx) => {
      const state = await receiveIn(tx, [event], [event]);
      // Where it is not new, another member of the group has handled it meanwhile.
      if (state?.fresh.includes(event.id)) await parking.park(tx, event, error);
    });
  }

  async function handleBatch(batch: DeliveredEvent[]): Promise<void> {
    const events = batch.filter(concerns);
    if (events.length === 0) return positions.skip(batch);
    const done = seconds.startTimer();
    try {
      await handleInOneTransaction(events, batch);
    } catch (error) {
      if (isTransient(error) && !isStatementTimeout(error)) throw error;
      log.warn({ events: events.length, error: messageOf(error) }, "a batch failed; its events are handled one by one");
      await handleOneByOne(events);
      positions.skip(batch);
    } finally {
      done();
    }
    if (faults.on) await faults.at("consumer.after-commit", () => typesOf(events));
  }

  async function handleOneByOne(events: DeliveredEvent[]): Promise<void> {
    for (const event of events) {
      try {
        await handleInOneTransaction([event], [event]);
      } catch (error) {
        if (!blame.fallsOn(event, error)) throw error;
        await parkNew(event, error);
      }
      blame.clear(event);
      progressMs = performance.now();
    }
  }

  let consumer: Consumer | undefined;
  let progressMs = Number.NEGATIVE_INFINITY;
  let gaveUp = false;
  let timer: NodeJS.Timeout | undefined;
  let timerDueMs = 0;
  let sweeping = Promise.resolve();
  let stopped = false;
  let maintainedMs = Number.NEGATIVE_INFINITY;

  async function sweep(): Promise<void> {
    timer = undefined;
    try {
      await positions.flush();
      await waitingRoom.sweep();
      if (performance.now() - maintainedMs > maintainEveryMs) {
        await db.run(maintainInbox, [partitionDaysAhead, options.inboxKeepDays ?? 8]);
        maintainedMs = performance.now();
      }
    } catch (error) {
      log.warn({ error: messageOf(error) }, "waiting events could not be looked at");
    }
  }

  /** Sweeps after the given time, or sooner if that is planned already. */
  function scheduleSweep(afterMs: number): void {
    const dueMs = performance.now() + afterMs;
    if (stopped || (timer && timerDueMs <= dueMs)) return;
    clearTimeout(timer);
    timerDueMs = dueMs;
    timer = setTimeout(() => {
      sweeping = sweeping.then(sweep).finally(() => scheduleSweep(options.sweepMs ?? idleSweepMs));
    }, afterMs);
  }

  function onError(error: unknown): void {
    gaveUp ||= error instanceof OffsetOutOfRange;
    if (gaveUp)
      log.fatal({ error: messageOf(error) }, "no event is consumed any more: republish what is lost, then read again");
    else log.warn({ error: messageOf(error) }, "events are tried again");
  }

  function onRewound(position: ReaderPosition, committed: number): void {
    rewinds.inc({ topic: position.topic });
    log.warn({ ...position, committed }, "the database stands before what its group has committed and reads again");
  }

  async function consume(): Promise<void> {
    gaveUp = false;
    const shared = { group, topics, paceMs: options.paceMs ?? 0, handleBatch, onError, onRewound };
    consumer = await eventLog.consume({ ...shared, positions: () => positions.read(topics) });
  }

  return {
    topics,
    lastProgressMs: () => Math.max(progressMs, consumer?.lastProgressMs() ?? performance.now()),
    hasGivenUp: () => gaveUp,
    async start() {
      if (topics.length === 0) return;
      scheduleSweep(0);
      await consume();
    },
    async readAgain() {
      await consumer?.stop();
      try {
        await eventLog.rewind(group, topics);
        await positions.forget();
      } finally {
        await consume();
      }
      const lag = await eventLog.lag(group, topics);
      return lag.reduce((events, { committed, end }) => events + end - committed, 0);
    },
    async stop() {
      stopped = true;
      waitingRoom.stop();
      clearTimeout(timer);
      await consumer?.stop();
      await sweeping;
      // What is not written now is only read again.
      await positions.flush().catch(() => {});
    },
    replayParked: parking.replay,
    discardParked: parking.discard,
  };
}

function typesOf(events: DeliveredEvent[]): string {
  return [...new Set(events.map((event) => event.type))].join(",");
}
