/** What a stretch of work costs: processor time by process, and what the database did. */
import { readFileSync, readdirSync } from "node:fs";
import type { Client } from "pg";

export interface Cost {
  /** Milliseconds of processor time by process name. */
  cpuMs: Record<string, number>;
  statements: number;
  commits: number;
  fsyncs: number;
}

const ticksPerSecond = 100;

/** Processor time of a process and its threads, in ms; children counted for those that ended. */
function cpuOf(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
    return ((Number(fields[11]) + Number(fields[12])) * 1_000) / ticksPerSecond;
  } catch {
    return 0;
  }
}

function childrenOf(pid: number): number[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .filter((entry) => {
      try {
        return readFileSync(`/proc/${entry}/stat`, "utf8").split(") ")[1]!.split(" ")[1] === String(pid);
      } catch {
        return false;
      }
    })
    .map(Number);
}

export interface CostSources {
  /** Pids by process name. */
  pids: Record<string, number>;
  /** /metrics of the processes that talk to the database. */
  metricsUrls: string[];
  /** As superuser. */
  database: Client;
}

async function statementsOf(metricsUrls: string[]): Promise<number> {
  const texts = await Promise.all(metricsUrls.map(async (url) => (await fetch(`${url}/metrics`)).text()));
  return texts.reduce(
    (sum, text) =>
      sum +
      [...text.matchAll(/^crowdcrunch_sql_statements_total(?:\{[^}]*\})? (\S+)$/gm)].reduce(
        (part, match) => part + Number(match[1]),
        0,
      ),
    0,
  );
}

/** A reading of all counters; the difference of two is the cost of what lay between. */
export async function readCost(sources: CostSources): Promise<Cost> {
  const cpuMs: Record<string, number> = {};
  for (const [name, pid] of Object.entries(sources.pids)) {
    cpuMs[name] =
      cpuOf(pid) + (name === "postgres" ? childrenOf(pid).reduce((sum, child) => sum + cpuOf(child), 0) : 0);
  }
  await sources.database.query("SELECT pg_stat_force_next_flush()");
  const { rows } = await sources.database.query(
    `SELECT (SELECT sum(xact_commit)::float8 FROM pg_stat_database) AS commits,
            (SELECT sum(fsyncs)::float8 FROM pg_stat_io WHERE object = 'wal') AS fsyncs`,
  );
  return {
    cpuMs,
    statements: await statementsOf(sources.metricsUrls),
    commits: rows[0].commits,
    fsyncs: rows[0].fsyncs,
  };
}

export function costBetween(before: Cost, after: Cost, count: number): Cost {
  const each = (from: number, to: number) => (to - from) / count;
  return {
    cpuMs: Object.fromEntries(
      Object.keys(after.cpuMs).map((name) => [name, each(before.cpuMs[name] ?? 0, after.cpuMs[name]!)]),
    ),
    statements: each(before.statements, after.statements),
    commits: each(before.commits, after.commits),
    fsyncs: each(before.fsyncs, after.fsyncs),
  };
}

/** Memory of a process and of those it started, in MiB: their own share (PSS) and all that they map (RSS). */
export function memoryMiB(pid: number): { pss: number; rss: number } {
  const sum = { pss: 0, rss: 0 };
  for (const each of [pid, ...childrenOf(pid)]) {
    const text = readFileSync(`/proc/${each}/smaps_rollup`, "utf8");
    const of = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0) / 1024;
    sum.pss += of("Pss");
    sum.rss += of("Rss");
  }
  return sum;
}
