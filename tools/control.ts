/** Starting, watching and stopping a supervisor from another process. */
import { spawn } from "node:child_process";
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Problem } from "./environment.ts";
import { processesOf } from "./plan.ts";
import type { Order, Plan } from "./plan.ts";
import { commandOf } from "./port-holder.ts";
import { checkPorts } from "./preflight.ts";
import { isAlive, leftovers, readState } from "./supervisor-state.ts";
import type { ProcessState, SupervisorState } from "./supervisor-state.ts";

/** A process that died this often while somebody waits will not come up by waiting. */
const hopelessRestarts = 4;
/** Longer than a supervisor gives its processes. */
const stopPatienceMs = 60_000;

/** Throws a Problem where a shop of this folder runs. Resolves to the processes an earlier one left behind. */
export function checkNoneRuns(varDir: string): ProcessState[] {
  const state = readState(varDir);
  if (!state) return [];
  if (isAlive(state)) {
    const how = state.mode === "dev" ? "make dev" : "make up";
    throw new Problem(
      `The shop is already running (${how}, pid ${state.pid}, ${state.phase}): see make status, or stop it with make down.`,
    );
  }
  return leftovers(state);
}

export interface StartOptions {
  /** The supervisor stops when the calling process ends. */
  lifeline?: boolean;
}

/**
 * Starts a supervisor of its own for the plan. Resolves to what passes orders to it, which needs the lifeline. Throws a
 * Problem where a port is taken.
 */
export async function startSupervisor(plan: Plan, options: StartOptions = {}): Promise<(order: Order) => void> {
  await checkPorts(plan);
  for (const folder of ["log", "run", "secrets"]) mkdirSync(join(plan.varDir, folder), { recursive: true });
  chmodSync(join(plan.varDir, "secrets"), 0o700);
  // The plan has passwords in it.
  const planFile = join(plan.varDir, "secrets/plan.json");
  writeFileSync(planFile, JSON.stringify(plan), { mode: 0o600 });

  const log = openSync(join(plan.varDir, "log/supervisor.log"), "a");
  const script = fileURLToPath(new URL("supervisor.ts", import.meta.url));
  const child = spawn(process.execPath, [script, planFile, ...(options.lifeline ? ["--lifeline"] : [])], {
    // A session of its own: neither the terminal's end nor its interrupt reaches it.
    detached: true,
    stdio: [options.lifeline ? "pipe" : "ignore", log, log],
  });
  closeSync(log);
  child.unref();
  (child.stdin as { unref?: () => void } | null)?.unref?.();
  const own = (state?: SupervisorState) => state?.pid === child.pid;
  while (!own(readState(plan.varDir))) {
    if (child.exitCode !== null) {
      throw new Problem(`The supervisor ended at once:\n${lastLines(plan.varDir, "supervisor")}`);
    }
    await sleep(20);
  }
  return (order) => {
    if (!child.stdin) throw new Error("a supervisor without a lifeline takes no orders");
    child.stdin.write(`${JSON.stringify(order)}\n`);
  };
}

export interface Readiness {
  name: string;
  ready: boolean;
  /** What it says it waits for. */
  waitingFor: string[];
}

/** Asks a process whether it is ready. */
export async function readinessOf(process_: { name: string; metricsPort?: number | undefined }): Promise<Readiness> {
  const { name, metricsPort } = process_;
  if (metricsPort === undefined) return { name, ready: true, waitingFor: [] };
  try {
    const response = await fetch(`http://127.0.0.1:${metricsPort}/readyz`, { signal: AbortSignal.timeout(2_000) });
    const body = (await response.json().catch(() => ({}))) as { waitingFor?: string[] };
    return { name, ready: response.status === 200, waitingFor: body.waitingFor ?? [] };
  } catch {
    return { name, ready: false, waitingFor: ["its start"] };
  }
}

