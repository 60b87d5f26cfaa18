/** What the rows of an Online Retail file mean for a shop: articles, customers, orders, returns. Pure. */
import { isCancellation, isGoods } from "./goods.ts";
import type { Row } from "./rows.ts";

export interface ProductPlan {
  code: string;
  name: string;
  /** The price of the last sale, in pence; null where the file has none. */
  priceMinor: number | null;
  /** Units that the file's sales take out of stock: what receipts must cover. */
  sold: number;
}

export interface CustomerPlan {
  number: string;
  country: string;
}

export interface OrderLinePlan {
  code: string;
  quantity: number;
  unitMinor: number;
}

export interface OrderPlan {
  /** The invoice's number; of an invoice with more lines than an order may have "573585/2" and so on for the others. */
  reference: string;
  invoice: string;
  /** Empty for a guest. */
  customer: string;
  country: string;
  lines: OrderLinePlan[];
}

/** What one cancellation line takes back of one order. */
export interface ReturnPlan {
  /** Cancellation and number of its line: "C536379/1". A line may take back of several orders. */
  reference: string;
  orderReference: string;
  /** Position of the order's line, from 0, and units. */
  lines: { position: number; quantity: number }[];
}

/** A line of a cancellation about goods, matched or not. */
export interface CancellationLinePlan {
  /** Cancellation and number of its line: "C536379/1". */
  reference: string;
  quantity: number;
}

export interface Plan {
  products: ProductPlan[];
  customers: CustomerPlan[];
  orders: OrderPlan[];
  returns: ReturnPlan[];
  cancellationLines: CancellationLinePlan[];
}

/** What an order takes at most; see placeOrder. */
const linesAtMost = 1_000;

/** A line that was bought, with the units that have not come back. */
interface Purchase {
  invoice: string;
  index: number;
  left: number;
}

interface Invoice {
  customer: string;
  country: string;
  lines: OrderLinePlan[];
}

/**
 * Takes rows in the file's order and makes the plan of them. Sales are the lines of invoices without C with quantity and
 * price above zero; a return is the part of a C line that the same customer bought earlier and has not returned yet,
 * the latest purchase first.
 */
export function createPlanner(): { add(row: Row): void; plan(): Plan } {
  const products = new Map<string, Article>();
  const customers = new Map<string, CustomerPlan>();
  const invoices = new Map<string, Invoice>();
  const purchases = new Map<string, Purchase[]>();
  const linesOfCancellation = new Map<string, number>();
  const returns: ReturnPlan[] = [];
  const cancellationLines: CancellationLinePlan[] = [];

  function sell(row: Row, unitMinor: number): void {
    const invoice = upsert(invoices, row.invoice, () => ({
      customer: row.customer,
      country: row.country,
      lines: [],
    }));
    invoice.lines.push({ code: row.code, quantity: row.quantity, unitMinor });
    if (row.customer === "") return;
    upsert(purchases, purchaseKey(row), () => [] as Purchase[]).push({
      invoice: row.invoice,
      index: invoice.lines.length - 1,
      left: row.quantity,
    });
  }

  function takeBack(row: Row, number: number): void {
    const reference = `${row.invoice}/${number}`;
    const quantity = -row.quantity;
    cancellationLines.push({ reference, quantity });
    const byOrder = new Map<string, ReturnPlan>();
    let open = quantity;
    const bought = row.customer === "" ? [] : (purchases.get(purchaseKey(row)) ?? []);
    for (const purchase of bought.toReversed()) {
      const taken = Math.min(open, purchase.left);
      if (taken === 0) continue;
      purchase.left -= taken;
      open -= taken;
      const orderReference = referenceOf(purchase.invoice, Math.floor(purchase.index / linesAtMost));
      const plan = upsert(byOrder, orderReference, () => ({
        reference,
        orderReference,
        lines: [],
      }));
      plan.lines.push({ position: purchase.index % linesAtMost, quantity: taken });
    }
    returns.push(...byOrder.values());
  }

  return {
    add(row) {
      if (row.customer !== "" && !customers.has(row.customer))
        customers.set(row.customer, { number: row.customer, country: row.country });
      const number = (linesOfCancellation.get(row.invoice) ?? 0) + 1;
      if (isCancellation(row.invoice)) linesOfCancellation.set(row.invoice, number);
      if (!isGoods(row.code)) return;
      const isSale = !isCancellation(row.invoice) && row.quantity > 0 && row.unitMinor !== null && row.unitMinor > 0;
      const article = upsert(products, row.code, () => newArticle(row.code));
      noteArticle(article, row, isSale);
      if (isSale) sell(row, row.unitMinor!);
      else if (isCancellation(row.invoice) && row.quantity < 0) takeBack(row, number);
    },
    plan: () => ({
      products: [...products.values()].map(productOf),
      customers: [...customers.values()],
      orders: [...invoices].flatMap(([invoice, contents]) => ordersOf(invoice, contents)),
      returns,
      cancellationLines,
    }),
  };
}

function purchaseKey(row: Row): string {
  return `${row.customer}/${row.code}`;
}

function referenceOf(invoice: string, part: number): string {
  return part === 0 ? invoice : `${invoice}/${part + 1}`;
}

function ordersOf(invoice: string, { customer, country, lines }: Invoice): OrderPlan[] {
  const parts = Math.ceil(lines.length / linesAtMost);
  return Array.from({ length: parts }, (_, part) => ({
    reference: referenceOf(invoice, part),
    invoice,
    customer,
    country,
    lines: lines.slice(part * linesAtMost, (part + 1) * linesAtMost),
  }));
}

/** An article as the rows so far describe it. */
interface Article {
  code: string;
  priceMinor: number | null;
  sold: number;
  /** How often each description stands at a sale, and elsewhere. */
  names: { sale: Map<string, number>; other: Map<string, number> };
}

function newArticle(code: string): Article {
  return { code, priceMinor: null, sold: 0, names: { sale: new Map(), other: new Map() } };
}

function noteArticle(article: Article, row: Row, isSale: boolean): void {
  const names = isSale ? article.names.sale : article.names.other;
  if (row.description) names.set(row.description, (names.get(row.description) ?? 0) + 1);
  if (!isSale) return;
  article.priceMinor = row.unitMinor;
  article.sold += row.quantity;
}

/** What is sold is called what it is called most often then; other lines have remarks such as "damaged" in its place. */
function productOf({ code, priceMinor, sold, names }: Article): ProductPlan {
  const name = mostFrequent(names.sale) ?? mostFrequent(names.other) ?? `Article ${code}`;
  return { code, name, priceMinor, sold };
}

function mostFrequent(counts: Map<string, number>): string | undefined {
  let best: string | undefined;
  for (const [name, count] of counts) if (best === undefined || count > counts.get(best)!) best = name;
  return best;
}

function upsert<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
