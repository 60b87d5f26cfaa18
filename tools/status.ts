/** `make status`: what each process of the shop does. */
import { setTimeout as sleep } from "node:timers/promises";
import { readinessOf } from "./control.ts";
import { main, shopPlace } from "./environment.ts";
import { kafka as kafkaBroker } from "./kafka/shop-kafka.ts";
import { openShopLog } from "./event-log.ts";
import type { GroupLag } from "@crowdcrunch/auditor/group-lags";
import { memoryOf } from "./memory.ts";
import { shopAddresses } from "./processes.ts";
import type { ShopAddresses } from "./processes.ts";
import { isAlive, leftovers, readState } from "./supervisor-state.ts";
import type { ProcessState } from "./supervisor-state.ts";

/** What each group has not handled yet, as the log itself says; undefined while it does not answer. */
async function lagsOf(shop: ShopAddresses): Promise<GroupLag[] | undefined> {
  const log = await openShopLog(shop);
  try {
    return await Promise.race([log.lags(), sleep(patienceMs, undefined, { ref: false })]);
  } catch {
    return undefined;
  } finally {
    await log.close().catch(() => {});
  }
}

/** A log that does not answer must not keep the rest from being seen. */
const patienceMs = 5_000;

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
  const lags = await lagsOf(shop);
  const lagOf = (name: string) => {
    const own = (lags ?? []).filter(({ group }) => group === name);
    return own.length === 0 ? "-" : String(own.reduce((sum, { events }) => sum + events, 0));
  };
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
        lagOf(name),
      ];
    }),
  );
  console.log(`The shop is ${state.phase} (${state.mode === "dev" ? "make dev" : "make up"}, pid ${state.pid}).\n`);
  printTable([["process", "state", "pid", "port", "memory", "up for", "restarts", "lag"], ...rows]);
  console.log(`\nEvents are in ${whereEventsAre(shop)}; each group has this many left to handle:`);
  if (!lags) console.log("  (the event log does not answer)");
  for (const [group, topics] of Map.groupBy(lags ?? [], (lag) => lag.group))
    console.log(`  ${group.padEnd(12)} ${topics.map(({ topic, events }) => `${topic} ${events}`).join(", ")}`);
});

function whereEventsAre({ kafka, portOffset }: ShopAddresses): string {
  if (kafka === false) return "the embedded log";
  if (kafka === true) return `the shop's own Kafka, 127.0.0.1:${kafkaBroker.port + portOffset}`;
  return `the Kafka at ${kafka.brokers.join()}`;
}
