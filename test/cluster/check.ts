import type { World } from "./world.ts";

/** One thing that a cluster shows of the shop; a file in checks/ exports one. */
export interface Check {
  /** As the file is called: `make test-cluster CHECKS=install,hpa`. */
  name: string;
  /** What it shows, in a few words. */
  shows: string;
  /** Without it the check is not run: the shop is installed without a mesh then. */
  needs?: "mesh";
  /** The longest that it may take, in seconds. */
  seconds: number;
  /** Does it. Resolves to what was seen, in one line. What it throws makes it fail. */
  run(world: World): Promise<string>;
}

/** Names the type of what a check's file exports. */
export function check(one: Check): Check {
  return one;
}

/** Throws where something is not as it should be. */
export function expect(what: string, isSo: boolean, seen?: unknown): void {
  if (isSo) return;
  const shown = seen === undefined ? "" : `, and it is ${typeof seen === "string" ? seen : JSON.stringify(seen)}`;
  throw new Error(`expected: ${what}${shown}`);
}
