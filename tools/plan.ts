/** What a supervisor runs, as data. */

export interface ProcessPlan {
  name: string;
  /** The executable and its arguments. */
  command: string[];
  /** Set on top of what the supervisor inherited. */
  env: Record<string, string>;
  /** Where it serves; of 127.0.0.1. */
  port?: number;
  /** Where /readyz answers 200 when it is ready. */
  metricsPort?: number;
  /** Whom it runs as, where not as the supervisor's own user. */
  user?: { uid: number; gid: number };
  /** How it is asked to stop; SIGTERM where not given. */
  stopSignal?: "SIGINT" | "SIGTERM";
}

/** Processes to start and keep running, or a task that must end well before the next step. */
export type Step = { start: ProcessPlan[] } | { task: ProcessPlan };

export interface Plan {
  /** Absolute path; logs go to log/ in it, the state to run/. */
  varDir: string;
  /** Taken in order at the start; stopped in reverse. */
  steps: Step[];
}

/** What a supervisor can be told while its plan runs. */
export type Order =
  /** Ends a process with the signal; it stays down until it is started. */
  | { stop: string; signal: NodeJS.Signals }
  /** Starts a process that was stopped. `env` is set on top of its plan, in place of what an earlier order set. */
  | { start: string; env?: Record<string, string> }
  /** Starts and keeps running one more process than was planned. */
  | { add: ProcessPlan };

/** All processes of a plan that are kept running, in starting order. */
export function processesOf(plan: Plan): ProcessPlan[] {
  return plan.steps.flatMap((step) => ("start" in step ? step.start : []));
}
