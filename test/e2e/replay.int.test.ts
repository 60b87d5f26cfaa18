import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { auditShop } from "@crowdcrunch/auditor/audit";
import { openLedgers } from "@crowdcrunch/tools/retail/ledgers";
import type { Ledgers } from "@crowdcrunch/tools/retail/ledgers";
import { openStaff } from "@crowdcrunch/tools/retail/staff";
import { startShop, stopShop } from "@crowdcrunch/tools/shop";
import type { RunningShop } from "@crowdcrunch/tools/shop";
import { afterAll, beforeAll, expect, test } from "vitest";

const portOffset = 22_500;
const toolsFolder = new URL("../../tools/", import.meta.url);

let varDir: string;
let shop: RunningShop;
let ledgers: Ledgers;

beforeAll(async () => {
  varDir = mkdtempSync(join(tmpdir(), "crowdcrunch-replay-"));
  shop = await startShop({ varDir, portOffset });
  ledgers = openLedgers(shop.databaseUrl("auditor"));
});
afterAll(async () => {
  await ledgers?.close();
  await stopShop({ varDir });
  rmSync(varDir, { recursive: true });
});

interface Run {
  code: number | null;
  out: string;
  complaints: string;
}

/** Starts `make import` or `make replay` without make. */
function start(program: "import" | "replay", csv: string, place = { varDir, portOffset }) {
  const child = spawn(process.execPath, [fileURLToPath(new URL(`${program}.ts`, toolsFolder))], {
    env: { ...process.env, CSV: csv, CROWDCRUNCH_VAR: place.varDir, PORT_OFFSET: String(place.portOffset) },
  });
  let out = "";
  let complaints = "";
  child.stdout.on("data", (data) => (out += data));
  child.stderr.on("data", (data) => (complaints += data));
  const ended = once(child, "close").then(([code]): Run => ({ code, out, complaints }));
  return { child, ended };
}

const run = (program: "import" | "replay", csv: string) => start(program, csv).ended;

function writeCsv(name: string, rows: string[], encoding: BufferEncoding = "utf8"): string {
  const file = join(varDir, name);
  const head = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";
  writeFileSync(file, [head, ...rows, ""].join("\n"), encoding);
  return file;
}

/** The four lines at the end. */
const totalsOf = ({ out }: Run) => out.trimEnd().split("\n").slice(-4);

/** How many events there are: whatever the shop does, it tells. */
async function eventCount(): Promise<number> {
  const [row] = await ledgers.many<{ count: string }>("SELECT sum(next) AS count FROM eventlog.heads", []);
  return Number(row!.count);
}

const wrongFile = join(tmpdir(), "no-such-file.csv");

test("what cannot be used is a sentence, and exit code 2", async () => {
  const file = join(varDir, "columns.csv");
  writeFileSync(file, "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,CustomerID,Country\n");
  expect(await run("import", file)).toMatchObject({
    code: 2,
    complaints: expect.stringMatching(/columns\.csv lacks the column UnitPrice/),
  });
  expect(await run("replay", wrongFile)).toMatchObject({
    code: 2,
    complaints: expect.stringMatching(/cannot be read/),
  });
  expect(await run("replay", "")).toMatchObject({
    code: 2,
    complaints: "Name the file: make replay CSV=december.csv\n",
  });
});

test("without a shop both say how to start one", async () => {
  const file = writeCsv("empty.csv", []);
  const elsewhere = { varDir: mkdtempSync(join(varDir, "none-")), portOffset: portOffset + 1_000 };
  const complaints = "No shop runs here: start it with make up.\n";
  expect(await start("import", file, elsewhere).ended).toMatchObject({ code: 1, complaints });
  expect(await start("replay", file, elsewhere).ended).toMatchObject({ code: 1, complaints });
});

test("broken rows are told with file and line and the exit code; the others become orders and returns, once", async () => {
  const file = writeCsv(
    "broken.csv",
    [
      "900001,99901A,TIN ROBOT,6,01/12/2010 08:26,2.55,90001,United Kingdom",
      "900001,99901a,TIN ROBOT RED,2,01/12/2010 08:26,3.10,90001,United Kingdom",
      "900001,99901A,TIN ROBOT,1,01/12/2010 08:26,2.5,90001,United Kingdom",
      "900001,POST,POSTAGE,1,01/12/2010 08:26,18,90001,United Kingdom",
      "900002,99902,CAF\xc9 SIGN,1,01/12/2010 08:30,4.95,90001,United Kingdom",
      '900002,99902,"CAFE, SIGN",10,01/12/2010 08:30,4.95,,Unspecified',
      "900002,99902,SIGN,ten,01/12/2010 08:30,4.95,,Unspecified",
      "900002,99902,SIGN,1,32/12/2010 08:30,4.95,,Unspecified",
      "900002,99902,SIGN",
      "C900003,99901A,TIN ROBOT,-3,02/12/2010 09:00,2.55,90001,United Kingdom",
      "C900003,99901a,TIN ROBOT RED,-5,02/12/2010 09:00,3.10,90001,United Kingdom",
      "C900003,99902,CAFE SIGN,-1,02/12/2010 09:00,4.95,,Unspecified",
      "900004,99903,NEVER SOLD,1,02/12/2010 09:00,0,90002,EIRE",
    ],
    "latin1",
  );
  const totals = [
    "sale invoices 2 lines 4 units 19 amount 73.50",
    "products 4 customers 2 guest invoices 1",
    // Of the robots one at 2.50, the latest line, and two at 2.55; of the red ones both there are, for 6.20.
    "return invoices 1 lines 2 units 5 refund 13.80 cancellation lines not wholly matched 2",
    "net 59.70",
  ];
  const imported = await run("import", file);
  expect(imported.code).toBe(1);
  const told = imported.complaints.split("\n").filter((line) => line.startsWith(file));
  expect(told.map((line) => line.slice(file.length))).toEqual([
    ":6: the row is not UTF-8 in the column Description: save the file in UTF-8; it is left out",
    ':8: the row has the Quantity "ten", which is not a whole number; it is left out',
    ':9: the row has the InvoiceDate "32/12/2010 08:30", which is not day/month/year hour:minute; it is left out',
    ":10: the row has 3 columns in place of 8; it is left out",
  ]);

  const replayed = await run("replay", file);
  expect(replayed.complaints).toContain("4 rows were left out");
  expect(replayed.code).toBe(1);
  expect(totalsOf(replayed)).toEqual(totals);

  const events = await eventCount();
  expect((await run("import", file)).out).toContain("0 articles and 0 customers are new");
  expect(totalsOf(await run("replay", file))).toEqual(totals);
  expect(await eventCount()).toBe(events);
});

