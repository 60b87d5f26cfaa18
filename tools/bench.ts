/**
 * `make bench`: closed-loop shoppers through the gateway of a shop of its own, in separate processes with fsync on.
 * BENCH_SECONDS (per stretch, 15) and BENCH_REPEATS (3) change how long it takes. Prints a table and writes
 * var/bench.json; the invariants are checked afterwards. BENCH_PROFILE=1 leaves a processor profile of each process in
 * var/bench/profile, to be opened in a browser's developer tools, and prints the statements that cost most.
 */
import { randomUUID } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { auditShop } from "@crowdcrunch/auditor/audit";
import { costBetween, memoryMiB, readCost } from "./bench/cost.ts";
import type { Cost, CostSources } from "./bench/cost.ts";
import { printStatements, profiled, resetStatements } from "./bench/profile.ts";
import { purchase, seeded, zipf } from "./bench/shopper.ts";
import { openGraph, operatorToken } from "./client.ts";
import type { GraphClient } from "./client.ts";
import { Problem, main, shopPlace } from "./environment.ts";
import { chosenKafka, kafka as broker } from "./kafka/shop-kafka.ts";
import { provider, services } from "./processes.ts";
import { startShop } from "./shop.ts";
import type { RunningShop } from "./shop.ts";

const seconds = Number(process.env.BENCH_SECONDS ?? 15);
const repeats = Number(process.env.BENCH_REPEATS ?? 3);
const skuCount = 2_400;
const shopperCounts = (process.env.BENCH_SHOPPERS ?? "1,8,32").split(",").map(Number);
const profiling = process.env.BENCH_PROFILE === "1";

