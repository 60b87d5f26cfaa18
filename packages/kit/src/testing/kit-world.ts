import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Pool } from "pg";
import { v7 as uuidv7 } from "uuid";
import { connectionSettings, openDatabase } from "../database.ts";
import type { Database } from "../database.ts";
import type { EventLog } from "../eventlog.ts";
import { postgresEventLog } from "../eventlog-postgres.ts";
import { createLogger } from "../logger.ts";
import type { Logger } from "../logger.ts";
import { createMetrics } from "../metrics.ts";
import type { Metrics } from "../metrics.ts";
import { migrate } from "../migrate.ts";
import { createDatabase } from "./postgres.ts";
import type { TestDatabase } from "./postgres.ts";

/** The service whose schema, roles and topic the world uses. */
export const worldService = "orders";

/** The parts of a service without the service: its migrated schema, its pool and its log, for tests of the kit's own parts. */
export interface KitWorld {
  testDatabase: TestDatabase;
  log: Logger;
  metrics: Metrics;
  newId: () => string;
  /** The database as the service's running role. */
  db: Database;
  /** Asks the database as superuser; unqualified names are the service's. */
  ask<Row = any>(sql: string, values?: unknown[]): Promise<Row[]>;
  /** Connections of the superuser, for transactions of a test's own. */
  admin: Pool;
  /** A log of its own for a role, with short waits. It is closed with the world. */
  openEventLog(role: string): EventLog;
  close(): Promise<void>;
}

/** Makes the world; `tables` is the service's first migration. */
export async function createKitWorld(tables = ""): Promise<KitWorld> {
  const testDatabase = await createDatabase();
  const log = createLogger({ service: worldService, level: "silent" });
  const metrics = createMetrics({ service: worldService, processMetrics: false });
  const folder = await mkdtemp(join(tmpdir(), "crowdcrunch-migrations-"));
  if (tables !== "") await writeFile(join(folder, "001_tables.sql"), tables);
  const ownerUrl = testDatabase.url(`${worldService}_owner`);
  await migrate({ service: worldService, ownerUrl, folder: pathToFileURL(`${folder}/`), log });
  await rm(folder, { recursive: true });

  const url = testDatabase.url(worldService);
  const db = openDatabase({ url, applicationName: worldService, newId: uuidv7, log, metrics });
  const admin = new Pool({
    ...connectionSettings({ url: testDatabase.adminUrl, applicationName: "test" }),
    options: `-c search_path=${worldService}`,
  });
  const logs: { eventLog: EventLog; pool: Pool }[] = [];
  return {
    testDatabase,
    log,
    metrics,
    newId: uuidv7,
    db,
    ask: async (sql, values) => (await admin.query(sql, values)).rows,
    admin,
    openEventLog(role) {
      const pool = new Pool({
        ...connectionSettings({ url: testDatabase.url(role), applicationName: "test" }),
        max: 2,
      });
      pool.on("error", () => {});
      const backoff = { firstMs: 20, mostMs: 100 };
      const eventLog = postgresEventLog({
        ...{ pool, url: testDatabase.url(role), service: role, log },
        ...{ pollMs: 100, backoff },
      });
      logs.push({ eventLog, pool });
      return eventLog;
    },
    async close() {
      await Promise.all(logs.map(({ eventLog, pool }) => eventLog.close().then(() => pool.end())));
      await Promise.all([db.close(), admin.end()]);
      await testDatabase.drop();
    },
  };
}
