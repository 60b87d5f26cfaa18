import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdirSync, openSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Order, Plan, ProcessPlan } from "./plan.ts";
import { commandOf } from "./port-holder.ts";
import type { ProcessState } from "./supervisor-state.ts";

/** Waits before a process that died is started again: doubled each time, back to the first after a good while. */
const firstWaitMs = 200;
const longestWaitMs = 5_000;
const goodWhileMs = 10_000;
/** A process that has not ended this long after it was asked to is killed. */
const stopPatienceMs = 15_000;
/** Logs beyond this size are put aside as <name>.log.1 at the next start. */
const longestLogBytes = 50e6;

interface Supervised {
  plan: ProcessPlan;
  state: ProcessState;
  child?: ChildProcess;
  /** Ends the wait before the next start. */
  wake?: AbortController;
  /** Set on top of the plan, by an order. */
  env?: Record<string, string>;
  /** While it is ordered to be down. */
  held?: PromiseWithResolvers<void> | undefined;
  /** Resolves when it has stopped for good. */
  done: Promise<void>;
}

export interface Supervision {
  /** Takes an order. Throws where it names a process that there is not. */
  order(order: Order): void;
  /** Stops everything in reverse order; resolves when all have ended. */
  stop(): Promise<void>;
}

/** A task of the plan failed; the message names it and its log. */
export class TaskFailed extends Error {}

/**
 * Runs a plan: takes its steps in order, appends each process' output to varDir/log/<name>.log, and starts again what
 * dies. Calls `changed` with the states of all processes, in starting order, whenever one changes.
 * Throws TaskFailed when a task does not end well; what has been started then runs on until `stop`.
 */
export function supervise(
  plan: Plan,
  changed: (states: ProcessState[]) => void,
): { started: Promise<void> } & Supervision {
  const logs = join(plan.varDir, "log");
  const groups: Supervised[][] = [];
  let stopping = false;

  function report(): void {
    changed(groups.flat().map(({ state }) => state));
  }

  function launch(process_: ProcessPlan, env: Record<string, string> = {}): ChildProcess {
    const log = openSync(join(logs, `${process_.name}.log`), "a");
    try {
      const [program, ...rest] = process_.command;
      return spawn(program!, rest, {
        cwd: plan.varDir,
        env: { ...process.env, ...process_.env, ...env },
        stdio: ["ignore", log, log],
        ...process_.user,
      });
    } finally {
      closeSync(log);
    }
  }

  async function keepRunning(supervised: Supervised): Promise<void> {
    const { state } = supervised;
    let waitMs = firstWaitMs;
    while (!stopping) {
      const startedAt = performance.now();
      const child = launch(supervised.plan, supervised.env);
      supervised.child = child;
      Object.assign(state, {
        state: "running",
        pid: child.pid,
        command: child.pid && commandOf(child.pid),
        startedAt: new Date().toISOString(),
      });
      report();
      const end = await ended(child);
      Object.assign(state, { state: "stopped", pid: undefined, lastEnd: end });
      if (stopping) break;
      if (supervised.held) {
        report();
        await untilWanted(supervised);
        waitMs = firstWaitMs;
        continue;
      }
      if (performance.now() - startedAt > goodWhileMs) waitMs = firstWaitMs;
      state.state = "waiting";
      state.restarts += 1;
      report();
      supervised.wake = new AbortController();
      await sleep(waitMs, undefined, { signal: supervised.wake.signal }).catch(() => {});
      waitMs = Math.min(waitMs * 2, longestWaitMs);
      await untilWanted(supervised);
    }
    state.state = "stopped";
    report();
  }

  async function untilWanted({ held }: Supervised): Promise<void> {
    await held?.promise;
  }

  function watch(process_: ProcessPlan): Supervised {
    const { name, port, metricsPort } = process_;
    const state: ProcessState = { name, port, metricsPort, state: "waiting", restarts: 0 };
    return { plan: process_, state, done: Promise.resolve() };
  }

  function take(order: Order): void {
    if ("add" in order) {
      const added = watch(order.add);
      groups.push([added]);
      added.done = keepRunning(added);
      return;
    }
    const name = "stop" in order ? order.stop : order.start;
    const supervised = groups.flat().find(({ plan: process_ }) => process_.name === name);
    if (!supervised) throw new Error(`there is no process ${name}`);
    if ("stop" in order) {
      supervised.held ??= Promise.withResolvers();
      // It may be waiting for its next start, which is then not taken.
      if (supervised.child && isRunning(supervised.child)) supervised.child.kill(order.signal);
    } else {
      supervised.env = order.env ?? {};
      supervised.held?.resolve();
      supervised.held = undefined;
    }
  }

  async function runTask(task: ProcessPlan): Promise<void> {
    const end = await ended(launch(task));
    if (end !== "code 0") throw new TaskFailed(`${task.name} failed (${end}); see ${join(logs, `${task.name}.log`)}`);
  }

  async function takeSteps(): Promise<void> {
    for (const step of plan.steps) {
      if (stopping) return;
      if ("task" in step) {
        await runTask(step.task);
        continue;
      }
      const group = step.start.map(watch);
      groups.push(group);
      for (const supervised of group) supervised.done = keepRunning(supervised);
    }
  }

  mkdirSync(logs, { recursive: true });
  for (const { name } of plan.steps.flatMap((step) => ("task" in step ? [step.task] : step.start))) {
    const log = join(logs, `${name}.log`);
    if (existsSync(log) && statSync(log).size > longestLogBytes) renameSync(log, `${log}.1`);
  }
  const started = takeSteps();

  return {
    started,
    order: take,
    async stop() {
      stopping = true;
      await started.catch(() => {});
      for (const group of groups.toReversed()) {
        for (const { child, wake, held, plan: process_ } of group.toReversed()) {
          wake?.abort();
          held?.resolve();
          if (child && isRunning(child)) void endWithin(child, process_.stopSignal ?? "SIGTERM");
        }
        await Promise.all(group.map(({ done }) => done));
      }
    },
  };
}

function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

/** Resolves to how the process ended: "code 1", "SIGKILL", or why it could not be started. */
async function ended(child: ChildProcess): Promise<string> {
  try {
    const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
    return signal ?? `code ${code}`;
  } catch (error) {
    return (error as Error).message;
  }
}

async function endWithin(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  child.kill(signal);
  await Promise.race([once(child, "exit"), sleep(stopPatienceMs, undefined, { ref: false })]);
  if (isRunning(child)) child.kill("SIGKILL");
}
