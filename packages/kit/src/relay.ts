import type { Database } from "./database.ts";
import type { EventLog } from "./eventlog.ts";
import { inertFaults } from "./faults.ts";
import type { Faults } from "./faults.ts";
import type { Logger } from "./logger.ts";
import type { Metrics } from "./metrics.ts";
import { statement } from "./statement.ts";

const snapshotBounds = statement<{ oldest: number; next: number }>(
  "outboxSnapshot",
  `SELECT pg_snapshot_xmin(s)::text::bigint AS oldest, pg_snapshot_xmax(s)::text::bigint AS next FROM pg_current_snapshot() s`,
);

const leftBelow = statement<{ left: boolean }>(
  "outboxLeftBelow",
  `SELECT EXISTS (SELECT FROM outbox WHERE id >= $1 AND id < $2) AS left`,
);

/** What the next move would take, for those who match faults by it. */
const pendingTypes = statement<{ types: string | null }>(
  "outboxPendingTypes",
  `SELECT string_agg(DISTINCT type, ',') AS types FROM (SELECT type FROM outbox WHERE id >= $1 ORDER BY id LIMIT $2) o`,
);

const batch = 500;
const sweepMs = 1_000;
const restAtMostMs = 20;

export interface RelayOptions {
  topic: string;
  db: Database;
  eventLog: EventLog;
  log: Logger;
  metrics: Metrics;
  /** Least time between two moves, in ms: what is committed meanwhile goes together. Default 0. */
  paceMs?: number;
  /** Faults on purpose; none where not given. */
  faults?: Faults;
}

export interface Relay {
  start(): void;
  /** Rows of the outbox below this id are gone for good. */
  floor(): number;
  /** Looks at the outbox soon; cheap to call often. */
  nudge(): void;
  /** Lets the running batch end. */
  stop(): Promise<void>;
}

/**
 * Moves events from the outbox to the log, one batch in flight: nudged after commits, swept each second for what a crash
 * left. It never gives up: while the log is away it tries again with 0.3 to 30 s between.
 */
export function createRelay(options: RelayOptions): Relay {
  const { topic, db, eventLog, log, faults = inertFaults } = options;
  const published = options.metrics.counter(
    "crowdcrunch_outbox_published_total",
    "Events moved from the outbox to the log",
  );
  const failures = options.metrics.counter(
    "crowdcrunch_outbox_failures_total",
    "Batches that the event log did not take",
  );
  let stopped = false;
  let wanted = false;
  let running: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let backoffMs = 0;
  let paused = false;
  // Rows below the floor are gone for good: everything that could still have committed below it has ended. Without it
  // each poll walks over the dead index entries that a forgotten open transaction keeps from being removed.
  let readyMs = Number.NEGATIVE_INFINITY;
  let floor = 0;
  let highest = 0;
  let mark: { highest: number; next: number } | undefined;

  async function drain(): Promise<void> {
    for (;;) {
      const onAppended = faults.on ? await passBefore() : undefined;
      const { moved, lastId } = await eventLog.relay({ topic, floor, limit: batch, ...(onAppended && { onAppended }) });
      if (moved > 0) published.inc(moved);
      highest = Math.max(highest, lastId);
      if (moved < batch) return;
    }
  }

  /** Passes the point before the log is asked, if there is anything to move; the one after it is for the log to pass. */
  async function passBefore(): Promise<() => Promise<void>> {
    const types = (await db.one(pendingTypes, [floor, batch]))?.types ?? "";
    if (types !== "") await faults.at("relay.before-append", types);
    return async () => void (await faults.at("relay.after-append", types));
  }

  async function raiseFloor(): Promise<void> {
    if (highest < floor) return;
    const bounds = await db.one(snapshotBounds);
    if (!bounds) return;
    const reached = mark && bounds.oldest >= mark.next ? mark.highest + 1 : undefined;
    if (mark === undefined || reached !== undefined) mark = { highest, next: bounds.next };
    if (reached === undefined) return;
    await drain();
    // Another replica's relay may be at what this one did not find.
    if (!(await db.one(leftBelow, [floor, reached]))?.left) floor = reached;
  }

  async function work(): Promise<void> {
    while (wanted && !stopped) {
      wanted = false;
      const pauseMs = readyMs - performance.now();
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
      const beganMs = performance.now();
      try {
        await drain();
        // It rests for as long as it worked: the busier the machine, the more events go together.
        const tookMs = performance.now() - beganMs;
        readyMs = beganMs + tookMs + Math.max(options.paceMs ?? 0, Math.min(tookMs, restAtMostMs));
        backoffMs = 0;
      } catch (error) {
        failures.inc();
        backoffMs = Math.min(Math.max(backoffMs * 2, 300), 30_000);
        paused = true;
        log.warn({ error: (error as Error).message, retryInMs: backoffMs }, "events wait in the outbox");
        schedule(backoffMs);
        return;
      }
    }
  }

  function nudge(): void {
    wanted = true;
    if (stopped || running || paused) return;
    running = work().finally(() => {
      running = undefined;
      if (wanted) nudge();
    });
  }

  function schedule(afterMs: number): void {
    clearTimeout(timer);
    if (stopped) return;
    timer = setTimeout(() => {
      paused = false;
      nudge();
      void (running ?? Promise.resolve())
        .then(() => (paused ? undefined : raiseFloor()))
        .catch((error: Error) => log.debug({ error: error.message }, "the outbox floor stays"))
        .finally(() => {
          if (!paused) schedule(sweepMs);
        });
    }, afterMs);
  }

  return {
    start: () => schedule(0),
    floor: () => floor,
    nudge,
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
