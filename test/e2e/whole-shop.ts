import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { GraphFailure, openGraph } from "@crowdcrunch/shopper/client";
import { operatorToken } from "@crowdcrunch/tools/operator";
import type { GraphClient } from "@crowdcrunch/shopper/client";
import type { KafkaChoice } from "@crowdcrunch/tools/kafka/shop-kafka";
import { shopAddresses } from "@crowdcrunch/tools/processes";
import type { ShopAddresses } from "@crowdcrunch/tools/processes";
import { startShop, stopShop } from "@crowdcrunch/tools/shop";
import type { RunningShop } from "@crowdcrunch/tools/shop";
import { Pool } from "pg";

export const shipTo = {
  name: "Ada Archer",
  line1: "12 High Street",
  city: "York",
  postalCode: "YO1 7HH",
  countryCode: "GB",
};

/** A shop of separate processes in a folder of its own, spoken to through its gateway. */
export interface WholeShop {
  shop: RunningShop;
  graph: GraphClient;
  /** The database as the auditor: reads everything. */
  books: Pool;
  /** Of a member of staff; another every few minutes. */
  readonly staff: string;
  /** A new article that the shop sells, of which so many units are there. */
  article(units: number, amountMinor?: number): Promise<Article>;
  /** A new article to download. */
  download(amountMinor?: number): Promise<Article>;
  /** A shopper who has signed in, without the way there. */
  shopper(): Promise<Shopper>;
  /** Stops all processes, and removes their data where nobody gave a folder for them. */
  stop(): Promise<void>;
}

export interface Article {
  skuId: string;
  productId: string;
  amountMinor: number;
  /** The version of its price in orders, when it was made. */
  priceVersion: number;
}

export interface Shopper {
  id: string;
  token: string;
  email: string;
}

/** Further variables by process. */
export type Variables = Record<string, Record<string, string>>;

/** Starts all of a shop, by default on the embedded log. `env` has further variables, which may depend on its addresses. */
export async function openShop(options: {
  portOffset: number;
  /** A folder that is there before and after it; where not given, one that is removed with it. */
  varDir?: string;
  kafka?: KafkaChoice;
  /** Only these of its processes; all where not given. */
  processes?: string[];
  env?: Variables | ((addresses: ShopAddresses) => Variables);
}): Promise<WholeShop> {
  const { portOffset, kafka = false, processes } = options;
  const varDir = options.varDir ?? (await mkdtemp(join(tmpdir(), "crowdcrunch-shop-")));
  const removeAll = async () => {
    await stopShop({ varDir });
    if (options.varDir === undefined) await rm(varDir, { recursive: true, force: true });
  };
  const env =
    typeof options.env === "function" ? options.env(await shopAddresses({ varDir, portOffset })) : (options.env ?? {});
  const shop = await startShop({ varDir, portOffset, kafka, env, ...(processes ? { processes } : {}) }).catch(
    async (error: unknown) => {
      await removeAll();
      throw error;
    },
  );
  const graph = openGraph(shop.graphUrl, { connections: 64 });
  const books = new Pool({ connectionString: shop.databaseUrl("auditor"), max: 4 });
  // Postgres may be killed under it.
  books.on("error", () => {});
  let staff = await operatorToken(varDir);
  // A token lives for ten minutes, and tests may take longer.
  const renewal = setInterval(() => void operatorToken(varDir).then((token) => (staff = token)), 240_000);

  return {
    shop,
    graph,
    books,
    get staff() {
      return staff;
    },
    ...openShelves(graph, books, () => operatorToken(varDir)),
    async shopper() {
      const id = randomUUID();
      return { id, token: await operatorToken(varDir, { sub: id, roles: ["SHOPPER"] }), email: `${id}@example.com` };
    },
    async stop() {
      clearInterval(renewal);
      await Promise.all([graph.close(), books.end()]);
      await removeAll();
    },
  };
}

