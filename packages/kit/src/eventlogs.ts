import { readFile } from "node:fs/promises";
import type { SASLOptions } from "kafkajs";
import type { Pool } from "pg";
import type { Static, TObject } from "typebox";
import { ConfigError } from "./config.ts";
import type { EventLog } from "./eventlog.ts";
import { postgresEventLog } from "./eventlog-postgres.ts";
import type { Logger } from "./logger.ts";
import type { eventLogVariables } from "./variables.ts";

export interface OpenEventLogOptions {
  config: Static<TObject<typeof eventLogVariables>>;
  /** Who reads and writes: the role on Postgres, the client's name on Kafka. */
  service: string;
  log: Logger;
  /** The database as that role: with the embedded log, and with the outbox that is relayed to Kafka. */
  pool: Pool;
  databaseUrl: string;
  /** Where this process runs, unlike any that runs beside it, e.g. "host:port"; see kafkaEventLog. */
  place?: string | undefined;
  /** For tests: how often to look for events that nobody announced, and mixed partitions. */
  pollMs?: number;
  shuffleSeed?: number;
}

/** The event log that the variables ask for: Kafka where KAFKA_BROKERS is set, else the one in the database. */
export async function openEventLog(options: OpenEventLogOptions): Promise<EventLog> {
  const { config, service, log, pool } = options;
  const more = {
    ...(options.pollMs === undefined ? {} : { pollMs: options.pollMs }),
    ...(options.shuffleSeed === undefined ? {} : { shuffleSeed: options.shuffleSeed }),
  };
  const brokers = (config.KAFKA_BROKERS ?? "").split(",").flatMap((broker) => broker.trim() || []);
  if (brokers.length === 0) return postgresEventLog({ pool, url: options.databaseUrl, service, log, ...more });
  const kafka = { brokers, prefix: config.KAFKA_PREFIX, sasl: saslOf(config), tls: await tlsOf(config) };
  // Loaded where it is used alone: it costs memory and time at each start.
  const { kafkaEventLog } = await import("./eventlog-kafka.ts");
  const { place } = options;
  const createTopics = config.KAFKA_CREATE_TOPICS;
  return kafkaEventLog({ kafka, pool, service, log, createTopics, ...(place === undefined ? {} : { place }), ...more });
}

function saslOf(config: OpenEventLogOptions["config"]): SASLOptions | undefined {
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: username, KAFKA_SASL_PASSWORD: password } = config;
  if (mechanism === undefined) {
    if (username === undefined && password === undefined) return undefined;
    throw new ConfigError([
      "KAFKA_SASL_MECHANISM is not set, but a user or password is: plain, scram-sha-256 or scram-sha-512",
    ]);
  }
  const missing = Object.entries({ KAFKA_SASL_USERNAME: username, KAFKA_SASL_PASSWORD: password })
    .filter(([, value]) => value === undefined)
    .map(([name]) => `${name} is not set, and ${mechanism} needs it`);
  if (missing.length > 0) throw new ConfigError(missing);
  return { mechanism, username: username!, password: password! } as SASLOptions;
}

async function tlsOf(config: OpenEventLogOptions["config"]): Promise<{ ca?: string } | undefined> {
  const file = config.KAFKA_TLS_CA_FILE;
  if (file === undefined) return config.KAFKA_TLS ? {} : undefined;
  try {
    return { ca: await readFile(file, "utf8") };
  } catch (error) {
    throw new ConfigError([`KAFKA_TLS_CA_FILE cannot be read: ${(error as Error).message}`]);
  }
}
