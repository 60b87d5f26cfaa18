import { readFile } from "node:fs/promises";
import { fastify } from "fastify";
import type { FastifyInstance } from "fastify";
import Type from "typebox";
import type { Static, TObject } from "typebox";
import { v7 as uuidv7 } from "uuid";
import type { ResolverMap } from "./access.ts";
import { ConfigError, processEnvironment, readConfig } from "./config.ts";
import { createConsumer } from "./consumer.ts";
import type { EventHandler } from "./consumer.ts";
import { openDatabase, untilAvailable } from "./database.ts";
import type { Database } from "./database.ts";
import { defaultPartitions } from "./eventlog.ts";
import type { EventLog } from "./eventlog.ts";
import { postgresEventLog } from "./eventlog-postgres.ts";
import { serveSubgraph } from "./graphql.ts";
import { serveHealth } from "./health.ts";
import { closeHttp, httpSettings } from "./http.ts";
import { createTokenVerifier } from "./identity.ts";
import type { TokenVerifier } from "./identity.ts";
import { createLogger } from "./logger.ts";
import type { Logger } from "./logger.ts";
import { createMetrics } from "./metrics.ts";
import type { Metrics } from "./metrics.ts";
import { migrate } from "./migrate.ts";
import { operationsResolvers } from "./operations.ts";
import type { Republish } from "./operations.ts";
import { createRelay } from "./relay.ts";
import { subgraphSdl } from "./sdl.ts";
import { serviceVariables } from "./variables.ts";
import type { Worker } from "./worker.ts";

const shopperPaceMs = 5;
/** For services whose events nobody waits for. */
export const backgroundPaceMs = 100;

/** What the kit gives a service to build itself from. */
export interface ServiceContext<Config> {
  config: Config;
  db: Database;
  log: Logger;
  metrics: Metrics;
  /** A new UUIDv7. */
  newId: () => string;
  tokens: TokenVerifier;
}

/** What a service is made of. */
export interface ServiceParts {
  resolvers: ResolverMap;
  handlers?: EventHandler[];
  workers?: Worker[];
  /** Paths besides /graphql that the gateway passes on. */
  routes?: (app: FastifyInstance) => void | Promise<void>;
  /** How read models of others are filled again; the schema says `# republishes`. */
  republish?: Republish;
}

export interface ServiceDefinition<Variables extends TObject = TObject> {
  name: string;
  /** The service's folder, with schema.graphql and migrations/. */
  root: URL;
  /** The service's own variables. */
  config: Variables;
  /**
   * Least time between two batches of events, in ms: under load several events share a transaction. Small where a
   * shopper waits for the answer, which is the default; larger where nobody does.
   */
  paceMs?: number;
  wire(context: ServiceContext<Static<Variables>>): ServiceParts;
}

/** Declares a service: wiring only. */
export function defineService<Variables extends TObject>(
  definition: ServiceDefinition<Variables>,
): ServiceDefinition<Variables> {
  return definition;
}

export interface RunningService {
  name: string;
  /** Where it serves, e.g. http://127.0.0.1:4004. */
  url: string;
  healthUrl: string;
  /** Stops in the reverse order of the start. */
  stop(): Promise<void>;
}

export interface StartOptions {
  env: Record<string, string | undefined>;
  /** False where several services share a process, whose metrics one of them reports. Default true. */
  processMetrics?: boolean;
  newId?: () => string;
  log?: Logger;
  eventLog?: (context: { db: Database; log: Logger; service: string; databaseUrl: string }) => EventLog;
}

/**
 * Starts a service: health first, then the schema, the event log, the server, relay, consumer and workers; each waits
 * for what it depends on, so services may start in any order.
 */