test("where stock was lost, the replay says so; another import receives it, and another replay goes on", async () => {
  const file = writeCsv("short.csv", [
    "900011,99911,MUSIC BOX,5,01/12/2010 08:26,2.00,90011,France",
    "900012,99912,SNOW GLOBE,5,01/12/2010 08:26,3.00,90011,France",
  ]);
  expect((await run("import", file)).code).toBe(0);
  const staff = openStaff(shop, 1);
  const [sku] = await ledgers.many<{ id: string; location: string }>(
    `SELECT s.id, l.code AS location FROM inventory.skus s JOIN inventory.stock t ON t.sku_id = s.id
     JOIN inventory.locations l ON l.id = t.location_id WHERE s.code = '99911'`,
    [],
  );
  const moved = await staff.mutate(
    `mutation Lose($input: MoveStockInput!) { moveStock(input: $input) { __typename } }`,
    { idempotencyKey: randomUUID(), skuId: sku!.id, location: sku!.location, quantity: -1, reason: "LOSS" },
  );
  expect(moved.__typename).toBe("StockMoved");
  await staff.close();

  const short = await run("replay", file);
  expect(short.code).toBe(1);
  expect(short.complaints).toMatch(/900011: its order \w+ is REJECTED/);
  expect(totalsOf(short)[0]).toBe("sale invoices 1 lines 1 units 5 amount 15.00");

  expect((await run("import", file)).out).toContain("Short of stock, and received now: 1.");
  const whole = await run("replay", file);
  expect(whole).toMatchObject({ code: 0, complaints: "" });
  expect(totalsOf(whole)[0]).toBe("sale invoices 2 lines 2 units 10 amount 25.00");
});

/** The rows of the first days of a file, in a file of their own; the rows are in the order of their dates. */
function firstDays(file: string, ended: RegExp): string {
  const text = readFileSync(file, "utf8");
  const cut = join(varDir, "days.csv");
  writeFileSync(cut, text.slice(0, text.search(ended)));
  return cut;
}

// All ten are planned in tools/retail/plan.test.ts, and replayed by make replay.
test("two days of a real shop, stopped once and continued, come out to the penny, and change nothing a second time", async ({
  skip,
}) => {
  const tenDays = process.env.RETAIL_CSV;
  if (!tenDays) return skip("RETAIL_CSV does not name december-01-10.csv");
  const file = firstDays(tenDays, /^.*,03\/12\/2010 /mu);
  const totals = [
    "sale invoices 268 lines 5125 units 58236 amount 105341.71",
    "products 1602 customers 206 guest invoices 11",
    "return invoices 4 lines 5 units 14 refund 56.75 cancellation lines not wholly matched 64",
    "net 105284.96",
  ];
  expect(await run("import", file)).toMatchObject({ code: 0, complaints: "" });

  const first = start("replay", file);
  const placed = async () =>
    Number((await ledgers.many<{ count: string }>("SELECT count(*) AS count FROM orders.orders", []))[0]!.count);
  const before = await placed();
  while ((await placed()) < before + 100 && first.child.exitCode === null) await sleep(50);
  first.child.kill("SIGINT");
  expect(await first.ended).toMatchObject({ code: 130, complaints: `Stopped. Go on with: make replay CSV=${file}\n` });

  const second = await run("replay", file);
  expect(second).toMatchObject({ code: 0, complaints: "" });
  expect(second.out).toMatch(/invoices 268 of 268 · \d+(\.\d)?\/s · \d+ s/);
  expect(totalsOf(second)).toEqual(totals);

  const events = await eventCount();
  expect(totalsOf(await run("import", file).then(() => run("replay", file)))).toEqual(totals);
  expect(await eventCount()).toBe(events);
  const violations: string[] = [];
  expect(await auditShop({ url: shop.databaseUrl("auditor"), say: (line) => violations.push(line), quiet: true })).toBe(
    0,
  );
  expect(violations).toEqual([]);
}, 300_000);
