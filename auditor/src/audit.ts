import { readConfig } from "@crowdcrunch/kit/config";
import type { EventLog } from "@crowdcrunch/kit/eventlog";
import { createLogger } from "@crowdcrunch/kit/logger";
import Type from "typebox";
import { unkept } from "./acknowledged.ts";
import type { Acknowledged } from "./acknowledged.ts";
import { openBooks, rowsAtMost } from "./books.ts";
import type { Books } from "./books.ts";
import type { Invariant } from "./invariant.ts";
import { invariants } from "./invariants.ts";
import { logAuditVariables, openLog } from "./log.ts";
import { auditLog } from "./log-audit.ts";
import type { LogFindings } from "./log-audit.ts";
import type { LogNumber } from "./topic-audit.ts";

export interface AuditOptions {
  /** The database as a role that may read every schema and nothing else. */
  url: string;
  /**
   * Variables that say where the event log is, as the shop's processes have them, and whether it began anew; without them
   * it is in the database, and has all events.
   */
  env?: Record<string, string | undefined>;
  /** Takes the place of the log that `env` names; it is left open. */
  eventLog?: EventLog;
  /** How old what is on its way may be, in seconds: 0 after quiet. Default: for each invariant as its words say. */
  windowSeconds?: number;
  /** What a load driver was told, to look for it in the books. */
  acknowledged?: readonly Acknowledged[];
  say: (line: string) => void;
  /** Prints only what is violated. */
  quiet?: boolean;
}

const printedRows = 5;
const logWindowSeconds = 60;

/**
 * Checks all invariants, each by its own kind, and prints a line each: its number, whether it is held, its words, how it
 * was checked and how long that took; under it the offending rows. What stands in the database is seen as it was at one
 * moment. Resolves to how many are violated. Throws where one cannot be checked.
 */
export async function auditShop(options: AuditOptions): Promise<number> {
  const { LOG_BEGAN_ANEW: logBeganAnew } = readConfig(Type.Object(logAuditVariables), options.env ?? {});
  const books = openBooks({ url: options.url, applicationName: "audit", snapshot: true, workMemoryMb: 128 });
  const ownLog = options.eventLog
    ? undefined
    : await openLog({
        url: options.url,
        env: options.env ?? {},
        log: createLogger({ service: "audit", level: "warn" }),
      });
  const eventLog = options.eventLog ?? ownLog!;
  const windowSeconds = options.windowSeconds ?? logWindowSeconds;
  let reading: Promise<LogFindings> | undefined;
  const readLog = () => (reading ??= auditLog({ eventLog, query: books.byKeys, windowSeconds, logBeganAnew }));
  try {
    let violated = 0;
    for (const invariant of invariants) {
      const beganMs = performance.now();
      const rows = await offendersOf(invariant, { books, readLog, options });
      const seconds = (performance.now() - beganMs) / 1_000;
      if (rows && rows.length > 0) violated += 1;
      if ((rows && rows.length > 0) || !options.quiet) report(invariant, rows, seconds, options.say);
    }
    return violated;
  } finally {
    await Promise.all([books.close(), ownLog?.close()]);
  }
}

interface Sources {
  books: Books;
  readLog: () => Promise<LogFindings>;
  options: AuditOptions;
}

/** The rows that break one invariant; undefined where it is not checked here. */
async function offendersOf(
  invariant: Invariant,
  { books, readLog, options }: Sources,
): Promise<Record<string, unknown>[] | undefined> {
  try {
    if (invariant.kind === "driver" && options.acknowledged) return await unkept(books.byKeys, options.acknowledged);
    if ("where" in invariant) return undefined;
    const rows = await books.offenders(invariant, options.windowSeconds);
    if ("readsLog" in invariant) rows.push(...(await readLog())[invariant.number as LogNumber]);
    return rows;
  } catch (error) {
    throw new Error(`Invariant ${invariant.number} cannot be checked: ${(error as Error).message}`, { cause: error });
  }
}

function report(
  invariant: Invariant,
  rows: Record<string, unknown>[] | undefined,
  seconds: number,
  say: (line: string) => void,
): void {
  const { number, says, kind } = invariant;
  const verdict = rows === undefined ? "–" : rows.length === 0 ? "held" : "VIOLATED";
  const how = rows === undefined && "where" in invariant ? invariant.where : `${seconds.toFixed(2)} s`;
  say(`${String(number).padStart(2)} ${verdict.padEnd(8)} ${says} (${kind}, ${how})`);
  for (const row of (rows ?? []).slice(0, printedRows)) say(`            ${JSON.stringify(row)}`);
  const more = (rows?.length ?? 0) - printedRows;
  if (more > 0) say(`            … and ${more}${rows!.length >= rowsAtMost ? " or more" : ""} more`);
}
