/** A shop of the benchmark's own, with a catalogue to buy from. */
import { randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { auditShop } from "@crowdcrunch/auditor/audit";
import { fullOutboxes } from "@crowdcrunch/kit/eventlog-postgres/going-over";
import { serviceNames } from "@crowdcrunch/shop/parts";
import { openGraph } from "@crowdcrunch/shopper/client";
import { operatorToken } from "../operator.ts";
import type { GraphClient } from "@crowdcrunch/shopper/client";
import { Problem } from "../environment.ts";
import { openShopLog } from "../event-log.ts";
import { kafka as broker } from "../kafka/shop-kafka.ts";
import { auditor, gateway, postgres, provider, services } from "../processes.ts";
import { startShop } from "../shop.ts";
import type { RunningShop, ShopOptions } from "../shop.ts";
import type { CostSources } from "./cost.ts";

/** Besides events: what is asked of the provider, its callbacks, and mails. */
const underWay = `SELECT ((SELECT count(*) FROM payments.operations WHERE status IN ('PENDING', 'UNKNOWN'))
  + (SELECT count(*) FROM provider.callbacks WHERE delivered_at IS NULL)
  + (SELECT count(*) FROM customers.mails WHERE state = 'QUEUED'))::int AS count`;

export interface BenchShop {
  shop: RunningShop;
  graph: GraphClient;
  /** As superuser. */
  database: Client;
  /** What is sold, the best-selling first. */
  skuIds: string[];
  /** All processes, Postgres and the broker included. */
  processNames: string[];
  /** Tokens of new shoppers; they live ten minutes. */
  shoppers(count: number): Promise<string[]>;
  /** Where costs are read; processes may have other pids the next time. */
  costSources(): CostSources;
  /** Resolves when nothing is on its way any more. Throws where that takes longer than two minutes. */
  untilQuiet(): Promise<void>;
  /** After quiet; prints what is violated and resolves to how many invariants are. */
  audit(acknowledgedIds: string[], options?: { quiet?: boolean }): Promise<number>;
  close(): Promise<void>;
}

const skuCount = 2_400;
const quietPatienceMs = 120_000;
/** Whoever measures has the time. */
export const startPatienceMs = 600_000;

/** Starts the shop in this folder, which it may have been started in before. */
export async function openBenchShop(options: ShopOptions): Promise<BenchShop> {
  mkdirSync(options.varDir, { recursive: true });
  const shop = await startShop({ ...options, timeoutMs: startPatienceMs, say: console.log });
  const graph = openGraph(shop.graphUrl, { connections: 64 });
  const database = new Client({ connectionString: shop.databaseUrl("postgres") });
  const processNames = [
    ...[gateway, ...services, provider, auditor, postgres].map(({ name }) => name as string),
    ...(shop.kafka === true ? [broker.name] : []),
  ];

  async function close(): Promise<void> {
    await database.end();
    await graph.close();
    await shop.stop();
  }

  async function isQuiet(log: Awaited<ReturnType<typeof openShopLog>>): Promise<boolean> {
    const [outboxes, lags, { rows }] = await Promise.all([
      fullOutboxes(database, serviceNames),
      log.lags(),
      database.query<{ count: number }>(underWay),
    ]);
    return outboxes.length === 0 && lags.every(({ events }) => events === 0) && rows[0]!.count === 0;
  }

  try {
    await database.connect();
    const skuIds = await catalogue(graph, shop, database);
    return {
      ...{ shop, graph, database, skuIds, processNames, close },
      shoppers: (count) =>
        Promise.all(
          Array.from({ length: count }, () => operatorToken(shop.varDir, { sub: randomUUID(), roles: ["GUEST"] })),
        ),
      costSources: () => ({
        pids: Object.fromEntries(processNames.map((name) => [name, shop.pidOf(name)])),
        metricsUrls: services.map((service) => shop.metricsUrl(service)),
        database,
      }),
      async untilQuiet() {
        const log = await openShopLog(shop);
        try {
          const giveUpAt = performance.now() + quietPatienceMs;
          for (let calm = 0; calm < 3;) {
            calm = (await isQuiet(log)) ? calm + 1 : 0;
            if (performance.now() > giveUpAt) throw new Problem("The shop did not come to rest within two minutes.");
            await sleep(300);
          }
        } finally {
          await log.close();
        }
      },
      audit: (acknowledgedIds, { quiet = true } = {}) =>
        auditShop({
          url: shop.databaseUrl("auditor"),
          env: shop.eventLogEnvironment,
          windowSeconds: 0,
          acknowledged: acknowledgedIds.map((id) => ({ id })),
          say: console.log,
          quiet,
        }),
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** 2,400 articles with stock that no run exhausts, through the graph as an importer would. */
async function catalogue(graph: GraphClient, shop: RunningShop, database: Client): Promise<string[]> {
  const known = async () => {
    const sql = `SELECT s.id FROM inventory.skus s JOIN orders.catalogue_skus c ON c.sku_id = s.id
      WHERE s.code LIKE 'BENCH-%' ORDER BY length(s.code), s.code`;
    return (await database.query<{ id: string }>(sql)).rows.map(({ id }) => id);
  };
  const skuIds = await known();
  if (skuIds.length === skuCount) return skuIds;
  console.log(`Filling the catalogue with ${skuCount} articles …`);
  const token = await operatorToken(shop.varDir);
  const adjectives = ["Blue", "Green", "Small", "Tall", "Oak", "Glass", "Woollen", "Enamel", "Striped", "Plain"];
  const nouns = ["mug", "lamp", "basket", "notebook", "scarf", "kettle", "frame", "stool", "apron", "lantern"];
  const importProducts = `mutation Import($input: ImportProductsInput!) { importProducts(input: $input) { __typename ... on Problem { message } } }`;
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
  }
  const giveUpAt = performance.now() + quietPatienceMs;
  for (;;) {
    const imported = await known();
    if (imported.length === skuCount) return imported;
    if (performance.now() > giveUpAt) throw new Problem("Orders did not hear of the catalogue within two minutes.");
    await sleep(200);
  }
}
