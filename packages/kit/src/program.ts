import { inspect } from "node:util";

/** A failure that its message explains to the person who reads it, way out included; printed without a stack. */
export class Problem extends Error {
  override name = "Problem";
}

/** Runs a program's main part: a Problem is printed as its sentence, anything else with its stack; both exit with 1. */
export async function main(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    process.stderr.write(`${error instanceof Problem ? error.message : inspect(error)}\n`);
    process.exitCode = 1;
  }
}
