import { allEvents } from "@crowdcrunch/events/catalogue";
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { fastify } from "fastify";
import type { FastifyInstance } from "fastify";
import Type from "typebox";
import type { Static, TObject } from "typebox";
import { v7 as uuidv7 } from "uuid";
import type { ResolverMap } from "./access.ts";
import { createBudgets } from "./budget.ts";
import { processEnvironment, readConfig } from "./config.ts";
import { createConsumer } from "./consumer.ts";
import type { EventHandler } from "./consumer.ts";
import { openDatabase, untilAvailable } from "./database.ts";
import type { Database } from "./database.ts";
import { defaultPartitions } from "./eventlog.ts";
import type { EventLog } from "./eventlog.ts";
import { closeEmbeddedLog } from "./eventlog-postgres/closing.ts";
import { openEventLog } from "./eventlogs.ts";
import type { Faults } from "./faults.ts";
import { serveSubgraph } from "./graphql.ts";
import { httpSettings } from "./http.ts";
import { createTokenVerifier } from "./identity.ts";
import type { TokenVerifier } from "./identity.ts";
import type { Logger } from "./logger.ts";
import { measureMessaging } from "./messaging-metrics.ts";
import type { Metrics } from "./metrics.ts";
import { migrate } from "./migrate.ts";
import { operationsResolvers } from "./operations.ts";
import type { Republish } from "./operations.ts";
import { runProcess, startProcess } from "./process.ts";
import type { RunningProcess, StartingProcess } from "./process.ts";
import { createRelay } from "./relay.ts";
import { subgraphSdl } from "./sdl.ts";
import { serviceVariables } from "./variables.ts";
import { createWatchdog } from "./watchdog.ts";
import type { Worker } from "./worker.ts";

const dayMs = 86_400_000;
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
  /** Faults on purpose, for the points that only the service knows. */
  faults: Faults;
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

export interface RunningService extends RunningProcess {
  /** Where it serves, e.g. http://127.0.0.1:4004. */
  url: string;
}

export interface StartOptions {
  env: Record<string, string | undefined>;
  /** False where several services share a process, whose metrics one of them reports. Default true. */
  processMetrics?: boolean;
  newId?: () => string;
  log?: Logger;
  /** How the watchdog ends a process whose consumer is stuck. Default: with the exit code 1. */
  exit?: () => void;
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
  const newId = options.newId ?? uuidv7;
  const { processMetrics } = options;
  return startProcess({ name, config, waitingFor: "database", log: options.log, processMetrics }, startParts);

  async function startParts({
    log,
    metrics,
    faults,
    signal,
    onStop,
    listen,
  }: StartingProcess): Promise<{ url: string }> {
    const budgets = createBudgets();
    const db = openDatabase({
      url: config.DATABASE_URL,
      connections: config.DATABASE_CONNECTIONS,
      queueMs: config.DATABASE_QUEUE_MS,
      applicationName: name,
      newId,
      log,
      metrics,
      budgets,
      faults,
    });
    onStop(() => db.close());
    await untilAvailable(
      () => migrate({ service: name, ownerUrl: config.OWNER_DATABASE_URL, folder: new URL("migrations/", root), log }),
      { log, waiting: "the migration waits for the database", signal },
    );
    const databaseUrl = config.DATABASE_URL;
    const eventLog =
      options.eventLog?.({ db, log, service: name, databaseUrl }) ??
      (await openEventLog({ config, service: name, log, pool: db.pool, databaseUrl, place: placeOf(config) }));
    onStop(() => eventLog.close());
    if (config.KAFKA_BROKERS !== undefined) {
      // Before anything is published there: what is left on the embedded log would never be handled.
      await untilAvailable(() => closeEmbeddedLog(db.pool), {
        log,
        waiting: "going over to Kafka waits for the database",
        signal,
      });
    }
    const retentionMs = config.EVENT_RETENTION_DAYS * dayMs;
    await untilAvailable(() => eventLog.ensureTopics([{ topic: name, partitions: defaultPartitions, retentionMs }]), {
      log,
      waiting: "the event log is waited for",
      signal,
    });

    const tokens = createTokenVerifier({ jwksFile: config.JWKS_FILE, log });
    const paceMs = definition.paceMs ?? shopperPaceMs;
    const relay = createRelay({ topic: name, db, eventLog, log, metrics, paceMs, faults });
    db.onEmitted(relay.nudge);
    const parts = definition.wire({ config, db, log, metrics, newId, tokens, faults });
    const consumer = createConsumer({
      group: name,
      handlers: parts.handlers ?? [],
      declared: allEvents,
      db,
      eventLog,
      newId,
      log,
      metrics,
      paceMs,
      inboxKeepDays: config.EVENT_RETENTION_DAYS + 1,
      faults,
    });
    measureMessaging({ group: name, topics: consumer.topics, db, eventLog, outboxFloor: relay.floor, log, metrics });
    const operations = operationsResolvers(name, { db, consumer, faults, republish: parts.republish });
    const app = fastify({ ...httpSettings, bodyLimit: 256 * 1024 });
    await parts.routes?.(app);
    const server = await serveSubgraph(app, {
      sdl: subgraphSdl(name, await readFile(new URL("schema.graphql", root), "utf8")),
      resolvers: mergeResolvers(operations, parts.resolvers),
      tokens,
      log,
      budgets,
      faults,
    });
    onStop(() => server.stop());
    relay.start();
    onStop(() => relay.stop());
    for (const worker of parts.workers ?? []) {
      worker.start();
      onStop(() => worker.stop());
    }
    await consumer.start();
    onStop(() => consumer.stop());
    const exit = options.exit ?? (() => process.exit(1));
    const watchdog = createWatchdog({ group: name, consumer, eventLog, databaseUrl, log, exit });
    watchdog.start();
    onStop(() => watchdog.stop());
    return { url: await listen(app) };
  }
}

/** The port of health is open by now, so nobody else has it on this host; undefined where the system chose it. */
function placeOf({ METRICS_PORT: port }: { METRICS_PORT: number }): string | undefined {
  return port === 0 ? undefined : `${hostname()}:${port}`;
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
