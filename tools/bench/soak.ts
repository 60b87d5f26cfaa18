/** A soak: 8 shoppers for a good while, then quiet. Memory must stay flat, and the database must tidy up behind itself. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "pg";
import { Problem } from "../environment.ts";
import type { ShopPlace } from "../environment.ts";
import { services } from "../processes.ts";
import { memoryMiB } from "./cost.ts";
import { memoryGrowth, soakWindows } from "./figures.ts";
import type { MemoryGrowth, MemorySample } from "./figures.ts";
import type { MeasuredLog } from "./logs.ts";
import { openBenchShop } from "./place.ts";
import type { BenchShop } from "./place.ts";
import { shopFor } from "./stretch.ts";

const shoppers = 8;
/** A short soak is looked at more often. */
const sampleEveryMs = (minutes: number) => Math.min(10_000, minutes * 2_000);
/** Tokens live ten minutes. */
const stretchSeconds = 60;
const growthAtMost = 1.1;
const outboxBytesAtMost = 10e6;
const deadShareBelow = 0.2;
/** Smaller tables are read and tidied in no time. */
const tableBytesAtLeast = 1e6;
/** Idle connections tell what they did within ten seconds. */
const settleMs = 15_000;
/** Autovacuum looks once a minute. */
const tidyPatienceMs = 240_000;

interface Outbox {
  service: string;
  rows: number;
  bytes: number;
}

interface TableShare {
  table: string;
  bytes: number;
  live: number;
  dead: number;
  deadShare: number;
}

/** Resolves to what was measured; `failures` says in words what is beyond its bound. */
export async function measureSoak(
  minutes: number,
  { place, log }: { place: ShopPlace; log: MeasuredLog },
): Promise<object> {
  const varDir = join(place.varDir, `soak-${log.name}`);
  const bench = await openBenchShop({ varDir, portOffset: place.portOffset, kafka: log.kafka });
  try {
    const { early, late } = soakWindows(minutes);
    const span = ([from, to]: [number, number]) => `${from.toFixed(1)} to ${to.toFixed(1)}`;
    console.log(
      `${minutes} min at ${shoppers} shoppers; memory of minutes ${span(early)} against ${span(late)}, every ${sampleEveryMs(minutes) / 1_000} s.`,
    );
    const { samples, told, perS } = await soak(bench, minutes);
    const restarts = bench.processNames.filter((name) => bench.shop.restartsOf(name) > 0);
    await bench.untilQuiet();
    const quietMs = performance.now();
    await sleep(settleMs);
    let tidy = await tidiness(bench.database);
    while (untidy(tidy).length > 0 && performance.now() < quietMs + tidyPatienceMs) {
      await sleep(5_000);
      tidy = await tidiness(bench.database);
    }
    const quietSeconds = (performance.now() - quietMs) / 1_000;
    const memory = memoryGrowth(samples, minutes);
    print(memory, tidy, { perS, orders: told.length, quietSeconds });
    const violations = await bench.audit(told);
    const failures = [
      ...memory.flatMap(({ process: name, ratio }) =>
        ratio <= growthAtMost ? [] : `${name} has grown to ${ratio.toFixed(2)} of its memory`,
      ),
      ...restarts.map((name) => `${name} died and was started again`),
      ...untidy(tidy),
      ...(violations > 0 ? [`${violations} invariants are violated`] : []),
    ];
    console.log(
      failures.length === 0 ? "The soak holds; all invariants hold." : `Beyond bounds: ${failures.join("; ")}.`,
    );
    if (failures.length > 0) process.exitCode = 1;
    return { minutes, purchasesPerS: perS, memory, ...tidy, quietSeconds, failures, samples };
  } finally {
    await bench.close();
  }
}

async function soak(
  bench: BenchShop,
  minutes: number,
): Promise<{ samples: MemorySample[]; told: string[]; perS: number }> {
  const startMs = performance.now();
  const endMs = startMs + minutes * 60_000;
  const samples: MemorySample[] = [];
  const told: string[] = [];
  const stopping = new AbortController();
  const sampling = (async () => {
    while (!stopping.signal.aborted) {
      samples.push(sampleOf(bench, (performance.now() - startMs) / 60_000));
      await sleep(sampleEveryMs(minutes), undefined, { signal: stopping.signal }).catch(() => {});
    }
  })();
  try {
    for (let seed = 1; performance.now() < endMs; seed++) {
      const seconds = Math.min(stretchSeconds, (endMs - performance.now()) / 1_000);
      const { orderIds, purchasesPerS } = await shopFor(bench, { shoppers, seconds, seed });
      told.push(...orderIds);
      console.log(
        `${((performance.now() - startMs) / 60_000).toFixed(1)} min: ${purchasesPerS.toFixed(1)} purchases/s`,
      );
    }
  } finally {
    stopping.abort();
    await sampling;
  }
  return { samples, told, perS: (told.length * 1_000) / (performance.now() - startMs) };
}