/** What puts new goods on the shelves, as staff; the database says when orders knows their price. */
export function openShelves(
  graph: GraphClient,
  books: Pool,
  staffToken: () => Promise<string>,
): Pick<WholeShop, "article" | "download"> {
  async function sell(skuId: string, productId: string, amountMinor: number): Promise<Article> {
    const known = `SELECT price_version FROM orders.catalogue_skus WHERE sku_id = $1`;
    const row = await until("the price in orders", async () => (await books.query(known, [skuId])).rows[0]);
    return { skuId, productId, amountMinor, priceVersion: row.price_version };
  }

  return {
    async article(units, amountMinor = 1_250) {
      const code = randomUUID();
      const product = { code, name: `Mug ${code}`, prices: [{ currency: "GBP", amountMinor }], stock: units };
      const selection = "... on ProductsImported { products { id skus { id } } }";
      const answer = await act(graph, "importProducts", await staffToken(), { products: [product] }, selection);
      const [made] = answer.products;
      return sell(made.skus[0].id, made.id, amountMinor);
    },
    async download(amountMinor = 899) {
      const code = randomUUID();
      const input = {
        slug: `book-${code}`,
        name: `Book ${code}`,
        description: "Words.",
        skus: [{ code, digital: true, prices: [{ currency: "GBP", amountMinor }] }],
      };
      const selection = "... on ProductSaved { product { id skus { id } } }";
      const { product } = await act(graph, "saveProduct", await staffToken(), input, selection);
      return sell(product.skus[0].id, product.id, amountMinor);
    },
  };
}

/** Starts one of its processes again, with these variables on top of the shop's, and waits until all are ready. */
export async function startAgain({ shop }: WholeShop, name: string, env: Record<string, string>): Promise<void> {
  const isDown = async () => {
    try {
      return shop.pidOf(name) === undefined;
    } catch {
      return true;
    }
  };
  shop.order({ stop: name, signal: "SIGTERM" });
  await until(`the end of ${name}`, isDown);
  shop.order({ start: name, env });
  await shop.untilReady();
}

/** A mutation's answer; tests read its fields without types. */
export interface Answer {
  __typename: string;
  message?: string;
  [field: string]: any;
}

const inputTypes: Record<string, string> = { recordDelivery: "ShipmentInput", reportLost: "ShipmentInput" };

/** Does a mutation with one input and gives its answer, whichever member of the union it is. */
export async function tell(
  graph: GraphClient,
  mutation: string,
  token: string | undefined,
  input: Record<string, unknown>,
  selection = "",
): Promise<Answer> {
  const type = inputTypes[mutation] ?? `${mutation[0]!.toUpperCase()}${mutation.slice(1)}Input`;
  const query = `mutation Do($input: ${type}!) { ${mutation}(input: $input) { __typename ... on Problem { message } ${selection} } }`;
  return (await graph.ask<Record<string, Answer>>(query, { input }, token))[mutation]!;
}

/** As `tell`, where only success is expected. */
export async function act(...call: [...Parameters<typeof tell>]): Promise<Answer> {
  const answer = await tell(...call);
  if (answer.message !== undefined) throw new Error(`${call[1]} answers ${answer.__typename}: ${answer.message}`);
  return answer;
}

const patienceMs = 30_000;

/** Looks until there is something; what the graph cannot answer yet counts as nothing. */
export async function until<Seen>(what: string, look: () => Promise<Seen>): Promise<NonNullable<Exclude<Seen, false>>> {
  const giveUpAtMs = performance.now() + patienceMs;
  for (;;) {
    const seen = await look().catch((error: unknown) => {
      if (error instanceof GraphFailure) return undefined;
      throw error;
    });
    if (seen !== false && seen != null) return seen as NonNullable<Exclude<Seen, false>>;
    if (performance.now() > giveUpAtMs) throw new Error(`${what} did not come within ${patienceMs / 1_000} s`);
    await sleep(40);
  }
}