/** KAFKA=1 and KAFKA_BROKERS as for make up. */
const kafka = chosenKafka();
const processNames = [
  ...["gateway", ...services.map(({ name }) => name), provider.name, "postgres"],
  ...(kafka === true ? [broker.name] : []),
];

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function percentile(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** 2,400 articles with stock that no run exhausts, through the graph as an importer would. */
async function fillCatalogue(graph: GraphClient, shop: RunningShop): Promise<string[]> {
  const token = await operatorToken(shop.varDir);
  const adjectives = ["Blue", "Green", "Small", "Tall", "Oak", "Glass", "Woollen", "Enamel", "Striped", "Plain"];
  const nouns = ["mug", "lamp", "basket", "notebook", "scarf", "kettle", "frame", "stool", "apron", "lantern"];
  const importProducts = `mutation Import($input: ImportProductsInput!) { importProducts(input: $input) { __typename ... on ProductsImported { products { skus { id } } } ... on Problem { message } } }`;
  const skuIds: string[] = [];
  for (let from = 0; from < skuCount; from += 300) {
    const products = Array.from({ length: 300 }, (_, index) => {
      const number = from + index;
      const name = `${adjectives[number % 10]} ${nouns[Math.floor(number / 10) % 10]} no. ${number}`;
      return {
        code: `BENCH-${number}`,
        name,
        prices: [{ currency: "GBP", amountMinor: 500 + ((number * 37) % 4_000) }],
        stock: 10_000_000,
      };
    });
    const { importProducts: answer } = await graph.ask(importProducts, { input: { products } }, token);
    if (answer.__typename !== "ProductsImported")
      throw new Problem(`The catalogue could not be filled: ${answer.message}`);
    for (const product of answer.products) skuIds.push(product.skus[0].id);
  }
  return skuIds;
}

/** Runs `count` loops for some seconds; resolves to what they did and how long it took. */
async function loop<Result>(
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

/** Durable single-row commits per second of this disk, with as many connections as shoppers. */
async function commitRate(shop: RunningShop, connections: number): Promise<number> {
  const clients = await Promise.all(
    Array.from({ length: connections }, async () => {
      const client = new Client({ connectionString: shop.databaseUrl("postgres") });
      await client.connect();
      return client;
    }),
  );
  await clients[0]!.query("CREATE TABLE IF NOT EXISTS public.bench_commits (id uuid PRIMARY KEY)");
  const { results, tookSeconds } = await loop(connections, Math.min(5, seconds), (index) =>
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

interface Stretch {
  /** What clients were told was placed. */
  orderIds: string[];
  purchasesPerS: number;
  placeToConfirmedP50Ms: number;
  placeToConfirmedP99Ms: number;
  looksPerPurchase: number;
  cost: Cost;
}

async function shopFor(
  graph: GraphClient,
  tokens: string[],
  skuIds: string[],
  sources: CostSources,
  shoppers: number,
  seed: number,
): Promise<Stretch> {
  const random = seeded(seed);
  const pick = zipf(skuIds.length, random);
  const twoSkus = (): [string, string] => {
    const first = pick();
    let second = pick();
    while (second === first) second = pick();
    return [skuIds[first]!, skuIds[second]!];
  };
  const before = await readCost(sources);
  const { results, tookSeconds } = await loop(shoppers, seconds, (index) => purchase(graph, tokens[index]!, twoSkus()));
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

const reads = {
  list: {
    query: `query List { products(first: 20) { nodes { id name skus { id price(currency: "GBP") { amountMinor } availability } } } }`,
  },
  detail: {
    query: `query Detail($slug: String!) { product(slug: $slug) { id name description skus { id code price(currency: "GBP") { amountMinor } availability } } }`,
  },
  search: {
    query: `query Search($text: String!) { products(matching: { text: $text }, first: 20) { nodes { id name } } }`,
  },
};

async function readRates(graph: GraphClient): Promise<Record<string, number>> {
  const { products } = await graph.ask(`query Slugs { products(first: 100) { nodes { slug } } }`);
  const slugs = (products.nodes as { slug: string }[]).map(({ slug }) => slug);
  const words = ["blue mug", "oak lamp", "striped scarf", "kettle", "glas lantern", "enamel"];
  let turn = 0;
  const rates: Record<string, number> = {};
  for (const [name, { query }] of Object.entries(reads)) {
    const { results, tookSeconds } = await loop(8, Math.min(6, seconds), () => {
      turn += 1;
      const variables =
        name === "detail"
          ? { slug: slugs[turn % slugs.length] }
          : name === "search"
            ? { text: words[turn % words.length] }
            : {};
      return graph.ask(query, variables);
    });
    rates[`${name}PerS`] = results.length / tookSeconds;
  }
  return rates;
}

await main(async () => {
  const place = shopPlace();
  const varDir = join(place.varDir, "bench");
  rmSync(varDir, { recursive: true, force: true });
  mkdirSync(varDir, { recursive: true });
  const shop = await startShop({
    varDir,
    portOffset: place.portOffset + 700,
    kafka,
    say: console.log,
    env: profiling ? profiled(varDir) : {},
  });
  const graph = openGraph(shop.graphUrl, { connections: 64 });
  const database = new Client({ connectionString: shop.databaseUrl("postgres") });
  await database.connect();
  try {
    console.log(`Filling the catalogue with ${skuCount} articles …`);
    const skuIds = await fillCatalogue(graph, shop);
    const tokens = async () =>
      Promise.all(
        Array.from({ length: Math.max(...shopperCounts) }, () =>
          operatorToken(varDir, { sub: randomUUID(), roles: ["GUEST"] }),
        ),
      );
    const sources: CostSources = {
      pids: Object.fromEntries(processNames.map((name) => [name, shop.pidOf(name)])),
      metricsUrls: services.map((service) => shop.metricsUrl(service)),
      database,
    };
    console.log("Warming up …");
    const warm = await tokens();
    for (const shoppers of [8, 32]) await shopFor(graph, warm, skuIds, sources, shoppers, shoppers);

    if (profiling) await resetStatements(database);
    const stretches: Record<string, Stretch[]> = {};
    for (let repeat = 1; repeat <= repeats; repeat++) {
      for (const shoppers of shopperCounts) {
        const stretch = await shopFor(graph, await tokens(), skuIds, sources, shoppers, repeat * 1_000 + shoppers);
        (stretches[`c${shoppers}`] ??= []).push(stretch);
        console.log(
          `${repeat}/${repeats}: ${shoppers} shoppers, ${stretch.purchasesPerS.toFixed(1)} purchases/s, p50 ${stretch.placeToConfirmedP50Ms.toFixed(0)} ms`,
        );
      }
    }
    if (profiling) await printStatements(database);
    const rates = await readRates(graph);
    const commitsPerS = { c1: await commitRate(shop, 1), c32: await commitRate(shop, 32) };
    const memory = Object.fromEntries(processNames.map((name) => [name, memoryMiB(shop.pidOf(name))]));

    const of = (runs: Stretch[], read: (stretch: Stretch) => number) => median(runs.map(read));
    const shopResult = Object.fromEntries(
      Object.entries(stretches).map(([name, runs]) => [
        name,
        {
          purchasesPerS: of(runs, (run) => run.purchasesPerS),
          placeToConfirmedP50Ms: of(runs, (run) => run.placeToConfirmedP50Ms),
          placeToConfirmedP99Ms: of(runs, (run) => run.placeToConfirmedP99Ms),
          looksPerPurchase: of(runs, (run) => run.looksPerPurchase),
          statementsPerPurchase: of(runs, (run) => run.cost.statements),
          commitsPerPurchase: of(runs, (run) => run.cost.commits),
          fsyncsPerPurchase: of(runs, (run) => run.cost.fsyncs),
          cpuMsPerPurchase: Object.fromEntries(
            processNames.map((process_) => [process_, of(runs, (run) => run.cost.cpuMs[process_] ?? 0)]),
          ),
        },
      ]),
    );
    const best = Object.values(shopResult).at(-1)!;
    const result = {
      machine: {
        cpu: cpus()[0]?.model,
        cores: cpus().length,
        memoryGiB: Math.round(totalmem() / 2 ** 30),
        node: process.version,
      },
      seconds,
      repeats,
      confirmedSeenBy: "polling the order through the gateway, first after 50 ms, then every 30 ms",
      shop: shopResult,
      catalogue: rates,
      baseline: { durableCommitsPerS: commitsPerS, purchasesPerCommit: best.purchasesPerS / commitsPerS.c32 },
      memoryMiB: memory,
    };
    mkdirSync(place.varDir, { recursive: true });
    writeFileSync(join(place.varDir, "bench.json"), `${JSON.stringify(result, null, 2)}\n`);
    print(result);
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const told = Object.values(stretches).flatMap((runs) => runs.flatMap(({ orderIds }) => orderIds));
    const violations = await auditShop({
      url: shop.databaseUrl("auditor"),
      env: shop.eventLogEnvironment,
      windowSeconds: 0,
      acknowledged: told.map((id) => ({ id })),
      say: console.log,
      quiet: true,
    });
    console.log(violations === 0 ? "All invariants hold." : `${violations} invariants are violated.`);
    if (violations > 0) process.exitCode = 1;
  } finally {
    await database.end();
    await graph.close();
    await shop.stop();
  }
});

function print(result: {
  machine: Record<string, unknown>;
  shop: Record<string, Record<string, any>>;
  catalogue: Record<string, number>;
  baseline: any;
  memoryMiB: Record<string, { pss: number; rss: number }>;
}): void {
  console.log(
    `\n${result.machine["cores"]} × ${result.machine["cpu"]}, ${result.machine["memoryGiB"]} GiB, Node ${result.machine["node"]}; driver and Postgres on the same cores, fsync on`,
  );
  const rows = Object.entries(result.shop).map(([name, run]) => ({
    shoppers: Number(name.slice(1)),
    "purchases/s": run["purchasesPerS"].toFixed(1),
    "p50 ms": run["placeToConfirmedP50Ms"].toFixed(0),
    "p99 ms": run["placeToConfirmedP99Ms"].toFixed(0),
    looks: run["looksPerPurchase"].toFixed(1),
    statements: run["statementsPerPurchase"].toFixed(1),
    commits: run["commitsPerPurchase"].toFixed(1),
    fsyncs: run["fsyncsPerPurchase"].toFixed(1),
    "CPU ms": Object.values(run["cpuMsPerPurchase"] as Record<string, number>)
      .reduce((sum, ms) => sum + ms, 0)
      .toFixed(1),
  }));
  console.table(rows);
  console.table(
    Object.keys(result.memoryMiB).map((name) => ({
      process: name,
      "PSS MiB": result.memoryMiB[name]!.pss.toFixed(0),
      "RSS MiB": result.memoryMiB[name]!.rss.toFixed(0),
      "CPU ms a purchase": (Object.values(result.shop).at(-1)!["cpuMsPerPurchase"][name] as number).toFixed(2),
    })),
  );
  const { listPerS, detailPerS, searchPerS } = result.catalogue;
  console.log(
    `Catalogue at 8 readers: list ${listPerS?.toFixed(0)}/s, detail ${detailPerS?.toFixed(0)}/s, search ${searchPerS?.toFixed(0)}/s`,
  );
  const { durableCommitsPerS, purchasesPerCommit } = result.baseline;
  console.log(
    `Baseline: ${durableCommitsPerS.c1.toFixed(0)} durable single-row commits/s on 1 connection, ${durableCommitsPerS.c32.toFixed(0)} on 32; purchases at 32 are ${purchasesPerCommit.toFixed(3)} of that`,
  );
}
