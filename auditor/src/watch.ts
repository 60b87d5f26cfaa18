import { setTimeout as sleep } from "node:timers/promises";
import type { EventLog } from "@crowdcrunch/kit/eventlog";
import type { Logger } from "@crowdcrunch/kit/logger";
import { serviceNames as services } from "@crowdcrunch/shop/parts";
import type { Books } from "./books.ts";
import type { Findings } from "./findings.ts";
import type { CheckedInvariant, LogInvariant, SqlInvariant } from "./invariant.ts";
import { checkedInvariants } from "./invariants.ts";
import { createTopicAudit, openAtMost } from "./topic-audit.ts";
import type { LogNumber, TopicAudit } from "./topic-audit.ts";

export interface WatchOptions {
  books: Books;
  eventLog: Pick<EventLog, "read" | "lag">;
  findings: Findings;
  log: Logger;
  /** Least time between two checks of one invariant, in ms. */
  intervalMs: number;
  /** How much of the time something may be checked: above 0, at most 1. */
  busyShare: number;
  /** For how long what an event comes to may be on its way, in seconds. */
  windowSeconds: number;
  /** The log is younger than the aggregates, as LOG_BEGAN_ANEW says. */
  logBeganAnew: boolean;
}

/** Something to do again and again, one step at a time. */
interface Task {
  dueMs: number;
  invariants: CheckedInvariant[];
  /** Does a step; resolves to false where the next one may follow at once. */
  step(): Promise<boolean>;
}

/** Aggregates that each topic's audit remembers: some ten megabytes for all topics at most. */
const subjectsAtLeast = 50_000;
const walkedAtOnce = 2_000;
/** The log is read for so long between two other checks while there is more of it. */
const logStepMs = 1_000;

/**
 * Checks invariants for ever, one at a time, with rests that keep it to its share of the time. The log is read once and
 * followed from there in small steps. Returns what stops it.
 */
export function watch(options: WatchOptions): { stop(): Promise<void> } {
  const { findings, intervalMs, busyShare } = options;
  const stopping = new AbortController();
  const tasks = [...checkedInvariants.filter(hasQueryAlone).map(sqlTask), logTask()];

  function sqlTask(invariant: SqlInvariant): Task {
    return {
      dueMs: 0,
      invariants: [invariant],
      async step() {
        const beganMs = performance.now();
        const rows = await options.books.offenders(invariant);
        findings.checked(invariant, rows, performance.now() - beganMs);
        return true;
      },
    };
  }

  function logTask(): Task {
    const invariants = checkedInvariants.filter(readsLog);
    let audits: TopicAudit[] = [];
    let round: AsyncGenerator<void> | undefined;
    let durationMs = 0;
    return {
      dueMs: 0,
      invariants,
      async step() {
        const beganMs = performance.now();
        if (audits.length === 0) audits = services.map(openTopic);
        round ??= roundOf(audits);
        try {
          let { done } = await round.next();
          while (!done && performance.now() - beganMs < logStepMs) ({ done } = await round.next());
          durationMs += performance.now() - beganMs;
          if (!done) return false;
          for (const invariant of invariants) {
            const rows = audits.flatMap((audit) => audit.violations(invariant.number as LogNumber));
            rows.push(...(await options.books.offenders(invariant)));
            findings.checked(invariant, rows, durationMs);
          }
        } catch (error) {
          await round.return(undefined);
          round = undefined;
          throw error;
        }
        round = undefined;
        durationMs = 0;
        return true;
      },
    };
  }

  function openTopic(topic: string): TopicAudit {
    const { eventLog, books, windowSeconds, logBeganAnew } = options;
    const nowMs = () => performance.now();
    const query = books.byKeys;
    return createTopicAudit({ topic, eventLog, query, windowSeconds, logBeganAnew, subjectsAtLeast, nowMs });
  }

  async function runAll(): Promise<void> {
    await untilMigrated(options, stopping.signal);
    // Spread over the interval, so that there is no burst at the start and none after it.
    const startMs = performance.now();
    for (const [index, task] of tasks.entries()) task.dueMs = startMs + (intervalMs * index) / tasks.length;
    for (;;) {
      const task = tasks.reduce((first, other) => (other.dueMs < first.dueMs ? other : first));
      await sleep(Math.max(0, task.dueMs - performance.now()), undefined, { signal: stopping.signal });
      const beganMs = performance.now();
      let isDone = true;
      try {
        isDone = await task.step();
      } catch (error) {
        if (stopping.signal.aborted) return;
        for (const invariant of task.invariants) findings.failed(invariant, error as Error);
      }
      const endedMs = performance.now();
      const restMs = (endedMs - beganMs) * (1 / busyShare - 1);
      task.dueMs = isDone ? endedMs + intervalMs : endedMs;
      await sleep(restMs, undefined, { signal: stopping.signal });
    }
  }

  const running = runAll().catch((error: Error) => {
    if (!stopping.signal.aborted) throw error;
  });
  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

/** Waits for the database, and for services that have not migrated their schemas yet: that is no finding. */
async function untilMigrated({ books, log }: WatchOptions, signal: AbortSignal): Promise<void> {
  let told = "";
  for (;;) {
    const missing = await books
      .byKeys<{ name: string }>("SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NULL", [
        [...services.map((service) => `${service}.outbox`), "provider.operations"],
      ])
      .then((rows) => rows.map(({ name }) => name).join(", "))
      .catch((error: Error) => error.message);
    // Tables of a service's own come right after those that every service has.
    await sleep(1_000, undefined, { signal });
    if (missing === "") return;
    if (missing !== told) log.info({ missing }, "waiting for the database and the schemas of all services");
    told = missing;
  }
}

/** Takes what is new of each topic, compares some of its aggregates, and looks again at what was on its way. */
async function* roundOf(audits: TopicAudit[]): AsyncGenerator<void> {
  for (const audit of audits) {
    let isCaughtUp = true;
    for await (const _ of audit.readOn()) {
      yield;
      isCaughtUp = audit.open() <= openAtMost;
      if (!isCaughtUp) break;
    }
    if (isCaughtUp) await audit.walk(walkedAtOnce);
    await audit.settle();
    yield;
  }
}

function readsLog(invariant: CheckedInvariant): invariant is LogInvariant {
  return "readsLog" in invariant;
}

function hasQueryAlone(invariant: CheckedInvariant): invariant is SqlInvariant {
  return !readsLog(invariant);
}
