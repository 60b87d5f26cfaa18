import { Client } from "pg";
import { invariants } from "./invariants.ts";
import type { Invariant } from "./invariants.ts";

export interface AuditOptions {
  /** The database as a role that may read every schema and nothing else. */
  url: string;
  /** How old what is on its way may be, in seconds; 0 after quiet. Default 0. */
  windowSeconds?: number;
  say: (line: string) => void;
  /** Prints only what is violated. */
  quiet?: boolean;
}

const rowsAtMost = 5;

/**
 * Checks all invariants in one read-only snapshot and prints a line each: held, or the offending rows. Resolves to how
 * many are violated.
 */
export async function auditShop(options: AuditOptions): Promise<number> {
  const client = new Client({ connectionString: options.url, application_name: "audit" });
  await client.connect();
  try {
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    let violated = 0;
    for (const invariant of invariants) {
      const rows = await offendersOf(client, invariant, options.windowSeconds ?? 0);
      if (rows.length > 0) violated += 1;
      if (rows.length > 0 || !options.quiet) report(invariant, rows, options.say);
    }
    await client.query("COMMIT");
    return violated;
  } finally {
    await client.end();
  }
}

/** The rows that break one invariant. */
export async function offendersOf(client: Client, invariant: Invariant, windowSeconds: number): Promise<Record<string, unknown>[]> {
  const values = invariant.sql.includes("$1") ? [windowSeconds] : [];
  return (await client.query(invariant.sql, values)).rows;
}

function report(invariant: Invariant, rows: Record<string, unknown>[], say: (line: string) => void): void {
  const number = String(invariant.number).padStart(2);
  say(`${number} ${rows.length === 0 ? "held    " : "VIOLATED"} ${invariant.says}`);
  for (const row of rows.slice(0, rowsAtMost)) say(`            ${JSON.stringify(row)}`);
  if (rows.length > rowsAtMost) say(`            … and ${rows.length - rowsAtMost} more`);
}
