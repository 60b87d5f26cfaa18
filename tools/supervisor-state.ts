import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { commandOf } from "./port-holder.ts";

export interface ProcessState {
  name: string;
  /** "waiting" is between an end and the next start. */
  state: "running" | "waiting" | "stopped";
  pid?: number | undefined;
  /** Its command line, by which a pid is known to be still this process. */
  command?: string | undefined;
  port?: number | undefined;
  metricsPort?: number | undefined;
  /** When it was last started, ISO 8601. */
  startedAt?: string;
  /** How often it died and was started again. */
  restarts: number;
  /** How it last ended, such as "SIGKILL" or "code 1". */
  lastEnd?: string;
}

/** What a supervisor says of itself in run/supervisor.json. */
export interface SupervisorState {
  pid: number;
  /** Its command line. */
  command: string | undefined;
  /** "dev" is `make dev`: everything in one process. */
  mode: "processes" | "dev";
  phase: "starting" | "running" | "stopping" | "failed";
  /** Why it failed. */
  problem?: string;
  startedAt: string;
  processes: ProcessState[];
}

export function writeState(varDir: string, state: SupervisorState): void {
  const file = stateFile(varDir);
  mkdirSync(dirname(file), { recursive: true });
  // Whole or not at all: others read it at any time.
  writeFileSync(`${file}.new`, JSON.stringify(state, null, 2));
  renameSync(`${file}.new`, file);
}

/** The last state that a supervisor of this folder wrote, also when it no longer runs. */
export function readState(varDir: string): SupervisorState | undefined {
  const file = stateFile(varDir);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as SupervisorState) : undefined;
}

function stateFile(varDir: string): string {
  return join(varDir, "run/supervisor.json");
}

/** True while the supervisor that wrote this state runs; pids are used again, so its command is looked at too. */
export function isAlive(state: SupervisorState): boolean {
  return runs(state);
}

function runs({ pid, command }: { pid?: number | undefined; command?: string | undefined }): boolean {
  return pid !== undefined && Boolean(command) && commandOf(pid) === command;
}

/** Processes of an earlier run whose supervisor was killed and which run on without it. */
export function leftovers(state: SupervisorState): ProcessState[] {
  if (isAlive(state)) return [];
  return state.processes.filter(runs);
}
