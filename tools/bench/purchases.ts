/** Purchases per second, latency and cost on each log. Where there are two, they take turns, so that neither has the better time. */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { Client } from "pg";
import type { ShopPlace } from "../environment.ts";
import { memoryMiB } from "./cost.ts";
import { median, sideBySide } from "./figures.ts";
import type { Pace } from "./figures.ts";
import type { MeasuredLog } from "./logs.ts";
import { openBenchShop } from "./place.ts";
import type { BenchShop } from "./place.ts";
import { printStatements, profiled, resetStatements } from "./profile.ts";
import { readRates } from "./reads.ts";
import { loop, paceOf, shopFor, warmUp } from "./stretch.ts";
import type { Stretch } from "./stretch.ts";

export interface PurchaseOptions {
  place: ShopPlace;
  logs: MeasuredLog[];
  seconds: number;
  repeats: number;
  shopperCounts: number[];
  profiling: boolean;
}

interface LogResult {
  /** By number of shoppers. */
  shop: Record<string, ShopResult>;
  catalogue: Record<string, number>;
  baseline: { durableCommitsPerS: { c1: number; c32: number }; purchasesPerCommit: number };
  memoryMiB: Record<string, { pss: number; rss: number }>;
  violations: number;
}

interface ShopResult extends Pace {
  looksPerPurchase: number;
  statementsPerPurchase: number;
  commitsPerPurchase: number;
  fsyncsPerPurchase: number;
  cpuMsPerPurchase: Record<string, number>;
}

/** Resolves to the results by log; prints them. */
export async function measurePurchases(options: PurchaseOptions): Promise<Record<string, LogResult>> {
  const { logs, repeats } = options;
  const results: Record<string, LogResult> = {};
  const measured = logs.map((log) => ({ log, stretches: {} as Record<string, Stretch[]>, told: [] as string[] }));
  // One shop at a time: another that only waits would still cost processor time. One log needs no turns.
  const turns = logs.length > 1 ? Array.from({ length: repeats }, (_, index) => [index + 1]) : [range(repeats)];
  for (const turn of turns) {
    for (const { log, stretches, told } of measured) {
      console.log(`\n${log.name}:`);
      const varDir = join(options.place.varDir, log.name);
      const bench = await openBenchShop({
        ...{ varDir, portOffset: options.place.portOffset, kafka: log.kafka },
        env: options.profiling ? profiled(varDir) : {},
      });
      try {
        told.push(...(await warmUp(bench, options.seconds)));
        if (options.profiling) await resetStatements(bench.database);
        for (const repeat of turn) await measureAll(bench, repeat, stretches, options);
        for (const runs of Object.values(stretches)) told.push(...runs.flatMap(({ orderIds }) => orderIds.splice(0)));
        if (options.profiling) await printStatements(bench.database);
        if (turn === turns.at(-1)) results[log.name] = await finish(bench, stretches, told, options);
      } finally {
        await bench.close();
      }
    }
  }
  for (const [name, result] of Object.entries(results)) print(name, result);
  const { embedded, Kafka } = results;
  if (embedded && Kafka) console.table(sideBySide(["embedded", "Kafka"], embedded.shop, Kafka.shop));
  return results;
}

const range = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

async function measureAll(
  bench: BenchShop,
  repeat: number,
  stretches: Record<string, Stretch[]>,
  { shopperCounts, seconds, repeats }: PurchaseOptions,
): Promise<void> {
  for (const shoppers of shopperCounts) {
    const stretch = await shopFor(bench, { shoppers, seconds, seed: repeat * 1_000 + shoppers });
    (stretches[shoppers] ??= []).push(stretch);
    console.log(
      `${repeat}/${repeats}: ${shoppers} shoppers, ${stretch.purchasesPerS.toFixed(1)} purchases/s, p50 ${stretch.placeToConfirmedP50Ms.toFixed(0)} ms`,
    );
  }
}

