import { readFile } from "node:fs/promises";
import { Client, Pool, escapeIdentifier } from "pg";
import { connectionSettings } from "../database.ts";
import { postgresEventLog } from "../eventlog-postgres.ts";
import type { PostgresEventLogOptions } from "../eventlog-postgres.ts";
import type { EventLog } from "../eventlog.ts";
import { createLogger } from "../logger.ts";
import type { EventLogWorld } from "./eventlog-world.ts";
import { createDatabase } from "./postgres.ts";
import type { TestDatabase } from "./postgres.ts";
import { startTcpProxy } from "./tcp-proxy.ts";
import type { TcpProxy } from "./tcp-proxy.ts";

export interface PostgresEventLogWorld extends EventLogWorld {
  testDatabase: TestDatabase;
  asSuperuser<Row = any>(sql: string): Promise<Row[]>;
}

/** A database with an empty event log, outboxes for these services, and a proxy before each opened log. */
export async function createPostgresEventLogWorld(
  services: string[],
  options: Partial<PostgresEventLogOptions> = {},
): Promise<PostgresEventLogWorld> {
  const testDatabase = await createDatabase();
  for (const service of services) await createOutbox(testDatabase, service);
  const log = createLogger({ service: "test", level: "silent" });
  const pools = new Map<string, Pool>();
  const opened = new Map<EventLog, { proxy: TcpProxy; pool: Pool }>();

  return {
    testDatabase,
    async asSuperuser(sql) {
      const client = new Client({ connectionString: testDatabase.adminUrl });
      await client.connect();
      try {
        return (await client.query(sql)).rows;
      } finally {
        await client.end();
      }
    },
    async open(service) {
      const url = new URL(testDatabase.url(service));
      const proxy = await startTcpProxy({ host: url.hostname, port: Number(url.port) });
      url.port = String(proxy.port);
      const pool = quietPool(url.href, 2);
      const timing = { leaseMs: 900, pollMs: 200, backoff: { firstMs: 20, mostMs: 200 } };
      const eventLog = postgresEventLog({ pool, url: url.href, service, log, ...timing, ...options });
      opened.set(eventLog, { proxy, pool });
      return eventLog;
    },
    cut: (eventLog) => opened.get(eventLog)!.proxy.cut(),
    crash: (eventLog) => opened.get(eventLog)!.proxy.close(),
    database(service) {
      const pool = pools.get(service) ?? quietPool(testDatabase.url(service), 6);
      pools.set(service, pool);
      return pool;
    },
    async close() {
      // Handlers of a member that died never end, so only the others are waited for.
      const ended = [...opened].map(async ([eventLog, { proxy, pool }]) => {
        await Promise.race([eventLog.close(), new Promise((resolve) => setTimeout(resolve, 1_000))]);
        await pool.end();
        await proxy.close().catch(() => {});
      });
      await Promise.all([...ended, ...[...pools.values()].map((pool) => pool.end())]);
      await testDatabase.drop();
    },
  };
}

/** A pool whose lost connections are nobody's concern. */
export function quietPool(url: string, max: number): Pool {
  const pool = new Pool({ ...connectionSettings({ url, applicationName: "test" }), max });
  pool.on("error", () => {});
  return pool;
}

/** Makes the tables of messages in a service's schema. */
export async function createOutbox(database: TestDatabase, service: string): Promise<void> {
  const owner = new Client({ connectionString: database.url(`${service}_owner`) });
  await owner.connect();
  const sql = await readFile(new URL("../../migrations/001_messaging.sql", import.meta.url), "utf8");
  await owner.query(sql.replaceAll(':"role"', escapeIdentifier(service)));
  await owner.end();
}
