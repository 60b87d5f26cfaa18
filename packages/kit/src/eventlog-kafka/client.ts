import { Kafka, logLevel } from "kafkajs";
import type { Cluster, ISocketFactory, KafkaConfig, RetryOptions, SASLOptions } from "kafkajs";
import type { Logger } from "../logger.ts";

/** How to reach Kafka, and how this shop's names are told from those of others on it. */
export interface KafkaConnection {
  /** "host:port" of some brokers; the others are learned from them. */
  brokers: string[];
  /** Topics are "<prefix>.<topic>", groups "<prefix>.<group>". */
  prefix: string;
  sasl?: SASLOptions | undefined;
  /** TLS, where it is present: with these authorities' certificates (PEM), or with those that Node knows. */
  tls?: { ca?: string } | undefined;
  /** For tests: how connections are made. */
  socketFactory?: ISocketFactory;
}

/** Names and clients of a Kafka for the parts of the log. */
export interface KafkaClient {
  topicName(topic: string): string;
  groupName(group: string): string;
  /** The topic of a name on Kafka. */
  topicOf(name: string): string;
  /** A client of its own for each use: those of one client share what they know of a group's offsets. */
  kafka(use: string): Kafka;
  /** How the client of a use is named to Kafka. */
  clientId(use: string): string;
}

// A request that is not answered in this time has met a dead connection. kafkajs does not close it, but tries again on it:
// so the producer, the members of groups and the tails begin on new connections as soon as it happens.
const requestTimeoutMs = 8_000;

/** Short, because each part of the log has its own way to begin again. Complete, because kafkajs has other defaults where NODE_ENV is "test". */
export const retry: RetryOptions = { initialRetryTime: 50, maxRetryTime: 500, factor: 0.2, multiplier: 2, retries: 5 };

export function kafkaClient(connection: KafkaConnection, service: string, log: Logger): KafkaClient {
  const prefix = `${connection.prefix}.`;
  // It has no words for a list of mechanisms, but a type for each.
  const config: KafkaConfig = {
    brokers: connection.brokers,
    connectionTimeout: 3_000,
    requestTimeout: requestTimeoutMs,
    retry,
    logLevel: logLevel.WARN,
    // What it calls an error is mostly one that is tried again; whoever asked is told of those that are not.
    logCreator: () => (entry) => {
      const { message, timestamp: _, ...more } = entry.log;
      log.debug({ kafkajs: entry.namespace, ...more }, message);
    },
    ...(connection.tls ? { ssl: connection.tls.ca === undefined ? true : { ca: [connection.tls.ca] } } : {}),
    ...(connection.sasl ? { sasl: connection.sasl } : {}),
    ...(connection.socketFactory ? { socketFactory: connection.socketFactory } : {}),
  };
  const clientId = (use: string) => `crowdcrunch-${service}-${use}`;
  return {
    topicName: (topic) => `${prefix}${topic}`,
    groupName: (group) => `${prefix}${group}`,
    topicOf: (name) => name.slice(prefix.length),
    kafka: (use) => new Kafka({ ...config, clientId: clientId(use) }),
    clientId,
  };
}

/** The metadata and brokers behind a client, as kafkajs hands them to a partition assigner. */
export function clusterOf(kafka: Kafka): Cluster {
  let found: Cluster | undefined;
  kafka.consumer({
    groupId: "none",
    allowAutoTopicCreation: false,
    retry,
    partitionAssigners: [
      ({ cluster }) => {
        found = cluster;
        return {
          name: "none",
          version: 0,
          assign: async () => [],
          protocol: () => ({ name: "none", metadata: Buffer.alloc(0) }),
        };
      },
    ],
  });
  return found!;
}

/** Kafka cannot be reached, or is not ready: worth another try. */
export class EventLogUnavailable extends Error {
  override name = "EventLogUnavailable";
}

/** What went wrong, in Kafka's own words: kafkajs wraps errors in those of its retries. */
function rootOf(error: unknown): { name?: string; message?: string; type?: string; retriable?: boolean } {
  let root = error as Error & { cause?: unknown };
  while (root.cause instanceof Error && root.cause !== root) root = root.cause as typeof root;
  return root;
}

/** The name that Kafka's protocol has for an error, e.g. "UNKNOWN_MEMBER_ID"; undefined where the error is another. */
export function protocolErrorOf(error: unknown): string | undefined {
  return rootOf(error).type;
}

const connectionErrors = new Set([
  "KafkaJSConnectionError",
  "KafkaJSConnectionClosedError",
  "KafkaJSRequestTimeoutError",
  "KafkaJSBrokerNotFound",
  "KafkaJSNoBrokerAvailableError",
  "KafkaJSLockTimeout",
  "KafkaJSMetadataNotLoaded",
  "KafkaJSTopicMetadataNotLoaded",
  "KafkaJSGroupCoordinatorNotFound",
  "KafkaJSTimeout",
]);

/** The error to throw: EventLogUnavailable where trying again may help, else the error itself. */
export function unavailable(error: unknown): unknown {
  if (error instanceof EventLogUnavailable) return error;
  const root = rootOf(error);
  if (root.retriable !== true && !connectionErrors.has(root.name ?? "")) return error;
  return new EventLogUnavailable(`Kafka: ${root.message}`, { cause: error });
}

/** One connection to ask Kafka about topics and offsets with; it is made with the first question, and again after an error. */
export interface Inspector {
  ask<T>(question: (cluster: Cluster) => Promise<T>): Promise<T>;
  /** Gives the connection up: the next question makes another. */
  forget(): void;
  close(): Promise<void>;
}

export function openInspector(client: KafkaClient): Inspector {
  let current: Promise<Cluster> | undefined;

  async function connect(): Promise<Cluster> {
    const cluster = clusterOf(client.kafka("inspector"));
    await cluster.connect();
    return cluster;
  }

  function giveUp(attempt: Promise<Cluster> | undefined): void {
    if (current === attempt) current = undefined;
    void attempt?.then((cluster) => cluster.disconnect()).catch(() => {});
  }

  return {
    async ask(question) {
      const attempt = (current ??= connect());
      try {
        return await question(await attempt);
      } catch (error) {
        giveUp(attempt);
        throw unavailable(error);
      }
    },
    forget: () => giveUp(current),
    async close() {
      await current?.then((cluster) => cluster.disconnect()).catch(() => {});
    },
  };
}
