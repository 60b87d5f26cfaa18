/** A stretch of a benchmark: shoppers who buy without thinking, for some seconds. */
import { costBetween, readCost } from "./cost.ts";
import type { Cost } from "./cost.ts";
import { median, percentile } from "./figures.ts";
import type { Pace } from "./figures.ts";
import type { BenchShop } from "./place.ts";
import { purchase, seeded, zipf } from "./shopper.ts";

export interface Stretch extends Pace {
  /** What clients were told was placed. */
  orderIds: string[];
  looksPerPurchase: number;
  cost: Cost;
}

/** Runs `count` loops for some seconds; resolves to what they did and how long it took. */
export async function loop<Result>(
  count: number,
  forSeconds: number,
  work: (index: number) => Promise<Result>,
): Promise<{ results: Result[]; tookSeconds: number }> {
  const results: Result[] = [];
  const startMs = performance.now();
  const untilMs = startMs + forSeconds * 1_000;
  await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      while (performance.now() < untilMs) results.push(await work(index));
    }),
  );
  return { results, tookSeconds: (performance.now() - startMs) / 1_000 };
}

/** What a seed's shoppers buy: two articles each time. */
export function twoOf(skuIds: string[], seed: number): () => [string, string] {
  const pick = zipf(skuIds.length, seeded(seed));
  return () => {
    const first = pick();
    let second = pick();
    while (second === first) second = pick();
    return [skuIds[first]!, skuIds[second]!];
  };
}

/** So many new shoppers buy for so many seconds. */
export async function shopFor(
  bench: BenchShop,
  { shoppers, seconds, seed }: { shoppers: number; seconds: number; seed: number },
): Promise<Stretch> {
  const tokens = await bench.shoppers(shoppers);
  const choose = twoOf(bench.skuIds, seed);
  const sources = bench.costSources();
  const before = await readCost(sources);
  const { results, tookSeconds } = await loop(shoppers, seconds, (index) =>
    purchase(bench.graph, tokens[index]!, choose()),
  );
  const after = await readCost(sources);
  const latencies = results.map(({ placeToConfirmedMs }) => placeToConfirmedMs);
  return {
    orderIds: results.map(({ orderId }) => orderId),
    purchasesPerS: results.length / tookSeconds,
    placeToConfirmedP50Ms: percentile(latencies, 0.5),
    placeToConfirmedP99Ms: percentile(latencies, 0.99),
    looksPerPurchase: results.reduce((sum, { looks }) => sum + looks, 0) / results.length,
    cost: costBetween(before, after, results.length),
  };
}

/** Runs until code that is used has been compiled and caches are filled. */
export async function warmUp(bench: BenchShop, seconds: number): Promise<string[]> {
  console.log("Warming up …");
  const told: string[] = [];
  for (const shoppers of [8, 32]) told.push(...(await shopFor(bench, { shoppers, seconds, seed: shoppers })).orderIds);
  return told;
}

/** The median of each figure. */
export function paceOf(runs: Pace[]): Pace {
  const of = (read: (run: Pace) => number) => median(runs.map(read));
  return {
    purchasesPerS: of((run) => run.purchasesPerS),
    placeToConfirmedP50Ms: of((run) => run.placeToConfirmedP50Ms),
    placeToConfirmedP99Ms: of((run) => run.placeToConfirmedP99Ms),
  };
}
