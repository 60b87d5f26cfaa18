import type { EventContract, EventOf, EventToEmit } from "@crowdcrunch/events/contract";
import { Pool } from "pg";
import type { TObject } from "typebox";
import { v7 as uuidv7 } from "uuid";
import { connectionSettings } from "../database.ts";
import type { DeliveredEvent, EventLog, EventRecord } from "../eventlog.ts";
import { defaultPartitions } from "../eventlog.ts";
import { postgresEventLog } from "../eventlog-postgres.ts";
import { createLogger } from "../logger.ts";
import type { Logger } from "../logger.ts";
import { start } from "../service.ts";
import type { ServiceDefinition } from "../service.ts";
import { createTestKeys } from "./access-tokens.ts";
import type { TestKeys, TokenOptions } from "./access-tokens.ts";
import { createDatabase } from "./postgres.ts";

/** What the graph answered. */
export interface GraphAnswer {
  status: number;
  /** The fields asked for; tests read them without types. */
  data: any;
  errors?: { message: string; path?: (string | number)[]; extensions: { code: string; [more: string]: unknown } }[];
  headers: Headers;
}

/** An event to deliver: as a contract creates it, or a record that was delivered before. */
export type TestEvent = EventToEmit & Partial<EventRecord>;

/** A service under test, on a database of its own, with its keys, spoken to as the gateway and other services do. */
export interface TestService {
  url: string;
  healthUrl: string;
  keys: TestKeys;
  graph(
    query: string,
    variables?: Record<string, unknown>,
    options?: { token?: string | undefined; headers?: Record<string, string> },
  ): Promise<GraphAnswer>;
  signToken(options?: TokenOptions): Promise<string>;
  /** The database's URL as the service's running role, and a pool of it. */
  databaseUrl: string;
  db: Pool;
  /** The database as superuser; unqualified names are the service's. */
  admin: Pool;
  /** Appends events to the log as their publishers, waits until the service has handled them, and gives them back. */
  deliver(...events: TestEvent[]): Promise<EventRecord[]>;
  /** What the service has published, of one contract or all, in order within a key; waits for its outbox to be empty. */
  emitted<Contract extends EventContract>(contract: Contract): Promise<EventOf<Contract>[]>;
  emitted(): Promise<DeliveredEvent[]>;
  /** Stops the service and removes its database. */
  stop(): Promise<void>;
}

const patienceMs = 15_000;

/** Waits until `condition` holds. Throws with `what` after 15 s. */
export async function until(condition: () => Promise<boolean> | boolean, what: string): Promise<void> {
  const giveUpMs = performance.now() + patienceMs;
  while (!(await condition())) {
    if (performance.now() > giveUpMs) throw new Error(`${what} did not come about within ${patienceMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}

/**
 * Starts a service as `run` does, on a fresh copy of the bootstrapped database and free ports. LOG_LEVEL in `env` shows
 * its log. Partitions are interleaved by a seed, so that no test relies on an order between keys.
 */
export async function testService<Variables extends TObject>(
  definition: ServiceDefinition<Variables>,
  options: {
    env?: Record<string, string> | ((keys: TestKeys) => Record<string, string>);
    newId?: () => string;
    /** In place of one that shows what LOG_LEVEL lets through. */
    log?: Logger;
  } = {},
): Promise<TestService> {
  const { name } = definition;
  const [database, keys] = await Promise.all([createDatabase(), createTestKeys()]);
  const own = typeof options.env === "function" ? options.env(keys) : (options.env ?? {});
  const log = options.log ?? createLogger({ service: name, level: own["LOG_LEVEL"] ?? "silent" });
  const pools: Pool[] = [];
  const logs = new Map<string, EventLog>();

  function open(url: string, more: { options?: string } = {}): Pool {
    const pool = new Pool({ ...connectionSettings({ url, applicationName: "test" }), max: 3, ...more });
    // The database is dropped under it at the end.
    pool.on("error", () => {});
    pools.push(pool);
    return pool;
  }

  function eventLogAs(role: string): EventLog {
    const known = logs.get(role);
    if (known) return known;
    const url = database.url(role);
    const opened = postgresEventLog({
      pool: open(url),
      url,
      service: role,
      log: createLogger({ service: role, level: "silent" }),
    });
    logs.set(role, opened);
    return opened;
  }

  async function removeAll(): Promise<void> {
    await Promise.all([...logs.values()].map((opened) => opened.close()));
    await Promise.all(pools.map((pool) => pool.end()));
    await Promise.all([database.drop(), keys.remove()]);
  }

  const service = await start(definition, {
    env: {
      PORT: "0",
      METRICS_PORT: "0",
      DATABASE_URL: database.url(name),
      OWNER_DATABASE_URL: database.url(`${name}_owner`),
      JWKS_FILE: keys.jwksFile,
      SHUTDOWN_GRACE_MS: "2000",
      // Tests ask for more at once than a machine that does other things beside them answers in two seconds.
      DATABASE_QUEUE_MS: "15000",
      ...own,
    },
    log,
    processMetrics: false,
    ...(options.newId ? { newId: options.newId } : {}),
    eventLog: (context) =>
      postgresEventLog({
        pool: context.db.pool,
        url: context.databaseUrl,
        service: name,
        log,
        pollMs: 200,
        shuffleSeed: 1,
      }),
  }).catch(async (error: unknown) => {
    await removeAll();
    throw error;
  });
  const admin = open(database.adminUrl, { options: `-c search_path=${name},extensions` });

  async function emitted(contract?: EventContract): Promise<DeliveredEvent[]> {
    await until(async () => (await admin.query("SELECT FROM outbox LIMIT 1")).rowCount === 0, `${name}'s empty outbox`);
    const events: DeliveredEvent[] = [];
    for await (const event of eventLogAs(name).read(name))
      if (!contract || event.type === contract.type) events.push(event);
    return events;
  }

  return {
    url: service.url,
    healthUrl: service.healthUrl,
    keys,
    signToken: keys.signToken,
    databaseUrl: database.url(name),
    db: open(database.url(name)),
    admin,
    async graph(query, variables = {}, { token, headers = {} } = {}) {
      const response = await fetch(`${service.url}/graphql`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...headers,
        },
        body: JSON.stringify({ query, variables }),
      });
      const body = (await response.json()) as Pick<GraphAnswer, "data" | "errors">;
      return { ...body, status: response.status, headers: response.headers };
    },
    async deliver(...events) {
      const records = events.map((event): EventRecord => ({ id: uuidv7(), time: new Date().toISOString(), ...event }));
      const topics = [...new Set(records.map(topicOf))];
      for (const topic of topics) {
        const publisher = eventLogAs(topic);
        await publisher.ensureTopics([{ topic, partitions: defaultPartitions }]);
        await publisher.append(
          topic,
          records.filter((record) => topicOf(record) === topic),
        );
      }
      await until(
        async () =>
          (await eventLogAs(name).lag(name, topics)).every((partition) => partition.committed >= partition.end),
        `that ${name} has handled ${records.map((record) => record.type).join(", ")}`,
      );
      return records;
    },
    emitted: emitted as TestService["emitted"],
    async stop() {
      await service.stop();
      await removeAll();
    },
  };
}

function topicOf(event: EventRecord): string {
  return event.type.split(".")[0]!;
}
