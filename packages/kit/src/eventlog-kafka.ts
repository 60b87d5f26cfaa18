import type { Pool } from "pg";
import type { Backoff } from "./backoff.ts";
import { jsonOfData } from "./event-data.ts";
import { kafkaClient, openInspector } from "./eventlog-kafka/client.ts";
import type { KafkaConnection } from "./eventlog-kafka/client.ts";
import { joinGroup } from "./eventlog-kafka/member.ts";
import { groupLag, rewindGroup } from "./eventlog-kafka/offsets.ts";
import { dismissPredecessors } from "./eventlog-kafka/predecessors.ts";
import { openProducer } from "./eventlog-kafka/producer.ts";
import { readTopic } from "./eventlog-kafka/reader.ts";
import { toMessage } from "./eventlog-kafka/records.ts";
import { relayOutbox } from "./eventlog-kafka/relay.ts";
import { startTail } from "./eventlog-kafka/tail.ts";
import { ensureTopics } from "./eventlog-kafka/topics.ts";
import type { Consumer, EventLog, Tail } from "./eventlog.ts";
import type { Logger } from "./logger.ts";

export interface KafkaEventLogOptions {
  kafka: KafkaConnection;
  /** The pool of the publisher, whose outbox is on its search_path; needed by relay alone. */
  pool?: Pool | undefined;
  /** Names this process to Kafka. */
  service: string;
  /**
   * Where it runs, e.g. "host:port": no two processes of a service run in one place at the same time, so that a member
   * of a group that is found there when it begins to consume is dead. Not given: that cannot be known.
   */
  place?: string;
  log: Logger;
  /** False: topics are made by others, and only looked at. Default true. */
  createTopics?: boolean;
  /** How long a silent member keeps its partitions. Default 10 s. */
  sessionMs?: number;
  /** How often to look for topics that do not exist yet. Default 1 s. */
  pollMs?: number;
  /** Between attempts after an error. Default 0.3 to 30 s. */
  backoff?: Backoff;
  /** For tests: mixes the partitions of each batch by this seed. */
  shuffleSeed?: number;
}

/** The event log on Apache Kafka. Nothing is connected before it is needed. */
export function kafkaEventLog(options: KafkaEventLogOptions): EventLog {
  const { service, log, pool, place } = options;
  const client = kafkaClient(options.kafka, place === undefined ? service : `${service}@${place}`, log);
  const inspector = openInspector(client);
  const producer = openProducer(client);
  const pollMs = options.pollMs ?? 1_000;
  const backoff = options.backoff ?? { firstMs: 300, mostMs: 30_000 };
  const running = new Set<Consumer | Tail>();

  function track<Part extends Consumer | Tail>(part: Part): Part {
    running.add(part);
    return {
      ...part,
      async stop() {
        running.delete(part);
        await part.stop();
      },
    };
  }

  /** Where it fails, partitions of the dead come when their session has ended. */
  async function takePlace(group: string): Promise<void> {
    const dismissed = dismissPredecessors(inspector, client.groupName(group), client.clientId("consumer"));
    const count = await dismissed.catch((error: Error) => {
      log.warn({ error: error.message }, "whoever ran in this place before may still count as a member of the group");
      return 0;
    });
    if (count > 0) log.info({ group, members: count }, "took over from who ended here without a farewell");
  }

  return {
    name: `kafka ${options.kafka.prefix}`,
    ensureTopics: (topics) => ensureTopics(topics, { client, inspector, create: options.createTopics ?? true, log }),
    async append(topic, events) {
      const messages = events.map((event) => toMessage(topic, event, jsonOfData(event)));
      if (messages.length > 0) await producer.send(client.topicName(topic), messages);
    },
    async relay(source) {
      if (!pool) throw new Error(`${service} has no outbox to relay`);
      return relayOutbox({ pool, send: (messages) => producer.send(client.topicName(source.topic), messages) }, source);
    },
    async consume(subscription) {
      if (place !== undefined) await takePlace(subscription.group);
      const settings = { sessionMs: options.sessionMs ?? 10_000, pollMs, backoff, shuffleSeed: options.shuffleSeed };
      return track(joinGroup(client, inspector, subscription, settings));
    },
    async tail(subscription) {
      return track(await startTail(client, subscription, { pollMs, backoff, log }));
    },
    rewind: (group, topics) => rewindGroup(client, inspector, group, topics),
    read: (topic, from) => readTopic(client, topic, from),
    lag: (group, topics) => groupLag(client, inspector, group, topics),
    async close() {
      await Promise.all([...running].map((part) => part.stop()));
      await Promise.all([producer.close(), inspector.close()]);
    },
  };
}
