import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Problem } from "./environment.ts";

/**
 * Runs `work` while no other process of this machine runs its own under the same lock file; `say` is told when it has to
 * wait. A lock whose process is gone counts for nothing. Throws a Problem after `minutes` of waiting.
 */
export async function alone<Result>(
  lockFile: string,
  say: (sentence: string) => void,
  work: () => Promise<Result>,
  minutes = 30,
): Promise<Result> {
  const until = Date.now() + minutes * 60_000;
  let holder = takeLock(lockFile);
  if (holder !== undefined) say(`Waiting for process ${holder}, which holds ${lockFile} …`);
  while (holder !== undefined) {
    if (Date.now() > until) {
      throw new Problem(`Process ${holder} has held ${lockFile} for ${minutes} min: end it, or remove the file.`);
    }
    await sleep(200);
    holder = takeLock(lockFile);
  }
  try {
    return await work();
  } finally {
    rmSync(lockFile, { force: true });
  }
}

/** Undefined where the lock is now ours, else the id of the process that has it. */
function takeLock(lockFile: string): number | undefined {
  // A link is there with its content or not at all, so that nobody reads an empty lock.
  const own = `${lockFile}.${process.pid}`;
  writeFileSync(own, String(process.pid));
  try {
    linkSync(own, lockFile);
    return undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(own, { force: true });
  }
  const holder = holderOf(lockFile);
  if (holder !== undefined && isRunning(holder)) return holder;
  rmSync(lockFile, { force: true });
  return takeLock(lockFile);
}

function holderOf(lockFile: string): number | undefined {
  try {
    return Number(readFileSync(lockFile, "utf8")) || undefined;
  } catch {
    return undefined;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
