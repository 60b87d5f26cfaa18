/** `make status`: what each process of the shop does. */
import { Client } from "pg";
import { readinessOf } from "./control.ts";
import { main, shopPlace } from "./environment.ts";
import { memoryOf } from "./memory.ts";
import { shopAddresses } from "./processes.ts";
import { isAlive, leftovers, readState } from "./supervisor-state.ts";
import type { ProcessState } from "./supervisor-state.ts";

/** Events that each consumer group has not handled yet, as the log itself says. Empty while the database is away. */
async function lagByGroup(databaseUrl: string): Promise<Map<string, number>> {
  const client = new Client({
    connectionString: databaseUrl,
    connectionTimeoutMillis: 2_000,
    application_name: "status",
  });
  try {
    await client.connect();
    const { rows } = await client.query<{ group_name: string; lag: string }>(
      `SELECT p.group_name, sum(h.next - p.committed) AS lag
       FROM eventlog.positions p JOIN eventlog.heads h USING (topic, partition) GROUP BY p.group_name`,
    );
    return new Map(rows.map((row) => [row.group_name, Number(row.lag)]));
  } catch {
    return new Map();
  } finally {
    await client.end().catch(() => {});
  }
}

function uptime(since: string | undefined): string {
  if (since === undefined) return "-";
  const seconds = Math.floor((Date.now() - Date.parse(since)) / 1000);
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
}

async function describe(process_: ProcessState): Promise<string> {
  if (process_.state === "stopped") return "stopped";
  if (process_.state === "waiting") return `starts again soon (${process_.lastEnd})`;
  const { ready, waitingFor } = await readinessOf(process_);
  return ready ? "ready" : `waits for ${waitingFor.join(", ") || "something"}`;
}

function printTable(rows: string[][]): void {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  for (const row of rows) {
    console.log(
      row
        .map((cell, column) => (column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
        .join("  ")
        .trimEnd(),
    );
  }
}

await main(async () => {
  const place = shopPlace();
  const state = readState(place.varDir);
  if (!state || !isAlive(state)) {
    const left = state ? leftovers(state) : [];
    console.log("The shop is not running: make up starts it.");
    for (const { name, pid } of left)
      console.log(`  left behind by an earlier run: ${name}, pid ${pid} (make down stops it)`);
    return;
  }
  const shop = await shopAddresses(place);
  const lag = await lagByGroup(shop.databaseUrl("auditor"));
  const rows = await Promise.all(
    state.processes.map(async (process_) => {
      const { name, pid, port, startedAt, restarts } = process_;
      const memory = pid === undefined ? undefined : memoryOf(pid);
      return [
        name,
        await describe(process_),
        String(pid ?? "-"),
        String(port ?? "-"),
        memory === undefined ? "-" : `${Math.round(memory / 2 ** 20)} MiB`,
        uptime(process_.state === "running" ? startedAt : undefined),
        String(restarts),
        String(lag.get(name) ?? "-"),
      ];
    }),
  );
  console.log(`The shop is ${state.phase} (${state.mode === "dev" ? "make dev" : "make up"}, pid ${state.pid}).\n`);
  printTable([["process", "state", "pid", "port", "memory", "up for", "restarts", "lag"], ...rows]);
});
