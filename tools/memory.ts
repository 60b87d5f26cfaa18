import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";

/**
 * Memory of a process and of the processes it started, in bytes: PSS, in which pages shared by n processes count 1/n,
 * where the system tells it, else RSS. Undefined where it cannot be read.
 */
export function memoryOf(pid: number): number | undefined {
  if (process.platform !== "linux") {
    const { stdout } = spawnSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" });
    return stdout.trim() ? Number(stdout) * 1024 : undefined;
  }
  const own = proportionalSetSize(pid);
  if (own === undefined) return undefined;
  return childrenOf(pid).reduce((sum, child) => sum + (proportionalSetSize(child) ?? 0), own);
}

function proportionalSetSize(pid: number): number | undefined {
  try {
    const kilobytes = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  } catch {
    return undefined;
  }
}

function childrenOf(pid: number): number[] {
  const children: number[] = [];
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const list = readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8");
      children.push(...list.trim().split(/\s+/).filter(Boolean).map(Number));
    }
  } catch {
    // It has just ended.
  }
  return children;
}
