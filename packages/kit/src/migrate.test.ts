import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Pool } from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isUnavailable } from "./errors.ts";
import { createLogger } from "./logger.ts";
import { migrate } from "./migrate.ts";
import { createDatabase } from "./testing/postgres.ts";
import type { TestDatabase } from "./testing/postgres.ts";

let database: TestDatabase;
let owner: Pool;
let folder: string;
beforeEach(async () => {
  database = await createDatabase();
  owner = new Pool({ connectionString: database.url("orders_owner"), max: 2 });
  folder = await mkdtemp(join(tmpdir(), "crowdcrunch-migrations-"));
});
afterEach(async () => {
  await owner.end();
  await Promise.all([database.drop(), rm(folder, { recursive: true })]);
});

function put(file: string, sql: string): Promise<void> {
  return writeFile(join(folder, file), sql);
}

function run(): Promise<void> {
  return migrate({
    service: "orders",
    ownerUrl: database.url("orders_owner"),
    folder: pathToFileURL(`${folder}/`),
    log: createLogger({ service: "orders", level: "silent" }),
  });
}

async function applied(): Promise<string[]> {
  return (await owner.query("SELECT name FROM migrations ORDER BY applied_at, name")).rows.map((row) => row.name);
}

test("the kit's tables come first, then the service's files in order; again it does nothing", async () => {
  await put("002_more.sql", "ALTER TABLE things ADD COLUMN name text");
  await put("001_things.sql", `CREATE TABLE things (id int); GRANT SELECT ON things TO :"role"`);
  await put("notes.txt", "not SQL");
  await run();
  await run();
  const names = await applied();
  expect(names.slice(-2)).toEqual(["001_things.sql", "002_more.sql"]);
  expect(names.slice(0, -2).length).toBeGreaterThan(0);
  for (const name of names.slice(0, -2)) expect(name).toMatch(/^kit\//);
  const service = new Pool({ connectionString: database.url("orders"), max: 1 });
  try {
    expect((await service.query("SELECT name FROM things")).rows).toEqual([]);
    await expect(service.query("INSERT INTO things VALUES (1)")).rejects.toMatchObject({ code: "42501" });
  } finally {
    await service.end();
  }
});

test("replicas that start together migrate once", async () => {
  await put("001_things.sql", "CREATE TABLE things (id int); SELECT pg_sleep(0.1); INSERT INTO things VALUES (1)");
  await Promise.all([run(), run(), run()]);
  expect((await owner.query("SELECT * FROM things")).rows).toEqual([{ id: 1 }]);
});

test("a file that was applied may not be changed", async () => {
  await put("001_things.sql", "CREATE TABLE things (id int)");
  await run();
  await put("001_things.sql", "CREATE TABLE things (id bigint)");
  await put("002_more.sql", "CREATE TABLE more (id int)");
  await expect(run()).rejects.toThrow("orders: 001_things.sql was changed after it had been applied");
  expect(await applied()).not.toContain("002_more.sql");
});

test("a migration that fails leaves nothing, and goes through once it is right", async () => {
  await put("001_things.sql", "CREATE TABLE things (id int)");
  await put("002_more.sql", "CREATE TABLE more (id int); INSERT INTO things VALUES (1); SELECT 1 / 0");
  await expect(run()).rejects.toThrow("orders: 002_more.sql failed: division by zero");
  expect(await applied()).toContain("001_things.sql");
  expect(await applied()).not.toContain("002_more.sql");
  expect((await owner.query("SELECT FROM things")).rowCount).toBe(0);
  expect((await owner.query("SELECT to_regclass('more') AS more")).rows).toEqual([{ more: null }]);
  await put("002_more.sql", "CREATE TABLE more (id int)");
  await run();
  expect(await applied()).toContain("002_more.sql");
});

test("a table that is in use by the version before is waited for by trying again", async () => {
  await put("001_things.sql", "CREATE TABLE things (id int)");
  await run();
  await put("002_more.sql", "SET LOCAL lock_timeout = '50ms'; ALTER TABLE things ADD COLUMN name text");
  const reader = await owner.connect();
  await reader.query("BEGIN; SELECT * FROM things");
  const refused = await run().catch((error: unknown) => error);
  expect(refused).toMatchObject({ message: expect.stringContaining("002_more.sql failed") });
  expect(isUnavailable(refused)).toBe(true);
  await reader.query("COMMIT");
  reader.release();
  await run();
  expect(await applied()).toContain("002_more.sql");
});

test("a new database stands at the beginning of every log, one that was there before where its group does", async () => {
  await put("001_things.sql", "CREATE TABLE things (id int)");
  await run();
  const beginning = "SELECT topic, next FROM log_positions WHERE log = ''";
  expect((await owner.query(beginning)).rows).toEqual([{ topic: "", next: "0" }]);
  // As before the table came.
  await owner.query("DROP TABLE log_positions; DELETE FROM migrations WHERE name = 'kit/003_log_positions.sql'");
  await run();
  expect((await owner.query(beginning)).rows).toEqual([]);
});