/** RSS of each process. Those of Postgres share most of theirs, so that each page counts once there (PSS). */
function sampleOf({ shop, processNames }: BenchShop, atMinutes: number): MemorySample {
  const of = (name: string): [string, number][] => {
    try {
      const { pss, rss } = memoryMiB(shop.pidOf(name));
      return [[name, name === "postgres" ? pss : rss]];
    } catch {
      // It has just died, which its restarts tell.
      return [];
    }
  };
  return { atMinutes, memoryMiB: Object.fromEntries(processNames.flatMap(of)) };
}

async function tidiness(database: Client): Promise<{ outboxes: Outbox[]; tables: TableShare[] }> {
  await database.query("SELECT pg_stat_clear_snapshot()");
  const outboxes = await database.query<Outbox>(
    services
      .map(
        ({ name }) =>
          `SELECT '${name}' AS service, count(*)::int AS rows, pg_total_relation_size('${name}.outbox')::float8 AS bytes FROM ${name}.outbox`,
      )
      .join(" UNION ALL "),
  );
  const tables = await database.query<TableShare>(
    `SELECT schemaname || '.' || relname AS table, pg_total_relation_size(relid)::float8 AS bytes, n_live_tup::float8 AS live,
       n_dead_tup::float8 AS dead, n_dead_tup::float8 / greatest(1, n_live_tup + n_dead_tup) AS "deadShare"
     FROM pg_stat_user_tables WHERE pg_total_relation_size(relid) >= $1 ORDER BY "deadShare" DESC, 1`,
    [tableBytesAtLeast],
  );
  return { outboxes: outboxes.rows, tables: tables.rows };
}

/** What is beyond its bound, in words. */
function untidy({ outboxes, tables }: { outboxes: Outbox[]; tables: TableShare[] }): string[] {
  return [
    ...outboxes.filter(({ rows }) => rows > 0).map(({ service, rows }) => `${service}.outbox has ${rows} rows`),
    ...outboxes
      .filter(({ bytes }) => bytes >= outboxBytesAtMost)
      .map(({ service, bytes }) => `${service}.outbox has ${(bytes / 1e6).toFixed(1)} MB`),
    ...tables
      .filter(({ deadShare }) => deadShare >= deadShareBelow)
      .map(({ table, deadShare }) => `${table} has ${(deadShare * 100).toFixed(0)} % dead rows`),
  ];
}

function print(
  memory: MemoryGrowth[],
  { outboxes, tables }: { outboxes: Outbox[]; tables: TableShare[] },
  { perS, orders, quietSeconds }: { perS: number; orders: number; quietSeconds: number },
): void {
  console.log(`${orders} orders, ${perS.toFixed(1)} purchases/s.`);
  console.table(
    memory.map(({ process: name, earlyMiB, lateMiB, ratio }) => ({
      process: name === "postgres" ? "postgres (PSS)" : name,
      "early MiB": earlyMiB.toFixed(1),
      "late MiB": lateMiB.toFixed(1),
      ratio: ratio.toFixed(3),
    })),
  );
  console.log(`After ${quietSeconds.toFixed(0)} s of quiet:`);
  console.table(outboxes.map(({ service, rows, bytes }) => ({ outbox: service, rows, MB: (bytes / 1e6).toFixed(2) })));
  console.table(
    tables.map(({ table, bytes, live, dead, deadShare }) => ({
      ...{ table, MB: (bytes / 1e6).toFixed(1), live, dead },
      "dead %": (deadShare * 100).toFixed(1),
    })),
  );
}

/** SOAK=15 as minutes. */
export function chosenMinutes(value: string): number {
  const minutes = Number(value);
  // With less there is no sample in the early part.
  if (!(minutes >= 1 && minutes <= 24 * 60)) throw new Problem(`SOAK is "${value}"; it must be minutes, at least 1.`);
  return minutes;
}
