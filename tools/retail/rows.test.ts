import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { countryCodeOf } from "./countries.ts";
import { customerId, derivedUuid, guestId } from "./identifiers.ts";
import { decimal, minorUnits } from "./money.ts";
import { readRows, UnreadableFile } from "./rows.ts";
import type { BrokenRow, Row } from "./rows.ts";

async function read(content: string | Buffer): Promise<{ rows: Row[]; broken: BrokenRow[] }> {
  const file = join(mkdtempSync(join(tmpdir(), "retail-")), "rows.csv");
  writeFileSync(file, content);
  const rows: Row[] = [];
  const broken: BrokenRow[] = [];
  for await (const row of readRows(file, (one) => broken.push(one))) rows.push(row);
  return { rows, broken };
}

const head = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";
const good = "536365,85123A,HOLDER,6,01/12/2010 08:26,2.55,17850,United Kingdom\n";

test("columns are known by name, in any order, after a byte order mark, with the line ends of Windows", async () => {
  const { rows, broken } = await read(
    "\uFEFFCountry,CustomerID,UnitPrice,InvoiceDate,Quantity,Description,StockCode,InvoiceNo,More\r\n" +
      'France,12583,3.75,1/12/2010 8:45,24,"ALARM CLOCK, ""RED"" É",22728,536370,x\r\n',
  );
  expect(broken).toEqual([]);
  expect(rows).toEqual([
    {
      line: 2,
      invoice: "536370",
      code: "22728",
      description: 'ALARM CLOCK, "RED" É',
      quantity: 24,
      at: "2010-12-01T08:45",
      unitMinor: 375,
      customer: "12583",
      country: "France",
    },
  ]);
});

test.for([
  ["bad number", "536366,22633,WARMER,six,01/12/2010 08:28,1.85,17850,United Kingdom", 'Quantity "six"'],
  ["fraction", "536366,22633,WARMER,1.5,01/12/2010 08:28,1.85,17850,United Kingdom", 'Quantity "1.5"'],
  ["bad price", '536366,22633,WARMER,6,01/12/2010 08:28,"1,85",17850,United Kingdom', 'UnitPrice "1,85"'],
  ["fine price", "536366,22633,WARMER,6,01/12/2010 08:28,1.855,17850,United Kingdom", "finer than a penny"],
  ["bad date", "536366,22633,WARMER,6,31/11/2010 08:28,1.85,17850,United Kingdom", 'InvoiceDate "31/11/2010 08:28"'],
  ["other date", "536366,22633,WARMER,6,2010-12-01 08:28,1.85,17850,United Kingdom", "day/month/year"],
  ["bad customer", "536366,22633,WARMER,6,01/12/2010 08:28,1.85,Smith,United Kingdom", 'CustomerID "Smith"'],
  ["too few columns", "536366,22633,WARMER,6", "has 4 columns in place of 8"],
  ["too many columns", "536366,22633,WARMER, RED,6,01/12/2010 08:28,1.85,17850,United Kingdom", "has 9 columns"],
  ["open quote", '536366,22633,"WARMER,6,01/12/2010 08:28,1.85,17850,United Kingdom', "quote"],
  ["no invoice", ",22633,WARMER,6,01/12/2010 08:28,1.85,17850,United Kingdom", "InvoiceNo"],
  [
    "latin1",
    "536366,22633,CAF\xc9,6,01/12/2010 08:28,1.85,17850,United Kingdom",
    "not UTF-8 in the column Description",
  ],
] as const)("a broken row (%s) is reported with its line, and the others are read", async ([, line, reason]) => {
  const { rows, broken } = await read(Buffer.from(`${head}${good}${line}\n${good}`, "latin1"));
  expect(rows.map((row) => row.line)).toEqual([2, 4]);
  expect(broken).toEqual([{ line: 3, reason: expect.stringContaining(reason) }]);
});

test("a quoted field may span lines; lines are counted on", async () => {
  const { rows, broken } = await read(
    `${head}536365,85123A,"WHITE\nHOLDER",6,01/12/2010 08:26,2.55,17850,United Kingdom\n\n536366,x\n`,
  );
  expect(rows).toMatchObject([{ line: 2, description: "WHITE HOLDER" }]);
  expect(broken).toMatchObject([{ line: 5 }]);
});

test.for([
  ["", /is empty/],
  ["InvoiceNo,StockCode,Description,Quantity,InvoiceDate,CustomerID\n", /lacks the columns UnitPrice, Country/],
  ["\uFEFFa;b;c\n", /lacks the columns InvoiceNo/],
] as const)("a file that is none of an online retailer is refused in a sentence: %j", async ([content, message]) => {
  await expect(read(content)).rejects.toThrow(UnreadableFile);
  await expect(read(content)).rejects.toThrow(message);
});

test("decimals become pence exactly", () => {
  expect(["2.1", "18", "0.29", "1.10000", "-11062.06", "0", "-0"].map(minorUnits)).toEqual([
    210, 1800, 29, 110, -1106206, 0, 0,
  ]);
  expect(minorUnits("0.001")).toBeNull();
  expect(["", "1e3", "1.", ".5", "1,000", "NaN", "90071992547409.92"].map(minorUnits)).toEqual(
    Array.from({ length: 7 }, () => undefined),
  );
  expect([46605795, 5, -110].map(decimal)).toEqual(["466057.95", "0.05", "-1.10"]);
});

test("ids follow from numbers, and differ by kind", () => {
  expect(customerId("17850")).toBe(derivedUuid("customer", "17850"));
  expect(customerId("17850")).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(new Set([customerId("1"), customerId("2"), guestId("1")]).size).toBe(3);
});

test("countries of the files have their code", () => {
  const countries = ["United Kingdom", "EIRE", "Channel Islands", "RSA", "Germany", "USA", "Brazil", "Hong Kong"];
  expect(countries.map(countryCodeOf)).toEqual(["GB", "IE", "JE", "ZA", "DE", "US", "BR", "HK"]);
  expect(countryCodeOf("Unspecified")).toBeUndefined();
});
