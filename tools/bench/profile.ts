/** Where the time goes: processor profiles of the processes, and the statements that cost most. */
import { join } from "node:path";
import type { Client } from "pg";
import { auditor, gateway, provider, services } from "../processes.ts";

/** Variables that make each process leave a profile when it ends. */
export function profiled(varDir: string): Record<string, Record<string, string>> {
  const folder = join(varDir, "profile");
  return Object.fromEntries(
    [gateway, provider, auditor, ...services].map(({ name }) => [
      name,
      { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${join(folder, name)}` },
    ]),
  );
}

export async function resetStatements(database: Client): Promise<void> {
  await database.query("CREATE EXTENSION IF NOT EXISTS pg_stat_statements");
  await database.query("SELECT pg_stat_statements_reset()");
}

/** The statements that took most of the database's time since the reset. */
export async function printStatements(database: Client): Promise<void> {
  const { rows } = await database.query(
    `SELECT usename AS role, calls::int, round(total_exec_time)::int AS "total ms", round(mean_exec_time::numeric, 3)::float8 AS "mean ms",
       left(regexp_replace(query, '\\s+', ' ', 'g'), 90) AS statement
     FROM pg_stat_statements s JOIN pg_user u ON u.usesysid = s.userid ORDER BY total_exec_time DESC LIMIT 40`,
  );
  console.table(rows);
}
