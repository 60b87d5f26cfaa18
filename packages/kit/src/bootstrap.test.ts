import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { bootstrap } from "./bootstrap.ts";
import type { BootstrapOptions } from "./bootstrap.ts";
import { startPostgres } from "./testing/embedded-postgres.ts";
import { createDatabase, testPassword } from "./testing/postgres.ts";
import type { TestDatabase } from "./testing/postgres.ts";

const denied = { code: "42501" };

async function query(url: string, sql: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql, values)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

describe("roles of a bootstrapped database", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
    await query(database.url("orders_owner"), "CREATE TABLE secrets (id int); INSERT INTO secrets VALUES (1)");
  });
  afterAll(() => database.drop());

  test.each([
    "CREATE TABLE mine (id int)",
    "CREATE TEMP TABLE mine (id int)",
    "CREATE SCHEMA mine",
    "CREATE TABLE public.mine (id int)",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql RETURN 1",
    "SELECT * FROM secrets",
    "GRANT SELECT ON secrets TO orders",
    "ALTER TABLE secrets ADD COLUMN more int",
    "DROP TABLE secrets",
    "SET ROLE orders_owner",
    "GRANT orders_owner TO orders",
    "CREATE ROLE another",
    "INSERT INTO eventlog.events SELECT * FROM eventlog.events",
    "UPDATE eventlog.heads SET next = 0",
    "DELETE FROM eventlog.topics",
    "TRUNCATE eventlog.events",
  ])("a running role may not: %s", async (sql) => {
    await expect(query(database.url("orders"), sql)).rejects.toMatchObject(denied);
  });

  test.each(["payments", "payments_owner", "provider", "gateway"])(
    "%s does not see the tables of another",
    async (role) => {
      await expect(query(database.url(role), "SELECT * FROM orders.secrets")).rejects.toMatchObject(denied);
    },
  );

  test("the auditor reads what owners create and writes nothing, even with its default switched off", async () => {
    const auditor = database.url("auditor");
    expect(await query(auditor, "SELECT * FROM orders.secrets")).toEqual([{ id: 1 }]);
    expect(await query(auditor, "SELECT count(*) FROM eventlog.members")).toEqual([{ count: "0" }]);
    await expect(query(auditor, "DELETE FROM orders.secrets")).rejects.toMatchObject({ code: "25006" });
    await expect(query(auditor, "BEGIN READ WRITE; DELETE FROM orders.secrets")).rejects.toMatchObject(denied);
  });

  test("the gateway reads events and has none of the log's functions; the provider has no part in the log", async () => {
    expect(await query(database.url("gateway"), "SELECT * FROM events")).toEqual([]);
    await expect(query(database.url("gateway"), "SELECT eventlog.create_topic('gateway', 1)")).rejects.toMatchObject(
      denied,
    );
    await expect(query(database.url("gateway"), "SELECT * FROM eventlog.positions")).rejects.toMatchObject(denied);
    await expect(query(database.url("provider"), "SELECT * FROM eventlog.events")).rejects.toMatchObject(denied);
  });

  test("running roles give up on locks and forgotten transactions, and find their own schema first", async () => {
    const settings = ["search_path", "lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"];
    const rows = await query(database.url("orders"), "SELECT current_setting(s) AS value FROM unnest($1::text[]) s", [
      settings,
    ]);
    expect(rows.map((row) => row["value"])).toEqual(["orders, extensions", "5s", "15s", "30s"]);
  });

  test("others may not even connect", async () => {
    await query(
      database.adminUrl,
      `DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN PASSWORD '${testPassword("stranger")}'`,
    );
    await expect(query(database.url("stranger"), "SELECT 1")).rejects.toMatchObject(denied);
    await query(database.adminUrl, "DROP ROLE stranger");
  });
});

describe("bootstrap", () => {
  function options(adminUrl: string, database: string, password = "first"): BootstrapOptions {
    return {
      adminUrl,
      database,
      services: ["alpha", "beta's"].map((name) => ({ name, password, ownerPassword: `${password} owner` })),
      provider: { name: "bank", password, ownerPassword: `${password} owner` },
      gatewayPassword: testPassword("gateway"),
      auditorPassword: testPassword("auditor"),
    };
  }

  function login(adminUrl: string, database: string, user: string, password: string): string {
    const url = new URL(adminUrl);
    [url.pathname, url.username, url.password] = [
      `/${database}`,
      encodeURIComponent(user),
      encodeURIComponent(password),
    ];
    return url.href;
  }

  async function dropAll(adminUrl: string, databases: string[]): Promise<void> {
    for (const database of databases) await query(adminUrl, `DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
    for (const role of ["alpha", "beta's", "bank"])
      await query(adminUrl, `DROP ROLE IF EXISTS "${role}", "${role}_owner"`);
  }

  test("runs at once for two databases, again with other passwords, and keeps the data", async () => {
    const adminUrl = inject("postgresAdminUrl");
    const databases = ["bootstrap_one", "bootstrap_two"];
    try {
      await Promise.all([...databases, ...databases].map((database) => bootstrap(options(adminUrl, database))));
      for (const database of databases) {
        await query(
          login(adminUrl, database, "beta's_owner", "first owner"),
          "CREATE TABLE kept (id int); INSERT INTO kept VALUES (7)",
        );
      }
      await bootstrap(options(adminUrl, "bootstrap_one", "it's second"));
      await expect(query(login(adminUrl, "bootstrap_one", "beta's", "first"), "SELECT 1")).rejects.toMatchObject({
        code: "28P01",
      });
      for (const database of databases) {
        expect(
          await query(login(adminUrl, database, "beta's_owner", "it's second owner"), "SELECT * FROM kept"),
        ).toEqual([{ id: 7 }]);
      }
    } finally {
      await dropAll(adminUrl, databases);
    }
  });

  test("needs no superuser", async () => {
    const postgres = await startPostgres({ fsync: false });
    try {
      await query(postgres.adminUrl, "CREATE ROLE manager LOGIN CREATEROLE CREATEDB PASSWORD 'manager'");
      const adminUrl = login(postgres.adminUrl, "postgres", "manager", "manager");
      await bootstrap(options(adminUrl, "shop"));
      await bootstrap(options(adminUrl, "shop", "second"));
      await query(login(adminUrl, "shop", "alpha_owner", "second owner"), "CREATE TABLE t (id int)");
      expect(await query(login(adminUrl, "shop", "auditor", testPassword("auditor")), "SELECT * FROM alpha.t")).toEqual(
        [],
      );
      await query(login(adminUrl, "shop", "alpha", "second"), "SELECT eventlog.create_topic('alpha', 2)");
    } finally {
      await postgres.stop();
    }
  });
});
