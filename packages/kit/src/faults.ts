import { setTimeout as sleep } from "node:timers/promises";
import { ConfigError } from "./config.ts";
import { invalid, problem } from "./errors.ts";
import type { CommonAction, FaultAction, FaultPoint, OwnAction } from "./fault-points.ts";
import { checkFaults, matcherOf, parseFaults } from "./fault-settings.ts";
import type { FaultInput, FaultSetting } from "./fault-settings.ts";
import type { Logger } from "./logger.ts";
import type { Metrics } from "./metrics.ts";

export type { FaultAction, FaultPoint, OwnAction } from "./fault-points.ts";
export type { FaultInput, FaultSetting } from "./fault-settings.ts";

/** A setting and what has come of it since it was set. */
export interface FaultState extends FaultSetting {
  /** How often something that it matches came by. */
  passes: number;
  /** How often it fired. */
  fired: number;
}

/**
 * Faults on purpose, at named points. A place reads `if (faults.on) await faults.at("relay.before-append", () => detail)`,
 * so that in production a point costs one look at a boolean.
 */
export interface Faults {
  /** Whether this process lets faults be set: FAULT_INJECTION. Does not change. */
  readonly allowed: boolean;
  /** Whether any is set. */
  readonly on: boolean;
  /**
   * Passes a point. `kill` and `exit` end the process, `delay` waits, `error` rejects with a FaultError; what only the
   * place itself can do is what it resolves to. The detail, of what passes, is what `match` looks at.
   */
  at(point: FaultPoint, detail?: string | (() => string)): Promise<OwnFault | undefined>;
  /** What is set. Throws the problem FaultsOff where FAULT_INJECTION is off. */
  list(): FaultState[];
  /** Sets these and no others. Throws the problem InvalidInput, which names all that is wrong, or FaultsOff. */
  set(settings: FaultInput[]): void;
}

/** A fault that its place has to carry out. */
export interface OwnFault {
  action: OwnAction;
  /** How long it waits where it does, in ms. */
  delayMs: number;
}

/** Looks like a connection that was lost, so that it takes the same path as a real one. */
export class FaultError extends Error {
  override name = "FaultError";
  code = "ECONNRESET";
  constructor(point: FaultPoint) {
    super(`the connection was lost on purpose at ${point}`);
  }
}

/** What runs where FAULT_INJECTION is off. */
export const inertFaults: Faults = {
  allowed: false,
  on: false,
  at: () => Promise.resolve(undefined),
  list: refuse,
  set: refuse,
};

function refuse(): never {
  throw problem(
    "FaultsOff",
    "Faults are off in this process. It takes them when it is started with FAULT_INJECTION=true, as make up FAULTS=1 does.",
  );
}

export interface FaultVariables {
  FAULT_INJECTION: boolean;
  FAULTS: string;
  NODE_ENV: string;
}

/**
 * The faults of a process by its variables. Throws a ConfigError for faults in production, for FAULTS without
 * FAULT_INJECTION, and for what is wrong in FAULTS.
 */
export function openFaults(config: FaultVariables, context: { log: Logger; metrics: Metrics }): Faults {
  if (!config.FAULT_INJECTION) {
    if (config.FAULTS === "") return inertFaults;
    throw new ConfigError(["FAULTS is set and FAULT_INJECTION is not: set FAULT_INJECTION=true, or remove FAULTS"]);
  }
  if (config.NODE_ENV === "production") {
    throw new ConfigError([
      "FAULT_INJECTION is on with NODE_ENV=production: faults on purpose are not for production; remove FAULT_INJECTION",
    ]);
  }
  const { settings, problems } = parseFaults(config.FAULTS);
  if (problems.length > 0) throw new ConfigError(problems.map((text) => `FAULTS: ${text}`));
  const faults = createFaults(context);
  faults.set(settings);
  context.log.warn({ faults: settings }, "faults on purpose are let in");
  return faults;
}

interface Armed {
  state: FaultState;
  matches: (detail: string) => boolean;
  random: () => number;
}

/** Faults that can be set. The log has to write each line at once. */
export function createFaults({ log, metrics }: { log: Logger; metrics: Metrics }): Faults {
  const firedTotal = metrics.counter("crowdcrunch_faults_fired_total", "Faults on purpose that fired", [
    "point",
    "action",
  ]);
  let armed: Armed[] = [];

  /** Counts a pass. Where it fires, that is counted and in the log before anything is done. */
  function fires({ state, matches, random }: Armed, detail: string): boolean {
    if (!matches(detail)) return false;
    state.passes++;
    if (state.passes <= (state.afterPasses ?? 0) || state.fired >= (state.times ?? Number.POSITIVE_INFINITY))
      return false;
    if (random() >= state.rate) return false;
    state.fired++;
    const { point, action } = state;
    log.warn({ point, action, detail }, "fault fired");
    firedTotal.inc({ point, action });
    return true;
  }

  return {
    allowed: true,
    get on() {
      return armed.length > 0;
    },
    async at(point, detail = "") {
      const here = armed.filter(({ state }) => state.point === point);
      if (here.length === 0) return undefined;
      const text = typeof detail === "string" ? detail : detail();
      let own: OwnFault | undefined;
      for (const each of here) {
        if (!fires(each, text)) continue;
        const { action, delayMs = 0 } = each.state;
        if (!isCommon(action)) own = { action, delayMs };
        else if (action === "delay") await sleep(delayMs);
        else if (action === "error") throw new FaultError(point);
        else await end(action);
      }
      return own;
    },
    list: () => armed.map(({ state }) => ({ ...state })),
    set(inputs) {
      const { settings, problems } = checkFaults(inputs);
      if (problems.length > 0) throw invalid("faults", problems.join("\n"));
      armed = settings.map((setting) => ({
        state: { ...setting, passes: 0, fired: 0 },
        matches: matcherOf(setting.match),
        random: randomOf(setting.seed),
      }));
    },
  };
}

const common = new Set<FaultAction>(["kill", "exit", "delay", "error"] satisfies CommonAction[]);

function isCommon(action: FaultAction): action is CommonAction {
  return common.has(action);
}

/** Ends the process, by SIGKILL or as one that gives up; nothing behind it runs. */
function end(action: "kill" | "exit"): Promise<never> {
  if (action === "exit") process.exit(1);
  process.kill(process.pid, "SIGKILL");
  return new Promise(() => {});
}

/** Random numbers of 0 to 1, the same for the same seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