export async function start<Variables extends TObject>(
  definition: ServiceDefinition<Variables>,
  options: StartOptions,
): Promise<RunningService> {
  const { name, root } = definition;
  const config = readConfig(
    Type.Object({ ...serviceVariables, ...definition.config.properties }),
    options.env,
  ) as Static<TObject<typeof serviceVariables>> & Static<Variables>;
  const log = options.log ?? createLogger({ service: name, level: config.LOG_LEVEL });
  const metrics = createMetrics({ service: name, processMetrics: options.processMetrics ?? true });
  const newId = options.newId ?? uuidv7;
  const waitingFor = new Set(["database"]);
  const aborted = new AbortController();
  const stops: (() => Promise<unknown>)[] = [];

  async function stop(): Promise<void> {
    aborted.abort(new Error("the service is stopping"));
    waitingFor.add("shutdown");
    for (const action of stops.splice(0).reverse()) {
      await action().catch((error: Error) => log.warn({ error: error.message }, "a part did not stop cleanly"));
    }
  }

  try {
    const db = openDatabase({
      url: config.DATABASE_URL,
      connections: config.DATABASE_CONNECTIONS,
      applicationName: name,
      newId,
      log,
      metrics,
    });
    stops.push(() => db.close());
    const health = await serveHealth({
      host: config.HOST,
      port: config.METRICS_PORT,
      metrics,
      readiness: () => [...waitingFor],
    });
    stops.push(() => health.stop());
    await untilAvailable(
      () => migrate({ service: name, ownerUrl: config.OWNER_DATABASE_URL, folder: new URL("migrations/", root), log }),
      { log, what: "migration", signal: aborted.signal },
    );
    const eventLog = (
      options.eventLog ??
      ((context) =>
        postgresEventLog({ pool: context.db.pool, url: context.databaseUrl, service: context.service, log }))
    )({ db, log, service: name, databaseUrl: config.DATABASE_URL });
    stops.push(() => eventLog.close());
    await untilAvailable(() => eventLog.ensureTopics([{ topic: name, partitions: defaultPartitions }]), {
      log,
      what: "event log",
      signal: aborted.signal,
    });

    const tokens = createTokenVerifier({ jwksFile: config.JWKS_FILE, log });
    const paceMs = definition.paceMs ?? shopperPaceMs;
    const relay = createRelay({ topic: name, db, eventLog, log, metrics, paceMs });
    db.onEmitted(relay.nudge);
    const parts = definition.wire({ config, db, log, metrics, newId, tokens });
    const consumer = createConsumer({
      group: name,
      handlers: parts.handlers ?? [],
      db,
      eventLog,
      newId,
      log,
      metrics,
      paceMs,
    });
    const operations = operationsResolvers(name, { db, consumer, republish: parts.republish });
    const app = fastify({ ...httpSettings, bodyLimit: 256 * 1024 });
    await parts.routes?.(app);
    const server = await serveSubgraph(app, {
      sdl: subgraphSdl(name, await readFile(new URL("schema.graphql", root), "utf8")),
      resolvers: mergeResolvers(operations, parts.resolvers),
      tokens,
      log,
    });
    stops.push(() => server.stop());
    relay.start();
    stops.push(() => relay.stop());
    for (const worker of parts.workers ?? []) {
      worker.start();
      stops.push(() => worker.stop());
    }
    await consumer.start();
    stops.push(() => consumer.stop());
    const url = await app.listen({ host: config.HOST, port: config.PORT });
    stops.push(() => closeHttp(app, config.SHUTDOWN_GRACE_MS));
    waitingFor.delete("database");
    log.info({ url }, "ready");
    return { name, url, healthUrl: health.url, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function mergeResolvers(first: ResolverMap, second: ResolverMap): ResolverMap {
  return {
    ...first,
    ...second,
    Query: { ...first["Query"], ...second["Query"] },
    Mutation: { ...first["Mutation"], ...second["Mutation"] },
  };
}

/** Runs a service as a process of its own: reads the environment, stops on SIGTERM and SIGINT. */
export async function run<Variables extends TObject>(definition: ServiceDefinition<Variables>): Promise<void> {
  await runProcess(definition.name, () => start(definition, { env: processEnvironment() }));
}

/** Runs anything that starts and stops as a process: says in a sentence why it cannot start, and stops on signals. */
export async function runProcess(name: string, begin: () => Promise<{ stop(): Promise<void> }>): Promise<void> {
  const log = createLogger({ service: name, level: "info" });
  let running: { stop(): Promise<void> } | undefined;
  let stopping = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      // While it is still starting nothing is in flight.
      void (running?.stop() ?? Promise.resolve()).finally(() => process.exit(0));
    });
  }
  try {
    process.on("unhandledRejection", (error) => {
      log.fatal({ error: (error as Error)?.stack ?? String(error) }, "unhandled rejection");
      process.exit(1);
    });
    running = await begin();
  } catch (error) {
    if (error instanceof ConfigError) log.fatal({ problems: error.problems }, error.message);
    else log.fatal({ error: (error as Error).stack }, `${name} cannot start`);
    process.exit(1);
  }
}
