import { connectionSettings } from "@crowdcrunch/kit/database";
import { Pool } from "pg";
import type { PoolConfig } from "pg";
import type { CheckedInvariant } from "./invariant.ts";
import type { Query } from "./query.ts";

/** The shop's database, over which statements of an audit run; the role may read everything and nothing else. */
export interface Books {
  /** The rows that break an invariant by its own query, at most `rowsAtMost`. */
  offenders(invariant: CheckedInvariant, windowSeconds?: number): Promise<Record<string, unknown>[]>;
  /** For many rows by their keys. */
  byKeys: Query;
  close(): Promise<void>;
}

export interface BooksOptions {
  url: string;
  applicationName: string;
  /** All queries of invariants see the database as it was at the first. */
  snapshot: boolean;
  /** A statement may take so long, in ms; without it, any time. */
  statementTimeoutMs?: number;
  /** For the groups and joins of whole tables, in MB; more is worth it where somebody waits. */
  workMemoryMb: number;
  /** Told of connections that break; the next statement makes a new one. */
  onError?: (error: Error) => void;
}

export const rowsAtMost = 1_000;

/** Looked for one by one, also where a table is small yet: a plan is kept while the table grows. */
const byIndex = { enable_seqscan: "off", enable_hashjoin: "off", enable_mergejoin: "off" };

export function openBooks(options: BooksOptions): Books {
  const common = {
    jit: "off",
    // The shop's statements have the other cores.
    max_parallel_workers_per_gather: "0",
    ...(options.statementTimeoutMs === undefined ? {} : { statement_timeout: `${options.statementTimeoutMs}ms` }),
  };
  const whole = poolOf(options, { ...common, work_mem: `${options.workMemoryMb}MB` });
  const keyed = poolOf(options, { ...common, ...byIndex });
  let begun: Promise<unknown> | undefined;

  return {
    async offenders(invariant, windowSeconds) {
      const query = offendersQuery(invariant, windowSeconds);
      if (!query) return [];
      if (options.snapshot) await (begun ??= whole.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
      return (await whole.query<Record<string, unknown>>(query)).rows;
    },
    byKeys: async (text, values) => (await keyed.query(text, values)).rows,
    async close() {
      await Promise.all([whole.end(), keyed.end()]);
    },
  };
}

/** What to ask for the rows that break an invariant; undefined where no query alone says it. */
export function offendersQuery(
  { sql, windowSeconds }: CheckedInvariant,
  otherWindowSeconds?: number,
): { text: string; values: number[] } | undefined {
  if (sql === undefined) return undefined;
  return {
    text: `SELECT * FROM (${sql}) AS offenders LIMIT ${rowsAtMost}`,
    values: sql.includes("$1") && windowSeconds !== undefined ? [otherWindowSeconds ?? windowSeconds] : [],
  };
}

/** One connection, so that no two statements run at once and a transaction stays on it. */
function poolOf({ url, applicationName, snapshot, onError }: BooksOptions, settings: Record<string, string>): Pool {
  const pool = new Pool({
    ...connectionSettings({ url, applicationName }),
    max: 1,
    // A snapshot ends with its connection.
    idleTimeoutMillis: snapshot ? 0 : 10_000,
    options: Object.entries(settings)
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(" "),
  } as PoolConfig);
  pool.on("error", (error) => onError?.(error));
  return pool;
}
