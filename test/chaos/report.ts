import { writeFileSync } from "node:fs";
import type { Row } from "./run-scenario.ts";

/** The variables of a run, to repeat one of its rows. */
export interface RunVariables {
  seed: number;
  short: boolean;
  kafka: boolean;
  seconds: number | undefined;
}

/** The command that runs one row again. */
export function repeatCommand(row: Row, { short, kafka, seconds }: RunVariables): string {
  const variables = [
    `SCENARIO=${row.number}`,
    `SEED=${row.seed}`,
    ...(seconds === undefined ? [] : [`SECONDS=${seconds}`]),
    ...(short ? ["SHORT=1"] : []),
    ...(kafka ? [] : ["KAFKA=0"]),
  ];
  return `make chaos ${variables.join(" ")}`;
}

function percentile(values: number[], share: number): string {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return value === undefined ? "–" : `${(value / 1_000).toFixed(2)} s`;
}

/** The table, the reasons of what is not green, and the last lines that count. Returns the lines. */
export function report(rows: Row[], variables: RunVariables): string[] {
  const header = [
    ...["", "fault", "injected", "fired", "in flight", "placed", "acknowledged", "lost", "doubled"],
    ...["recovery p50", "p99", "took", "verdict"],
  ];
  const cells = rows.map((row) => [
    String(row.number),
    row.fault,
    String(row.injected),
    String(row.fired.reduce((sum, { count }) => sum + count, 0)),
    ...[row.inFlight, row.placed, row.acknowledged, row.lost.length, row.doubled.length].map(String),
    percentile(row.recoveriesMs, 0.5),
    percentile(row.recoveriesMs, 0.99),
    `${row.seconds} s`,
    row.verdict,
  ]);
  const widths = header.map((_, column) => Math.max(...[header, ...cells].map((line) => line[column]!.length)));
  const isText = (column: number) => column === 1 || column === header.length - 1;
  const print = (line: string[]) =>
    line
      .map((cell, column) => (isText(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join("  ")
      .trimEnd();
  const failed = rows.filter(({ verdict }) => verdict === "red");
  const notRun = rows.filter(({ verdict }) => verdict === "not run");
  const sum = (read: (row: Row) => unknown[]) => rows.reduce((total, row) => total + read(row).length, 0);
  return [
    "",
    print(header),
    print(widths.map((width) => "-".repeat(width))),
    ...cells.map(print),
    "",
    ...failed.flatMap((row) => [
      `${row.number} ${row.name} is red:`,
      ...row.reasons.map((reason) => `  ${reason}`),
      `  again: ${repeatCommand(row, variables)}`,
    ]),
    ...notRun.map((row) => `${row.number} ${row.name} was not run: ${row.reasons.join("; ")}`),
    `${rows.length - failed.length - notRun.length} passed, ${failed.length} failed`,
    `${rows.length} scenarios, ${sum(({ lost }) => lost)} lost, ${sum(({ doubled }) => doubled)} doubled` +
      (failed.length > 0 ? `; red: ${failed.map(({ number, name }) => `${number} ${name}`).join(", ")}` : "") +
      (notRun.length > 0 ? `; not run: ${notRun.map(({ number }) => number).join(", ")}` : ""),
  ];
}

/** Writes the run as JSON. */
export function writeReport(file: string, rows: Row[], variables: RunVariables): void {
  writeFileSync(file, `${JSON.stringify({ ...variables, rows }, null, 2)}\n`);
}
