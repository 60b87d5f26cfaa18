import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createPlanner } from "./plan.ts";
import type { Plan } from "./plan.ts";
import { readRows } from "./rows.ts";
import type { BrokenRow } from "./rows.ts";
import { linesOf, totalsOf } from "./totals.ts";

const head = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";

async function planOf(file: string): Promise<{ plan: Plan; broken: BrokenRow[] }> {
  const broken: BrokenRow[] = [];
  const planner = createPlanner();
  for await (const row of readRows(file, (one) => broken.push(one))) planner.add(row);
  return { plan: planner.plan(), broken };
}

function planOfRows(...rows: string[]): Promise<{ plan: Plan; broken: BrokenRow[] }> {
  const file = join(mkdtempSync(join(tmpdir(), "retail-")), "rows.csv");
  writeFileSync(file, [head, ...rows].join("\n"));
  return planOf(file);
}

/** invoice, code, quantity, price, customer */
const row = (invoice: string, code: string, quantity: number, price: string, customer = "17850") =>
  `${invoice},${code},THING ${code},${quantity},01/12/2010 08:26,${price},${customer},United Kingdom`;

test("sales are lines with quantity and price above zero of invoices without C, of codes that begin with five digits", async () => {
  const { plan } = await planOfRows(
    row("536365", "85123A", 6, "2.55"),
    row("536365", "85123a", 2, "3.1"),
    row("536365", "85123A", 1, "2.55"),
    row("536365", "POST", 1, "18"),
    row("536366", "22752", 5, "0"),
    row("536367", "22752", -5, "1.25"),
    row("536368", "22752", 4, "1", ""),
    row("536369", "D", 1, "0.001", "14527"),
  );
  expect(plan.orders).toEqual([
    {
      reference: "536365",
      invoice: "536365",
      customer: "17850",
      country: "United Kingdom",
      lines: [
        { code: "85123A", quantity: 6, unitMinor: 255 },
        { code: "85123a", quantity: 2, unitMinor: 310 },
        { code: "85123A", quantity: 1, unitMinor: 255 },
      ],
    },
    {
      reference: "536368",
      invoice: "536368",
      customer: "",
      country: "United Kingdom",
      lines: [{ code: "22752", quantity: 4, unitMinor: 100 }],
    },
  ]);
  expect(plan.products.map(({ code, sold }) => [code, sold])).toEqual([
    ["85123A", 7],
    ["85123a", 2],
    ["22752", 4],
  ]);
  expect(plan.customers.map(({ number }) => number)).toEqual(["17850", "14527"]);
});

test("a cancellation takes back what its customer bought earlier and still has, the latest purchase first", async () => {
  const { plan } = await planOfRows(
    row("C536300", "22752", -1, "2"), // before any purchase
    row("536365", "22752", 6, "2"),
    row("536366", "22752", 3, "3"),
    row("536367", "22752", 9, "9", "13047"), // somebody else's
    row("C536379", "D", -1, "27.5"),
    row("C536379", "22752", -4, "2"),
    row("C536380", "22752", -9, "2"),
    row("536368", "22752", 9, "9"), // too late
  );
  expect(plan.returns).toEqual([
    { reference: "C536379/2", orderReference: "536366", lines: [{ position: 0, quantity: 3 }] },
    { reference: "C536379/2", orderReference: "536365", lines: [{ position: 0, quantity: 1 }] },
    { reference: "C536380/1", orderReference: "536365", lines: [{ position: 0, quantity: 5 }] },
  ]);
  expect(linesOf(totalsOf(plan)).slice(2)).toEqual([
    "return invoices 2 lines 2 units 9 refund 21.00 cancellation lines not wholly matched 2",
    "net 162.00",
  ]);
});

test("an invoice with more lines than an order may have becomes several orders and stays one invoice", async () => {
  const lines = Array.from({ length: 1_001 }, (_, index) => row("573585", String(20_000 + index), 1, "1"));
  const { plan } = await planOfRows(...lines, row("C573600", "21000", -1, "1"));
  expect(plan.orders.map(({ reference, lines: { length } }) => [reference, length])).toEqual([
    ["573585", 1_000],
    ["573585/2", 1],
  ]);
  expect(plan.returns).toEqual([
    { reference: "C573600/1", orderReference: "573585/2", lines: [{ position: 0, quantity: 1 }] },
  ]);
  expect(totalsOf(plan)).toMatchObject({ invoices: 1, lines: 1_001 });
});

test("an article is called what it is called when it is sold", async () => {
  const { plan } = await planOfRows(
    "1,22752,damaged,-3,01/12/2010 08:26,0,,United Kingdom",
    "2,22752,SET 7  BABUSHKA NESTING BOXES,2,01/12/2010 08:26,7.65,17850,United Kingdom",
    "3,22753,,3,01/12/2010 08:26,0,,United Kingdom",
  );
  expect(plan.products).toEqual([
    { code: "22752", name: "SET 7 BABUSHKA NESTING BOXES", priceMinor: 765, sold: 2 },
    { code: "22753", name: "Article 22753", priceMinor: null, sold: 0 },
  ]);
});

test("the plan of the first ten days of December 2010 is exact to the penny", async ({ skip }) => {
  const file = process.env.RETAIL_CSV;
  if (!file) return skip("RETAIL_CSV does not name december-01-10.csv");
  const { plan, broken } = await planOf(file);
  expect(broken).toEqual([]);
  expect(linesOf(totalsOf(plan))).toEqual([
    "sale invoices 906 lines 24607 units 201776 amount 466057.95",
    "products 2534 customers 660 guest invoices 61",
    "return invoices 40 lines 102 units 846 refund 2489.56 cancellation lines not wholly matched 280",
    "net 463568.39",
  ]);
});
