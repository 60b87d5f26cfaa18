/** The whole shop as separate processes: for `make up` and, with a folder and ports of its own, for tests. */
import { untilCatalogueIsKnown } from "./catalogue.ts";
import { checkNoneRuns, startSupervisor, stopLeftovers, stopSupervisor, untilReady } from "./control.ts";
import type { Readiness } from "./control.ts";
import { Problem } from "./environment.ts";
import type { ShopPlace } from "./environment.ts";
import { checkKafkaStays, kafka as kafkaBroker } from "./kafka/shop-kafka.ts";
import type { KafkaChoice } from "./kafka/shop-kafka.ts";
import { processesOf } from "./plan.ts";
import type { Order, Plan, ProcessPlan } from "./plan.ts";
import { preparePostgres } from "./postgres.ts";
import { checkFolder, checkNode } from "./preflight.ts";
import { gateway, postgres, shopAddresses, shopPlan } from "./processes.ts";
import type { ShopAddresses } from "./processes.ts";
import { isAlive, readState } from "./supervisor-state.ts";

/** How long a shop may take to be ready, in ms, where nothing else is said. */
const patienceMs = 120_000;

export interface ShopOptions extends ShopPlace {
  /** Only these of the services, provider and gateway; Postgres, and Kafka where chosen, always. All where not given. */
  processes?: string[];
  /** What its events are in: a Kafka of its own, one outside, or, where false or not given, the embedded log. */
  kafka?: KafkaChoice;
  /** Variables for some processes, on top of what they get, by process name. */
  env?: Record<string, Record<string, string>>;
  /** The shop stops when the calling process ends, however it ends. Default true; `make up` says false. */
  lifeline?: boolean;
  /** How long it may take to be ready, in ms. */
  timeoutMs?: number;
  /** Told what goes on, in words. */
  say?: (sentence: string) => void;
  progress?: (readiness: Readiness[]) => void;
}

export interface RunningShop extends ShopAddresses {
  /** The graph, e.g. http://127.0.0.1:4000/graphql. */
  graphUrl: string;
  /** The pid of a process now. Throws when it does not run. */
  pidOf(name: string): number;
  /** How often a process died and was started again. */
  restartsOf(name: string): number;
  /** Kills a process as `kill -9` does; the supervisor starts it again. */
  kill(name: string): void;
  /** The processes as they were planned. */
  planned: ProcessPlan[];
  /** Tells the supervisor; returns before it is done. Throws where the shop was not started with a lifeline. */
  order(order: Order): void;
  /** Resolves when all processes are ready. Throws a Problem where that takes too long. */
  untilReady(timeoutMs?: number): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts a shop and resolves when it is ready, starter catalogue included. Throws a Problem, which says what to do, when
 * one runs in this folder already, a port is taken, the disk is full or not writable, or a process does not become ready;
 * what was started then runs on, to be looked at, until `stopShop`.
 */
export async function startShop(options: ShopOptions): Promise<RunningShop> {
  const say = options.say ?? (() => {});
  checkNode();
  checkFolder(options.varDir);
  const { kafka = false } = options;
  checkKafkaStays(options.varDir, kafka);
  const orphans = checkNoneRuns(options.varDir);
  if (orphans.length > 0) {
    say(`Stopping what an earlier run left behind: ${orphans.map(({ name }) => name).join(", ")}.`);
    await stopLeftovers(orphans);
  }

  const { varDir, portOffset } = options;
  const addresses = await shopAddresses({ varDir, portOffset }, kafka);
  await preparePostgres(varDir, addresses.secrets.passwords["postgres"]!);
  const plan = narrowed(await shopPlan(addresses, say), options);
  const order = await startSupervisor(plan, { lifeline: options.lifeline ?? true });
  const { timeoutMs = patienceMs, progress } = options;
  await untilReady(plan, { timeoutMs, ...(progress ? { progress } : {}) });
  const processes = processesOf(plan);
  if (processes.some(({ env }) => env["STARTER_CATALOGUE"] === "true")) {
    say("Waiting for the catalogue …");
    await untilCatalogueIsKnown(
      addresses.databaseUrl("auditor"),
      processes.map(({ name }) => name),
    );
  }
  return handleOf(addresses, plan, order);
}

/** The shop that runs in this place; where none does, it is started as `make up` does, and stays. */
export async function ensureShop(options: ShopOptions): Promise<RunningShop> {
  const state = readState(options.varDir);
  if (!state || !isAlive(state)) return startShop({ ...options, lifeline: false });
  const { varDir, portOffset } = options;
  const addresses = await shopAddresses({ varDir, portOffset });
  const plan = await shopPlan(addresses);
  await untilReady(plan, { timeoutMs: options.timeoutMs ?? patienceMs });
  return handleOf(addresses, plan, () => {
    throw new Error("a shop that was found running takes no orders");
  });
}

function handleOf(addresses: ShopAddresses, plan: Plan, order: (order: Order) => void): RunningShop {
  const stateOf = (name: string) => readState(plan.varDir)?.processes.find((process_) => process_.name === name);
  const pidOf = (name: string) => {
    const pid = stateOf(name)?.pid;
    if (pid === undefined) throw new Error(`${name} does not run`);
    return pid;
  };
  return {
    ...addresses,
    graphUrl: `${addresses.url(gateway)}/graphql`,
    pidOf,
    restartsOf: (name) => stateOf(name)?.restarts ?? 0,
    kill: (name) => void process.kill(pidOf(name), "SIGKILL"),
    planned: processesOf(plan),
    order,
    untilReady: (timeoutMs = patienceMs) => untilReady(plan, { timeoutMs }),
    stop: () => stopShop(plan).then(() => {}),
  };
}

/** Stops the shop of this folder, if one runs; resolves to what happened, in words, once all its processes have ended. */
export function stopShop(place: Pick<ShopPlace, "varDir">): Promise<string> {
  return stopSupervisor(place.varDir);
}

function narrowed(plan: Plan, { processes, env = {} }: ShopOptions): Plan {
  const known = processesOf(plan).map(({ name }) => name);
  const unknown = [...(processes ?? []), ...Object.keys(env)].filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Problem(`No such process: ${unknown.join(", ")}. Known: ${known.join(", ")}.`);
  const isWanted = (name: string) =>
    !processes || name === postgres.name || name === kafkaBroker.name || processes.includes(name);
  return {
    ...plan,
    steps: plan.steps.map((step) =>
      "task" in step
        ? step
        : {
            start: step.start
              .filter(({ name }) => isWanted(name))
              .map((process_) => ({ ...process_, env: { ...process_.env, ...env[process_.name] } })),
          },
    ),
  };
}
