import { setTimeout as sleep } from "node:timers/promises";
import { readinessOf } from "@crowdcrunch/tools/control";
import type { ProcessPlan } from "@crowdcrunch/tools/plan";
import { metricsPortDistance } from "@crowdcrunch/tools/processes";
import type { RunningShop } from "@crowdcrunch/tools/shop";
import { readState } from "@crowdcrunch/tools/supervisor-state";
import type { Links } from "./links.ts";

/** How long a process may take to end or to be ready, in ms. */
const patienceMs = 60_000;
/** Ports of a replica are so far from those of the first. */
const replicaDistance = 20;

/** The processes of the shop by name: the services, "provider", "gateway" and "postgres". */
export interface Processes {
  pidOf(name: string): number;
  /** How often it died and was started again. */
  restartsOf(name: string): number;
  /** As `kill -9`; the supervisor starts it again. Resolves when it is ready again. */
  kill(name: string): Promise<void>;
  /** Ends it; it stays down. Resolves when it has ended. Default SIGTERM, and SIGINT for Postgres. */
  stop(name: string, signal?: NodeJS.Signals): Promise<void>;
  /** Starts what was stopped, with further variables. Resolves when it is ready. */
  start(name: string, env?: Record<string, string>): Promise<void>;
  /** Stops it and starts it with further variables. */
  restart(name: string, env?: Record<string, string>): Promise<void>;
  /** Stops its clocks (SIGSTOP): its connections stay open and nothing answers. */
  pause(name: string): void;
  resume(name: string): void;
  /** Starts a second process beside a service or the gateway. Resolves to its name, "<name>-2", when it is ready. */
  replicate(name: string, env?: Record<string, string>): Promise<string>;
  /**
   * Restarts a service or the gateway as a deployment does: a second process comes up and takes new connections, the
   * first drains and is started anew, the second leaves.
   */
  rollingRestart(name: string): Promise<void>;
  /** Resolves when the process, or every process of the shop, is ready. */
  untilReady(name?: string): Promise<void>;
  /** Undoes what a scenario left: starts what is stopped, resumes what is paused, stops replicas. */
  restore(): Promise<void>;
  /** Starts anew, as planned, what was started with further variables. */
  restoreVariables(): Promise<void>;
}

export function openProcesses(shop: RunningShop, links: Links): Processes {
  const stopped = new Set<string>();
  const paused = new Set<string>();
  const changed = new Set<string>();
  const replicas = new Map<string, ProcessPlan>();
  const stateOf = (name: string) => readState(shop.varDir)?.processes.find((process_) => process_.name === name);

  function planOf(name: string): ProcessPlan {
    const plan = replicas.get(name) ?? shop.planned.find((planned) => planned.name === name);
    if (!plan) throw new Error(`there is no process ${name}`);
    return plan;
  }

  async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
    const giveUpAtMs = performance.now() + patienceMs;
    while (!(await isSo())) {
      if (performance.now() > giveUpAtMs) throw new Error(`${what} did not come within ${patienceMs / 1_000} s`);
      await sleep(30);
    }
  }

  async function untilReady(name?: string): Promise<void> {
    const plans = name === undefined ? shop.planned : [planOf(name)];
    for (const plan of plans) await until(`${plan.name} ready`, async () => (await readinessOf(plan)).ready);
  }

  const processes: Processes = {
    pidOf: shop.pidOf,
    restartsOf: shop.restartsOf,
    async kill(name) {
      const before = shop.restartsOf(planOf(name).name);
      shop.kill(name);
      await until(`${name} again`, () => shop.restartsOf(name) > before && stateOf(name)?.state === "running");
      await untilReady(name);
    },
    async stop(name, signal = planOf(name).stopSignal ?? "SIGTERM") {
      stopped.add(planOf(name).name);
      shop.order({ stop: name, signal });
      await until(`the end of ${name}`, () => stateOf(name)?.state === "stopped");
    },
    async start(name, env = {}) {
      shop.order({ start: planOf(name).name, env });
      await until(`the start of ${name}`, () => stateOf(name)?.state === "running");
      stopped.delete(name);
      if (Object.keys(env).length > 0) changed.add(name);
      else changed.delete(name);
      await untilReady(name);
    },
    async restart(name, env) {
      await processes.stop(name);
      await processes.start(name, env);
    },
    pause(name) {
      paused.add(name);
      process.kill(shop.pidOf(name), "SIGSTOP");
    },
    resume(name) {
      paused.delete(name);
      process.kill(shop.pidOf(name), "SIGCONT");
    },
    async replicate(name, env = {}) {
      const first = planOf(name);
      const replica = `${name}-2`;
      const known = replicas.has(replica);
      const port = first.port! + replicaDistance;
      const metricsPort = port + metricsPortDistance;
      const ports = { PORT: String(port), METRICS_PORT: String(metricsPort) };
      const plan = { ...first, name: replica, port, metricsPort, env: { ...first.env, ...ports } };
      replicas.set(replica, plan);
      if (known) await processes.start(replica, env);
      else shop.order({ add: { ...plan, env: { ...plan.env, ...env } } });
      await untilReady(replica);
      return replica;
    },
    async rollingRestart(name) {
      const link = links.get(name === "gateway" ? "driver>gateway" : `gateway>${name}`);
      const replica = await processes.replicate(name);
      await link.retarget(planOf(replica).port!);
      await processes.restart(name);
      await link.retarget(planOf(name).port!);
      await processes.stop(replica);
    },
    untilReady,
    async restore() {
      for (const name of paused) processes.resume(name);
      for (const name of replicas.keys()) if (!stopped.has(name)) await processes.stop(name);
      // Postgres first, because the others are not ready without it.
      const down = [...stopped].filter((name) => !replicas.has(name));
      for (const name of down.sort((a, b) => Number(b === "postgres") - Number(a === "postgres")))
        await processes.start(name);
      await untilReady();
    },
    async restoreVariables() {
      for (const name of changed) if (!replicas.has(name)) await processes.restart(name);
    },
  };
  return processes;
}
