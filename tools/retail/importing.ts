/** Brings a file's articles, stock and customers into the shop, through the graph. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Problem } from "../environment.ts";
import { countryCodeOf } from "./countries.ts";
import { findOrders, findSkus, findStock } from "./ledgers.ts";
import type { Ledgers } from "./ledgers.ts";
import type { CustomerPlan, Plan, ProductPlan } from "./plan.ts";
import type { Progress } from "./progress.ts";
import type { Answer, Staff } from "./staff.ts";

const importProducts = `mutation ImportProducts($input: ImportProductsInput!) { importProducts(input: $input) { __typename ... on ProductsImported { created } ... on Problem { message } } }`;
const moveStock = `mutation MoveStock($input: MoveStockInput!) { moveStock(input: $input) { __typename ... on Problem { message } } }`;
const importCustomers = `mutation ImportCustomers($input: ImportCustomersInput!) { importCustomers(input: $input) { __typename ... on CustomersImported { added } ... on Problem { message } } }`;

const pageSize = 250;
const longestName = 200;
const catalogueWaitMs = 120_000;

export interface Importing {
  staff: Staff;
  ledgers: Ledgers;
  stop: AbortSignal;
  progress(what: string, total: number): Progress;
}

/** Creates the articles that are not there yet, with the stock that the file's sales take. Resolves to how many. */
export async function bringProducts({ staff, stop, progress }: Importing, products: ProductPlan[]): Promise<number> {
  const line = progress("articles", products.length);
  let created = 0;
  for (const page of pagesOf(products)) {
    stop.throwIfAborted();
    const input = { products: page.map(productInput) };
    const answer = expect(await staff.mutate(importProducts, input), "ProductsImported");
    created += answer["created"] as number;
    line.tick(page.length);
  }
  line.end();
  return created;
}

function productInput({ code, name, priceMinor, sold }: ProductPlan) {
  return {
    code,
    name: name.slice(0, longestName),
    prices: priceMinor === null ? [] : [{ currency: "GBP", amountMinor: priceMinor }],
    stock: sold,
  };
}

/**
 * Receives what is missing of articles that were there before: the units of the file's invoices that are no orders yet,
 * less what nobody has reserved. Resolves to how many articles were short.
 */
export async function coverSales({ staff, ledgers, stop, progress }: Importing, plan: Plan): Promise<number> {
  const orders = await findOrders(
    ledgers,
    plan.orders.map(({ reference }) => reference),
  );
  const needed = new Map<string, number>();
  for (const { reference, lines } of plan.orders) {
    // What is PENDING has reserved nothing yet; what came to nothing will be ordered again.
    if (!["PENDING", "REJECTED", "CANCELLED"].includes(orders.get(reference)?.status ?? "PENDING")) continue;
    for (const { code, quantity } of lines) needed.set(code, (needed.get(code) ?? 0) + quantity);
  }
  const stock = await findStock(ledgers, plan);
  const short = [...needed].flatMap(([code, units]) => {
    const { skuId, available } = stock.get(code)!;
    return units > available ? [{ skuId, quantity: units - available }] : [];
  });
  if (short.length === 0) return 0;
  const [location] = await ledgers.many<{ code: string }>(
    `SELECT code FROM inventory.locations ORDER BY id LIMIT 1`,
    [],
  );
  const line = progress("receipts", short.length);
  for (const { skuId, quantity } of short) {
    stop.throwIfAborted();
    const input = { idempotencyKey: randomUUID(), skuId, location: location!.code, quantity, reason: "RECEIPT" };
    expect(await staff.mutate(moveStock, input), "StockMoved");
    line.tick();
  }
  line.end();
  return short.length;
}

/** Creates the customers that are not there yet; the file knows their numbers and countries alone. Resolves to how many. */
export async function bringCustomers({ staff, stop, progress }: Importing, customers: CustomerPlan[]): Promise<number> {
  const line = progress("customers", customers.length);
  let added = 0;
  for (const page of pagesOf(customers)) {
    stop.throwIfAborted();
    const input = {
      customers: page.map(({ number, country }) => ({
        externalReference: number,
        name: `Customer ${number}`,
        country: countryCodeOf(country) ?? null,
      })),
    };
    added += expect(await staff.mutate(importCustomers, input), "CustomersImported")["added"] as number;
    line.tick(page.length);
  }
  line.end();
  return added;
}

/** Waits until orders knows all articles, so that they can be ordered. Throws a Problem where that does not come. */
export async function untilOrderable({ ledgers, stop }: Importing, plan: Plan): Promise<void> {
  const giveUpAt = performance.now() + catalogueWaitMs;
  for (;;) {
    const { size } = await findSkus(ledgers, plan);
    const missing = plan.products.length - size;
    if (missing === 0) return;
    if (performance.now() > giveUpAt)
      throw new Problem(
        `After ${catalogueWaitMs / 1000} s orders does not know ${missing} of the articles: see make status and make parked.`,
      );
    await sleep(200, undefined, { signal: stop });
  }
}

function expect(answer: Answer, typename: string): Answer {
  if (answer.__typename !== typename) throw new Problem(`The shop refused (${answer.__typename}): ${answer.message}`);
  return answer;
}

function pagesOf<Item>(items: Item[]): Item[][] {
  return Array.from({ length: Math.ceil(items.length / pageSize) }, (_, page) =>
    items.slice(page * pageSize, (page + 1) * pageSize),
  );
}
