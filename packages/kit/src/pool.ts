import type { Socket } from "node:net";
import { Client, Pool, types } from "pg";
import type { PoolClient, PoolConfig } from "pg";
import type { Logger } from "./logger.ts";
import type { Metrics } from "./metrics.ts";

export interface PoolOptions {
  url: string;
  /** Most connections; the default 6 leaves room for all services on one server. */
  connections?: number;
  applicationName: string;
  log: Logger;
  metrics: Metrics;
  /** How long a caller waits for a free connection before it is told to come back, in ms. Default 2000. */
  queueMs?: number | undefined;
  /** How long the database may be silent on a statement before its connection counts as dead, in ms. Default 20,000. */
  silenceMs?: number;
}

const int8 = 20;

/** int8 comes as a number, because money and counts stay below 2^53; beyond it is an error, never a wrong number. */
function parseSafeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`${text} is beyond the safe integers`);
  return value;
}

/** Settings for a pool or client of ours. */
export function connectionSettings(options: { url: string; applicationName: string }): PoolConfig {
  return {
    connectionString: options.url,
    application_name: options.applicationName,
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    types: {
      getTypeParser: ((oid: number, format?: "text" | "binary") =>
        oid === int8 && format !== "binary"
          ? parseSafeInteger
          : types.getTypeParser(oid, format)) as typeof types.getTypeParser,
    },
  };
}

const defaultQueueMs = 2_000;
// Beyond the 15 s after which the server itself ends a service's statement.
const defaultSilenceMs = 20_000;

/** Opens a pool that counts its statements. Nothing is connected before the first query. */
export function openPool(options: PoolOptions): Pool {
  const statements = options.metrics.counter("crowdcrunch_sql_statements_total", "Statements sent to the database");
  class CountingClient extends Client {
    override query(...all: unknown[]): never {
      statements.inc();
      return (super.query as (...all: unknown[]) => unknown).apply(this, all) as never;
    }
  }
  const pool = new Pool({
    ...connectionSettings(options),
    max: options.connections ?? 6,
    // For a connection that is to be made and for one that is to become free alike.
    connectionTimeoutMillis: options.queueMs ?? defaultQueueMs,
    // With `pipeline` the connection is given up, and what else was sent over it fails too.
    query_timeout: options.silenceMs ?? defaultSilenceMs,
    pipeline: true,
    Client: CountingClient,
    idleTimeoutMillis: 30_000,
  } as unknown as PoolConfig);
  const idle = new Set<PoolClient>();
  pool.on("acquire", (client) => void idle.delete(client));
  pool.on("release", (_error, client) => void idle.add(client));
  pool.on("remove", (client) => void idle.delete(client));
  // A client that is in use reports its lost connection here and to the statement that waits; without a listener the
  // process would end.
  pool.on("connect", (client) => {
    client.on("error", (error) => {
      options.log.debug({ error: error.message }, "a database connection was lost");
      // What took one has mostly taken all: each would be found out by somebody who waits for it.
      for (const other of idle) {
        idle.delete(other);
        cutConnection(other);
      }
    });
  });
  pool.on("error", (error) => options.log.warn({ error: error.message }, "an idle database connection failed"));
  return pool;
}

/** Breaks the connection without a farewell; what was written to it is on its way. */
export function cutConnection(client: PoolClient): void {
  (client as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
}
