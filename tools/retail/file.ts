/** What both programs do with the file: read it, report what is broken, plan. */
import { createReadStream } from "node:fs";
import { once } from "node:events";
import { main } from "../environment.ts";
import { createPlanner } from "./plan.ts";
import type { Plan } from "./plan.ts";
import { UnreadableFile, readRows } from "./rows.ts";

export interface PlannedFile {
  plan: Plan;
  rows: number;
  /** Rows that were left out; each was reported. */
  broken: number;
}

/** Reads and plans a file; each broken row is a line on `complain`. Throws UnreadableFile where it is no such file. */
export async function planFile(file: string, complain: (sentence: string) => void): Promise<PlannedFile> {
  await checkReadable(file);
  const planner = createPlanner();
  let rows = 0;
  let broken = 0;
  const report = ({ line, reason }: { line: number; reason: string }) => {
    broken++;
    complain(`${file}:${line}: the row ${reason}; it is left out`);
  };
  for await (const row of readRows(file, report)) {
    rows++;
    planner.add(row);
  }
  return { plan: planner.plan(), rows, broken };
}

async function checkReadable(file: string): Promise<void> {
  const stream = createReadStream(file, { end: 0 });
  try {
    await once(stream, "readable");
  } catch (error) {
    throw new UnreadableFile(`${file} cannot be read: ${(error as Error).message}`);
  } finally {
    stream.destroy();
  }
}

/** What the exit codes of both programs mean. */
export const exitCodes = { done: 0, somethingLeftOut: 1, unusable: 2, stopped: 130 } as const;

/**
 * Runs a program on the file that CSV names. Exit codes: 1 where rows were left out or something failed, 2 where the file
 * cannot be used at all.
 */
export function retailMain(
  target: string,
  csv: string | undefined,
  work: (file: string) => Promise<void>,
): Promise<void> {
  return main(async () => {
    try {
      if (!csv) throw new UnreadableFile(`Name the file: make ${target} CSV=december.csv`);
      await work(csv);
    } catch (error) {
      if (!(error instanceof UnreadableFile)) throw error;
      console.error(error.message);
      process.exitCode = exitCodes.unusable;
    }
  });
}