async function finish(
  bench: BenchShop,
  stretches: Record<string, Stretch[]>,
  told: string[],
  { seconds }: PurchaseOptions,
): Promise<LogResult> {
  const catalogue = await readRates(bench.graph, Math.min(6, seconds));
  const commits = Math.min(5, seconds);
  const durableCommitsPerS = { c1: await commitRate(bench, 1, commits), c32: await commitRate(bench, 32, commits) };
  const memory = Object.fromEntries(
    bench.processNames.map((name) => [name, memoryMiB(bench.shop.pidOf(name))] as const),
  );
  const shop = Object.fromEntries(
    Object.entries(stretches).map(([shoppers, runs]) => [shoppers, medians(runs, bench.processNames)]),
  );
  await bench.untilQuiet();
  const violations = await bench.audit(told);
  console.log(violations === 0 ? "All invariants hold." : `${violations} invariants are violated.`);
  return {
    ...{ shop, catalogue, memoryMiB: memory, violations },
    baseline: {
      durableCommitsPerS,
      purchasesPerCommit: Object.values(shop).at(-1)!.purchasesPerS / durableCommitsPerS.c32,
    },
  };
}

function medians(runs: Stretch[], processNames: string[]): ShopResult {
  const of = (read: (stretch: Stretch) => number) => median(runs.map(read));
  return {
    ...paceOf(runs),
    looksPerPurchase: of((run) => run.looksPerPurchase),
    statementsPerPurchase: of((run) => run.cost.statements),
    commitsPerPurchase: of((run) => run.cost.commits),
    fsyncsPerPurchase: of((run) => run.cost.fsyncs),
    cpuMsPerPurchase: Object.fromEntries(processNames.map((name) => [name, of((run) => run.cost.cpuMs[name] ?? 0)])),
  };
}

/** Durable single-row commits per second of this disk, with as many connections as shoppers. */
async function commitRate({ shop }: BenchShop, connections: number, seconds: number): Promise<number> {
  const clients = await Promise.all(
    Array.from({ length: connections }, async () => {
      const client = new Client({ connectionString: shop.databaseUrl("postgres") });
      await client.connect();
      return client;
    }),
  );
  await clients[0]!.query("CREATE TABLE IF NOT EXISTS public.bench_commits (id uuid PRIMARY KEY)");
  const { results, tookSeconds } = await loop(connections, seconds, (index) =>
    clients[index]!.query({
      name: "commit",
      text: "INSERT INTO public.bench_commits VALUES ($1)",
      values: [randomUUID()],
    }),
  );
  await clients[0]!.query("DROP TABLE public.bench_commits");
  await Promise.all(clients.map((client) => client.end()));
  return results.length / tookSeconds;
}

function print(name: string, { shop, catalogue, baseline, memoryMiB: memory }: LogResult): void {
  console.log(`\n${name}:`);
  console.table(
    Object.entries(shop).map(([shoppers, run]) => ({
      shoppers: Number(shoppers),
      "purchases/s": run.purchasesPerS.toFixed(1),
      "p50 ms": run.placeToConfirmedP50Ms.toFixed(0),
      "p99 ms": run.placeToConfirmedP99Ms.toFixed(0),
      looks: run.looksPerPurchase.toFixed(1),
      statements: run.statementsPerPurchase.toFixed(1),
      commits: run.commitsPerPurchase.toFixed(1),
      fsyncs: run.fsyncsPerPurchase.toFixed(1),
      "CPU ms": Object.values(run.cpuMsPerPurchase)
        .reduce((sum, ms) => sum + ms, 0)
        .toFixed(1),
    })),
  );
  const most = Object.values(shop).at(-1)!;
  console.table(
    Object.entries(memory).map(([process_, { pss, rss }]) => ({
      process: process_,
      "PSS MiB": pss.toFixed(0),
      "RSS MiB": rss.toFixed(0),
      "CPU ms a purchase": most.cpuMsPerPurchase[process_]!.toFixed(2),
    })),
  );
  const { listPerS, detailPerS, searchPerS } = catalogue;
  console.log(
    `Catalogue at 8 readers: list ${listPerS?.toFixed(0)}/s, detail ${detailPerS?.toFixed(0)}/s, search ${searchPerS?.toFixed(0)}/s`,
  );
  const { durableCommitsPerS, purchasesPerCommit } = baseline;
  console.log(
    `Baseline: ${durableCommitsPerS.c1.toFixed(0)} durable single-row commits/s on 1 connection, ${durableCommitsPerS.c32.toFixed(0)} on 32; purchases with most shoppers are ${purchasesPerCommit.toFixed(3)} of that`,
  );
}
