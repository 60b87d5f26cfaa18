import kafkajs from "kafkajs";
import type { Admin } from "kafkajs";
import type { TopicDeclaration } from "../eventlog.ts";
import type { Logger } from "../logger.ts";
import { EventLogUnavailable, protocolErrorOf, unavailable } from "./client.ts";
import type { Inspector, KafkaClient } from "./client.ts";
import { existingTopics } from "./offsets.ts";
import { maxBatchBytes } from "./producer.ts";

/** A day less than inboxes remember events, so that no redelivery finds its inbox row gone. */
const retentionMs = 7 * 86_400_000;
const inboxMs = 8 * 86_400_000;

/**
 * Creates topics that are missing, or says what they must be like where that is not allowed. Throws where one has
 * another number of partitions, or would not take or keep the events as they need it.
 */
export async function ensureTopics(
  topics: TopicDeclaration[],
  parts: { client: KafkaClient; inspector: Inspector; create: boolean; log: Logger },
): Promise<void> {
  const { client, inspector, create, log } = parts;
  const names = topics.map(({ topic }) => client.topicName(topic));
  let present = await inspector.ask((cluster) => existingTopics(cluster, names));
  const admin = client.kafka("admin").admin();
  try {
    await admin.connect();
    const missing = topics.filter(({ topic }) => !present.has(client.topicName(topic)));
    if (missing.length > 0) {
      if (!create) throw new Error(`KAFKA_CREATE_TOPICS is false, and ${absence(client, missing)}`);
      await createTopics(admin, client, missing);
      present = await untilPresent(names, () => inspector.ask((cluster) => existingTopics(cluster, names)));
    }
    for (const { topic, partitions } of topics) {
      const count = present.get(client.topicName(topic))?.length;
      // A broker that is busy takes its time to know what it has just created.
      if (count === undefined)
        throw new EventLogUnavailable(`Kafka: the topic ${client.topicName(topic)} is not there yet`);
      if (count !== partitions) {
        throw new Error(
          `the topic ${client.topicName(topic)} has ${count} partitions and not ${partitions}: another number would break the order within keys`,
        );
      }
    }
    await checkSettings(admin, names, log);
  } catch (error) {
    throw unavailable(error);
  } finally {
    await admin.disconnect().catch(() => {});
  }
}

function settingsOf({ retentionMs: wanted }: TopicDeclaration): Record<string, string> {
  return {
    "cleanup.policy": "delete",
    "retention.ms": String(wanted ?? retentionMs),
    "max.message.bytes": String(maxBatchBytes),
    // The broker's clock counts for retention and for reading from a time on: events carry the time at which they
    // happened, which may be years ago, and the clocks of publishers may be wrong.
    "message.timestamp.type": "LogAppendTime",
  };
}

async function createTopics(admin: Admin, client: KafkaClient, topics: TopicDeclaration[]): Promise<void> {
  try {
    await admin.createTopics({
      waitForLeaders: true,
      topics: topics.map((declared) => ({
        topic: client.topicName(declared.topic),
        numPartitions: declared.partitions,
        configEntries: Object.entries(settingsOf(declared)).map(([name, value]) => ({ name, value })),
      })),
    });
  } catch (error) {
    const [first, ...others] = (error as { errors?: unknown[] }).errors ?? [error];
    const types = [first, ...others].map(protocolErrorOf);
    if (types.some((type) => type === "TOPIC_AUTHORIZATION_FAILED" || type === "CLUSTER_AUTHORIZATION_FAILED")) {
      throw new Error(`Kafka does not let this user create topics, and ${absence(client, topics)}`, { cause: error });
    }
    // A replica that starts at the same time may have been first; what it made is looked at below.
    if (types.every((type) => type === "TOPIC_ALREADY_EXISTS")) return;
    throw first;
  }
}

function absence(client: KafkaClient, topics: TopicDeclaration[]): string {
  const wishes = topics.map((declared) => {
    const settings = Object.entries(settingsOf(declared)).map(([name, value]) => `--config ${name}=${value}`);
    return `--create --topic ${client.topicName(declared.topic)} --partitions ${declared.partitions} ${settings.join(" ")}`;
  });
  return `a topic is missing. Have it created: ${wishes.map((wish) => `kafka-topics.sh ${wish}`).join("; ")}`;
}

/** A topic that was just created is not known to all of a cluster at once. */
async function untilPresent<Found extends Map<string, unknown>>(
  names: string[],
  look: () => Promise<Found>,
): Promise<Found> {
  for (let attempt = 1; ; attempt++) {
    const found = await look();
    if (attempt === 30 || names.every((name) => found.has(name))) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function checkSettings(admin: Admin, names: string[], log: Logger): Promise<void> {
  let described: Awaited<ReturnType<Admin["describeConfigs"]>>;
  try {
    const resources = names.map((name) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name }));
    described = await admin.describeConfigs({ resources, includeSynonyms: false });
  } catch (error) {
    if (protocolErrorOf(error)?.endsWith("AUTHORIZATION_FAILED") !== true) throw error;
    log.info("Kafka does not let this user see the settings of topics; they are taken to be right");
    return;
  }
  for (const { resourceName, configEntries } of described.resources) {
    const settings = new Map(configEntries.map(({ configName, configValue }) => [configName, configValue]));
    const bytes = Number(settings.get("max.message.bytes") ?? maxBatchBytes);
    if (bytes < maxBatchBytes) {
      throw new Error(
        `the topic ${resourceName} takes ${bytes} bytes at once and needs max.message.bytes=${maxBatchBytes}`,
      );
    }
    const policy = settings.get("cleanup.policy") ?? "delete";
    if (policy !== "delete") {
      throw new Error(
        `the topic ${resourceName} has cleanup.policy=${policy} and needs delete: compaction removes events that were not handled`,
      );
    }
    const kept = Number(settings.get("retention.ms") ?? retentionMs);
    if (kept < 0 || kept > inboxMs) {
      log.warn(
        { topic: resourceName, retentionMs: kept },
        "the topic keeps events for longer than the 8 days for which inboxes remember them: a group that is set back handles older ones twice",
      );
    }
  }
}
