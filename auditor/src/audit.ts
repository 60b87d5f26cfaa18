import { Client } from "pg";
import type { CheckedInvariant, Invariant } from "./invariant.ts";
import { invariants } from "./invariants.ts";

export interface AuditOptions {
  /** The database as a role that may read every schema and nothing else. */
  url: string;
  /** How old what is on its way may be, in seconds: 0 after quiet. Default: for each invariant as its words say. */
  windowSeconds?: number;
  say: (line: string) => void;
  /** Prints only what is violated. */
  quiet?: boolean;
}

const rowsAtMost = 5;

/**
 * Checks all invariants in one read-only snapshot and prints a line each: its number, whether it is held, its words and
 * how it was checked; under it the offending rows. Resolves to how many are violated. Throws where one cannot be checked.
 */
export async function auditShop(options: AuditOptions): Promise<number> {
  const client = new Client({ connectionString: options.url, application_name: "audit" });
  await client.connect();
  try {
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    // Whole tables are grouped and joined: worth more memory than a service's statement, and no compiler.
    await client.query("SET LOCAL work_mem = '128MB'; SET LOCAL jit = off");
    let violated = 0;
    for (const invariant of invariants) {
      const rows = invariant.kind === "elsewhere" ? [] : await offendersOf(client, invariant, options.windowSeconds);
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
export async function offendersOf(
  client: Client,
  invariant: CheckedInvariant,
  windowSeconds: number | undefined,
): Promise<Record<string, unknown>[]> {
  const values = invariant.windowSeconds === undefined ? [] : [windowSeconds ?? invariant.windowSeconds];
  try {
    return (await client.query<Record<string, unknown>>(invariant.sql, values)).rows;
  } catch (error) {
    throw new Error(`Invariant ${invariant.number} cannot be checked: ${(error as Error).message}`, { cause: error });
  }
}

function report(invariant: Invariant, rows: Record<string, unknown>[], say: (line: string) => void): void {
  const { number, says, kind } = invariant;
  const verdict = kind === "elsewhere" ? "–" : rows.length === 0 ? "held" : "VIOLATED";
  const how = kind === "elsewhere" ? `${kind}: ${invariant.where}` : kind;
  say(`${String(number).padStart(2)} ${verdict.padEnd(8)} ${says} (${how})`);
  for (const row of rows.slice(0, rowsAtMost)) say(`            ${JSON.stringify(row)}`);
  if (rows.length > rowsAtMost) say(`            … and ${rows.length - rowsAtMost} more`);
}
