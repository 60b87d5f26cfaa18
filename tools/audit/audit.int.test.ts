import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLogger } from "@crowdcrunch/kit/logger";
import { createDatabase } from "@crowdcrunch/kit/testing/postgres";
import type { TestDatabase } from "@crowdcrunch/kit/testing/postgres";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { repositoryRoot, serviceNames } from "../schemas.ts";
import { readDriverLog, unkept } from "@crowdcrunch/auditor/acknowledged";
import type { Acknowledged } from "@crowdcrunch/auditor/acknowledged";
import { auditShop } from "@crowdcrunch/auditor/audit";
import { offendersQuery } from "@crowdcrunch/auditor/books";
import { handledTypes } from "@crowdcrunch/auditor/handled";
import { serviceNames as services } from "@crowdcrunch/shop/parts";
import type { CheckedInvariant } from "@crowdcrunch/auditor/invariant";
import { checkedInvariants, invariants } from "@crowdcrunch/auditor/invariants";
import { readModels } from "@crowdcrunch/auditor/read-models";
import { logPlants } from "./testing/log-plants.ts";
import { refusals } from "./testing/refusals.ts";
import { violations } from "./testing/violations.ts";
import { wiredTypes } from "./testing/wired.ts";
import { insertWorld, migrateAll } from "./testing/world.ts";

let database: TestDatabase;
let admin: Client;

beforeAll(async () => {
  database = await createDatabase();
  await migrateAll(database.url, createLogger({ service: "test", level: "silent" }));
  admin = new Client({ connectionString: database.adminUrl });
  await admin.connect();
  await insertWorld(admin, { orders: 32, products: 7 });
});

afterAll(async () => {
  await admin?.end();
  await database?.drop();
});

/** Runs in a transaction that is rolled back, so that every test finds the consistent world. */
async function undone<Result>(work: () => Promise<Result>): Promise<Result> {
  await admin.query("BEGIN");
  try {
    return await work();
  } finally {
    await admin.query("ROLLBACK");
  }
}

/** The rows that break an invariant by its query, as this transaction sees them. */
async function offendersOf(invariant: CheckedInvariant, windowSeconds?: number): Promise<unknown[]> {
  const query = offendersQuery(invariant, windowSeconds);
  return query ? (await admin.query(query)).rows : [];
}

/** The numbers of the invariants that the auditor finds violated, by what was done in this transaction too. */
async function violatedNow(): Promise<number[]> {
  await admin.query("SET LOCAL session_replication_role = origin; SET LOCAL ROLE auditor");
  const violated: number[] = [];
  for (const invariant of checkedInvariants) {
    if ((await offendersOf(invariant, 0)).length > 0) violated.push(invariant.number);
  }
  return violated;
}

describe("a shop whose books agree", () => {
  test("violates nothing, and each line says number, verdict, words and how it was checked", async () => {
    const lines: string[] = [];
    const violated = await auditShop({
      url: database.url("auditor"),
      windowSeconds: 0,
      say: (line) => void lines.push(line),
    });
    expect({ violated, lines: lines.filter((line) => line.includes("VIOLATED")) }).toEqual({ violated: 0, lines: [] });
    expect(lines.map((line) => Number(line.slice(0, 2)))).toEqual(Array.from({ length: 24 }, (_, index) => index + 1));
    expect(lines[0]).toMatch(/^ 1 held {5}Ledger transactions balance per currency\. \(constraint, \d+\.\d\d s\)$/);
    expect(lines[21]).toMatch(/^22 – {8}Nothing acknowledged .* \(driver, .*\)$/);
  });

  test("has every kind of row that an invariant looks at", async () => {
    const { rows } = await admin.query(
      `SELECT status, count(*)::int FROM orders.orders GROUP BY status ORDER BY status`,
    );
    expect(rows).toEqual(["CANCELLED", "COMPLETED", "CONFIRMED", "REJECTED"].map((status) => ({ status, count: 8 })));
  });
});

