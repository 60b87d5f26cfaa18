import type { World } from "./world.ts";

/** One way to break the shop; a file in scenarios/ exports one. */
export interface Scenario {
  /** Of the list in list.ts. */
  number: number;
  /** As the file is called behind its number: `make chaos SCENARIO=broker-down`. */
  name: string;
  /** What is broken, in the words of the list. */
  fault: string;
  /** What we believe of the shop, so that the run can refute it. */
  hypothesis: string;
  /** What is expected besides the invariants. */
  expectation: string;
  /**
   * Without it the scenario is not run: there is no broker to break where the log is embedded in Postgres, and no full
   * disk where there is no C compiler.
   */
  needs?: "kafka" | "cc";
  /** Variables that processes run with for this scenario alone, by process; they are started anew before and after. */
  env?: Record<string, Record<string, string>>;
  /** Purchases begun in a second; default 12. */
  perSecond?: number;
  /** Breaks the shop while purchases flow, and heals it. What it throws, and what it expects in vain, makes it red. */
  run(world: World): Promise<void>;
  /** What can be seen only after quiet, before the audit. */
  afterQuiet?(world: World): Promise<void>;
}

/** Names the type of what a scenario file exports. */
export function scenario(one: Scenario): Scenario {
  return one;
}