/**
 * Resolves when every process of the plan is ready. Throws a Problem, with the end of the guilty log, when the supervisor
 * gave up, a process dies again and again, or the time is over.
 */
export async function untilReady(
  plan: Plan,
  options: { timeoutMs: number; progress?: (readiness: Readiness[]) => void },
): Promise<void> {
  const giveUpAt = performance.now() + options.timeoutMs;
  // A process may have died before, and come up again.
  const earlier = new Map(readState(plan.varDir)?.processes.map(({ name, restarts }) => [name, restarts]));
  for (;;) {
    const state = readState(plan.varDir);
    if (state?.phase === "failed") throw new Problem(`${state.problem}\n${lastLogOf(plan.varDir, state.problem)}`);
    const readiness = await Promise.all(processesOf(plan).map(readinessOf));
    options.progress?.(readiness);
    const waiting = readiness.filter(({ ready }) => !ready);
    if (waiting.length === 0 && state?.phase === "running") return;

    const hopeless = state?.processes.find(
      ({ name, restarts }) =>
        restarts - (earlier.get(name) ?? 0) >= hopelessRestarts && waiting.some((process_) => process_.name === name),
    );
    if (hopeless) {
      throw new Problem(
        `${hopeless.name} has died ${hopeless.restarts} times (${hopeless.lastEnd}). The end of its log:\n${lastLines(plan.varDir, hopeless.name)}`,
      );
    }
    if (performance.now() > giveUpAt) {
      const [first] = waiting;
      throw new Problem(
        `Not ready after ${options.timeoutMs / 1000} s: ${waiting.map(({ name, waitingFor }) => `${name} (waits for ${waitingFor.join(", ")})`).join(", ")}.\n` +
          `The end of the log of ${first?.name}:\n${first && lastLines(plan.varDir, first.name)}`,
      );
    }
    await sleep(100);
  }
}

function lastLogOf(varDir: string, problem = ""): string {
  return lastLines(varDir, problem.split(" ")[0] ?? "");
}

/** The last lines of a process' log. */
export function lastLines(varDir: string, name: string, count = 15): string {
  const file = join(varDir, "log", `${name}.log`);
  if (!existsSync(file)) return "(it has no log)";
  return readFileSync(file, "utf8").trimEnd().split("\n").slice(-count).join("\n");
}

/** Stops the shop of this folder and what an earlier one left behind. Resolves to what was stopped, in words. */
export async function stopSupervisor(varDir: string): Promise<string> {
  const state = readState(varDir);
  if (!state) return "Nothing runs here.";
  const orphans = leftovers(state);
  if (isAlive(state)) {
    process.kill(state.pid, "SIGTERM");
    await untilGone([state.pid]);
    return "The shop is down; its data stay.";
  }
  if (orphans.length === 0) return "Nothing runs here.";
  await stopLeftovers(orphans);
  return `Stopped what an earlier run had left behind: ${orphans.map(({ name }) => name).join(", ")}.`;
}

/** Stops processes whose supervisor was killed; Postgres and Kafka last, as the others need them to end well. */
export async function stopLeftovers(orphans: ProcessState[]): Promise<void> {
  const isNeeded = ({ name }: ProcessState) => name === "postgres" || name === "kafka";
  for (const [group, signal] of [
    [orphans.filter((orphan) => !isNeeded(orphan)), "SIGTERM"],
    // To both it means: at once, and cleanly.
    [orphans.filter(isNeeded), "SIGINT"],
  ] as const) {
    for (const { pid } of group) process.kill(pid!, signal);
    await untilGone(group.map(({ pid }) => pid!));
  }
}

async function untilGone(pids: number[]): Promise<void> {
  const giveUpAt = performance.now() + stopPatienceMs;
  while (pids.some((pid) => commandOf(pid))) {
    if (performance.now() > giveUpAt) throw new Problem(`Still running after a minute: pid ${pids.join(", ")}.`);
    await sleep(50);
  }
}