describe("a violation is reported, and nothing else:", () => {
  test.each(violations)("$invariant: $what", async ({ invariant, sql }) => {
    const violated = await undone(async () => {
      await admin.query(sql);
      return violatedNow();
    });
    expect(violated).toEqual([invariant]);
  });

  test("every invariant that is checked has been violated", () => {
    const planted = [...violations, ...logPlants].flatMap(({ invariant }) => invariant ?? []);
    expect([...new Set(planted)].sort((a, b) => a - b)).toEqual(checkedInvariants.map(({ number }) => number));
  });

  test("the report names the offending rows, up to five, and counts", async () => {
    const lines: string[] = [];
    await admin.query("UPDATE inventory.stock SET on_hand = on_hand + 7");
    const options = { url: database.url("auditor"), say: (line: string) => void lines.push(line), quiet: true };
    const violated = await auditShop(options);
    await admin.query("UPDATE inventory.stock SET on_hand = on_hand - 7");
    expect(violated).toBe(1);
    expect(lines).toHaveLength(7);
    expect(lines[0]).toMatch(/^ 9 VIOLATED On hand is the sum of stock movements/);
    expect(lines[1]).toMatch(/^ {12}\{"sku_id":".*"moved":/);
    expect(lines[6]).toMatch(/^ {12}… and 2 more$/);
  });
});

describe("the database refuses", () => {
  test.each(refusals)("$invariant: $what", async ({ sql, role, code, constraint }) => {
    const refused = undone(async () => {
      await admin.query(`SET LOCAL ROLE ${role}`);
      await admin.query(sql);
    });
    await expect(refused).rejects.toMatchObject({ code, ...(constraint ? { constraint } : {}) });
  });

  test("what every invariant with a constraint forbids", () => {
    expect([...new Set(refusals.map(({ invariant }) => invariant))].sort((a, b) => a - b)).toEqual(
      checkedInvariants.filter(({ kind }) => kind === "constraint" || kind === "guard").map(({ number }) => number),
    );
  });
});

describe("what is on its way", () => {
  test("counts once its window has passed", async () => {
    const found = await undone(async () => {
      await admin.query(`INSERT INTO orders.outbox (event_id, type, key, subject, sequence, time, data)
        VALUES (gen_random_uuid(), 'orders.order-placed.v1', 'new', 'new', 1, now() - interval '59 seconds', '{}')`);
      const outboxDrains = checkedInvariants.find(({ number }) => number === 14)!;
      const rows: number[] = [];
      for (const window of [undefined, 0, 58, 60]) rows.push((await offendersOf(outboxDrains, window)).length);
      return rows;
    });
    expect(found).toEqual([0, 1, 1, 0]);
  });
});

describe("the auditor", () => {
  let auditor: Client;
  beforeAll(async () => {
    auditor = new Client({ connectionString: database.url("auditor") });
    await auditor.connect();
    await auditor.query("SET default_transaction_read_only = off");
  });
  afterAll(() => auditor?.end());

  test("reads every table and writes none, even with its default switched off", async () => {
    const { rows: tables } = await auditor.query<{ name: string }>(
      `SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'`,
    );
    expect(tables.length).toBeGreaterThan(100);
    for (const { name } of tables) {
      await auditor.query(`SELECT FROM ${name} LIMIT 1`);
      for (const sql of [`DELETE FROM ${name}`, `TRUNCATE ${name}`, `INSERT INTO ${name} DEFAULT VALUES`])
        await expect(auditor.query(sql)).rejects.toMatchObject({ code: "42501" });
    }
  });

  test.each([
    "CREATE TABLE public.mine (id int)",
    "CREATE TEMP TABLE mine (id int)",
    "CREATE SCHEMA mine",
    "UPDATE orders.orders SET total_minor = 0",
    "SET ROLE orders",
    "SET session_replication_role = replica",
    "SELECT orders.inbox_maintain(0, 0)",
    "SELECT eventlog.append('orders', '{}')",
    "SELECT eventlog.rewind('orders', '{orders}')",
    "SELECT * FROM payments.payments FOR UPDATE",
  ])("may not: %s", async (sql) => {
    await expect(auditor.query(sql)).rejects.toMatchObject({ code: "42501" });
  });

  test("may call no function of a service, the provider or the log", async () => {
    const { rows } = await auditor.query(
      `SELECT p.oid::regprocedure::text AS callable FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
       WHERE n.nspname IN (${[...services, "provider", "eventlog"].map((schema) => `'${schema}'`).join(", ")})
         AND has_function_privilege(p.oid, 'EXECUTE')`,
    );
    expect(rows).toEqual([]);
  });
});

describe("what the audit looks at", () => {
  let varDir: string;
  beforeAll(async () => void (varDir = await mkdtemp(join(tmpdir(), "crowdcrunch-audit-"))));
  afterAll(() => rm(varDir, { recursive: true, force: true }));

  test.each(serviceNames())("%s is wired to handle the types that are listed for it", async (service) => {
    expect([...(handledTypes[service] ?? [])].sort()).toEqual(await wiredTypes(service, varDir));
  });

  test("is every service", () => {
    expect([...services].sort()).toEqual(serviceNames());
  });

  test("is every read model that has a guard", async () => {
    const { rows } = await admin.query<{ name: string }>(
      `SELECT tgrelid::regclass::text AS name FROM pg_trigger WHERE tgname = 'never_older' ORDER BY 1`,
    );
    expect(rows.map(({ name }) => name)).toEqual(
      readModels.map(({ consumer, table }) => `${consumer}.${table}`).sort(),
    );
  });

  test("is what docs/invariants.md says, each number and name once", async () => {
    const page = await readFile(join(repositoryRoot, "docs/invariants.md"), "utf8");
    const rows = [...page.matchAll(/^\| +(\d+) +\| (.+?) +\| (.*?) *\| (\w+).*\| (\w+) \|$/gm)].map(
      ([, number, says, window, kind, name]) => {
        const [value, unit] = (window ?? "").split(" ");
        return {
          number: Number(number),
          says,
          window: value ? Number(value) * (unit === "min" ? 60 : 1) : undefined,
          kind,
          name,
        };
      },
    );
    expect(rows).toEqual(
      invariants.map((invariant) => ({
        number: invariant.number,
        says: invariant.says,
        window: "windowSeconds" in invariant ? invariant.windowSeconds : undefined,
        kind: invariant.kind,
        name: invariant.name,
      })),
    );
    expect(new Set(invariants.map(({ name }) => name)).size).toBe(invariants.length);
  });
});

describe("what clients were told and the books do not say is found:", () => {
  const lost = "01890a5d-ac96-774b-bcce-b302099a8057";
  const found = async (told: Acknowledged[]) =>
    (await unkept(async (text, values) => (await admin.query(text, values)).rows, told)).map(({ id, why }) => [
      id,
      why,
    ]);
  const orders = async () =>
    (
      await admin.query<{ id: string; key: string; status: string }>(
        "SELECT id::text, idempotency_key::text AS key, status FROM orders.orders ORDER BY number",
      )
    ).rows;

  test("nothing, where all of it is kept", async () => {
    const told = (await orders()).map(({ id, key, status }) => ({
      id,
      key,
      sawEnd: status,
      wasCancelled: status === "CANCELLED",
    }));
    expect(await found(told)).toEqual([]);
    const { rows } = await admin.query("SELECT order_id::text AS id, number FROM exchanges.returns LIMIT 1");
    expect(await found([{ id: rows[0].id, returnNumber: rows[0].number }])).toEqual([]);
  });

  test("an order, its key, its end and its return", async () => {
    const completed = (await orders()).find(({ status }) => status === "COMPLETED")!.id;
    expect(await found([{ id: lost }])).toEqual([[lost, "there is no such order"]]);
    expect(await found([{ id: completed, key: lost }])).toEqual([[completed, "it has another key"]]);
    expect(await found([{ id: completed, wasCancelled: true }])).toEqual([
      [completed, "it was cancelled and is COMPLETED"],
    ]);
    expect(await found([{ id: completed, sawEnd: "REJECTED" }])).toEqual([
      [completed, "it was seen REJECTED and is COMPLETED"],
    ]);
    expect(await found([{ id: completed, returnNumber: "R-0" }])).toEqual([[completed, "there is no return R-0"]]);
  });

  test("by the log of a driver, whose last line may be cut and whose last word about an order counts", async () => {
    const folder = await mkdtemp(join(tmpdir(), "crowdcrunch-driver-"));
    const file = join(folder, "acknowledged.jsonl");
    const lines: string[] = [];
    try {
      const [order] = await orders();
      const of = (more: object) => `${JSON.stringify({ id: order!.id, ...more })}\n`;
      await writeFile(file, `${of({ sawEnd: "LOST" })}${of({ key: order!.key })}{"id":"${lost}"}\n{"id":"cut`);
      const acknowledged = await readDriverLog(file);
      expect(acknowledged).toEqual([{ id: order!.id, key: order!.key }, { id: lost }]);
      const say = (line: string) => void lines.push(line);
      const url = database.url("auditor");
      expect(await auditShop({ url, windowSeconds: 0, acknowledged, say, quiet: true })).toBe(1);
      expect(lines).toEqual([
        expect.stringMatching(/^22 VIOLATED Nothing acknowledged .* \(driver, /),
        `            {"id":"${lost}","why":"there is no such order"}`,
      ]);
      await writeFile(file, "orders\n");
      await expect(readDriverLog(file)).rejects.toThrow(/acknowledged\.jsonl:1 is not what a driver was told/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
